"""Training: where it starts from, how it goes on, and what it leaves behind."""

import dataclasses
import os

import tensorflow.compat.v1 as tf
from tensorflow import config as tf_config

from classification import checkpoints, fake_quant, model_config, training_graph
from classification.data.dataset import Dataset
from classification.model_config import ModelConfig
from classification.progress import Display, StepHook
from classification.training_graph import Graph, TrainingConfig


def train(
    *,
    model: ModelConfig,
    config: TrainingConfig,
    dataset: Dataset,
    checkpoint_dir: str,
    display: Display | None = None,
) -> int:
    """Trains a network, and leaves checkpoints, summaries and `model.json` in a folder.

    Where the folder holds a checkpoint, training goes on from there, whatever
    `fine_tune_checkpoint` says. An interrupt (Ctrl-C) ends it early, after a checkpoint.

    Args:
      model: the network.
      config: how to train it.
      dataset: the training split.
      checkpoint_dir: made if it is missing.
      display: shows how it goes; None is silent.

    Returns:
      The global step at the end.

    Raises:
      ValueError: if the folder holds another network, or the checkpoint to fine-tune
        from does not fit.
      FileNotFoundError: if there is no such checkpoint.
      ArithmeticError: if the loss is no longer a number; the checkpoints written before
        are left.
    """
    _check_data(model, dataset)
    known = model_config.read(checkpoint_dir)
    if known is not None and dataclasses.replace(known, dataset=model.dataset) != model:
        raise ValueError(
            f"{os.path.join(checkpoint_dir, model_config.FILE_NAME)} describes another network, "
            f"{known}, than the one to train, {model}; name another --checkpoint_dir, or give the "
            "flags that this one was trained with"
        )
    newest = tf.train.latest_checkpoint(checkpoint_dir)
    start = tf.train.load_checkpoint(newest).get_tensor("global_step") if newest else 0
    if newest:
        unused = " --fine_tune_checkpoint is not read again." if config.fine_tune_checkpoint else ""
        print(f"Going on from {newest}, step {start}.{unused}", flush=True)
        if config.number_of_steps is not None and start >= config.number_of_steps:
            print(f"That is all of the {config.number_of_steps} steps asked for.")
            return int(start)
    elif config.freeze_base and not config.fine_tune_checkpoint:
        raise ValueError(
            "expected --fine_tune_checkpoint with --freeze_base_model: a base that nobody has "
            "trained is not worth freezing"
        )
    tf_config.experimental.enable_op_determinism()
    with tf.Graph().as_default(), tf.device(training_graph.placement(config)):
        tf.set_random_seed(config.seed)
        tf.train.create_global_step()
        graph = training_graph.build(model, config, dataset, int(start))
        restoration = None
        if newest:
            _check_resumption(newest)
        elif config.fine_tune_checkpoint:
            restoration = _fine_tuning(model, config)
        os.makedirs(checkpoint_dir, exist_ok=True)
        if config.task == 0:
            model.write(checkpoint_dir)
        try:
            return _run(graph, restoration, config, checkpoint_dir, display)
        except tf.train.NanLossDuringTrainingError as error:
            raise ArithmeticError(
                "the loss is no longer a number, and training was stopped; a --learning_rate "
                f"below {config.learning_rate:g} may help. The newest checkpoint left is "
                f"{tf.train.latest_checkpoint(checkpoint_dir)}"
            ) from error


def _check_data(model: ModelConfig, dataset: Dataset) -> None:
    if model.num_classes < dataset.num_classes:
        raise ValueError(
            f"expected --num_classes of at least {dataset.num_classes}, which {dataset.source} "
            f"has, got {model.num_classes}"
        )


def _check_resumption(newest: str) -> None:
    restoration = checkpoints.plan(newest, tf.global_variables())
    if restoration.missing or restoration.mismatched:
        raise ValueError(
            "expected to go on with the training that this folder holds, with the flags that it "
            "was started with; a training of another kind (a base no longer frozen, say) starts "
            f"in another --checkpoint_dir, with --fine_tune_checkpoint={newest}\n"
            + restoration.summary()
        )


def _fine_tuning(model: ModelConfig, config: TrainingConfig) -> checkpoints.Restoration:
    """Finds out, and says, what the checkpoint to start from gives."""
    kept = {tf.train.get_global_step(), *tf.get_collection(fake_quant.CONSTANT_RANGES)}
    variables = [v for v in tf.global_variables() if v not in kept]
    restoration = checkpoints.plan(checkpoints.find(config.fine_tune_checkpoint), variables)
    checkpoints.require_base(restoration)
    print(restoration.summary(), flush=True)
    base = [
        name
        for name in (*restoration.missing, *restoration.mismatched)
        if "MobilenetV1/Logits/" not in name
    ]
    if base and config.freeze_base and not config.update_base_statistics:
        raise ValueError(
            f"expected a checkpoint with the whole base, to freeze it; it lacks {len(base)} "
            f"variables, {base[0]} for one. "
            + (
                "A checkpoint of a float network has no quantisation ranges: "
                "--update_base_statistics finds them in the data. "
                if model.quantize
                else ""
            )
            + "Or leave --freeze_base_model out."
        )
    return restoration


def _run(
    graph: Graph,
    restoration: checkpoints.Restoration | None,
    config: TrainingConfig,
    checkpoint_dir: str,
    display: Display | None,
) -> int:
    """Runs training steps until there were enough; returns the global step."""
    initialize = None
    if restoration is not None:
        saver = tf.train.Saver(restoration.variables)

        def initialize(scaffold: tf.train.Scaffold, session: tf.Session) -> None:
            del scaffold
            saver.restore(session, restoration.prefix)

    summaries = checkpoint_dir if config.task == 0 and config.save_summaries_secs else None
    hooks: list[tf.train.SessionRunHook] = [
        tf.train.NanTensorHook(graph.loss),
        StepHook(
            loss=graph.loss,
            learning_rate=graph.learning_rate,
            step=graph.step,
            batch_size=config.batch_size,
            display=display,
            summary_dir=summaries,
            summary_secs=config.save_summaries_secs,
        ),
    ]
    if config.number_of_steps is not None:
        hooks.append(tf.train.StopAtStepHook(last_step=config.number_of_steps))
    reached, interrupted = 0, False
    with tf.train.MonitoredTrainingSession(
        master=config.master,
        is_chief=config.task == 0,
        checkpoint_dir=checkpoint_dir,
        scaffold=tf.train.Scaffold(
            init_fn=initialize,
            # A folder can be moved or copied, and still means its own checkpoints.
            saver=tf.train.Saver(save_relative_paths=True),
        ),
        hooks=hooks,
        save_checkpoint_secs=config.save_interval_secs,
        save_summaries_secs=config.save_summaries_secs or None,
        save_summaries_steps=None,
        log_step_count_steps=None,
        save_graph_def=False,
    ) as session:
        try:
            while not session.should_stop():
                reached = session.run(graph.step)
        except KeyboardInterrupt:
            # Leaving the session as if it had ended writes a last checkpoint.
            print("\nInterrupted: writing a checkpoint. The same flags go on from there.")
            interrupted = True
    if interrupted and config.task == 0:
        # The step that was under way may or may not have been taken.
        newest = tf.train.latest_checkpoint(checkpoint_dir)
        reached = tf.train.load_checkpoint(newest).get_tensor("global_step")
    return int(reached)
