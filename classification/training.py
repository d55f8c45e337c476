"""Training: the loss, the optimiser, where it starts from and what it leaves behind."""

import dataclasses
import os
from typing import NamedTuple

import tensorflow.compat.v1 as tf
from tensorflow import config as tf_config

from classification import checkpoints, fake_quant, mobilenet_v1_l2norm, model_config
from classification.data.dataset import Dataset
from classification.model_config import ModelConfig
from classification.progress import Display, StepHook

# The reference's schedule: stairs of this height, each as many epochs long.
_DECAY_FACTOR = 0.94
_EPOCHS_PER_DECAY = 2.5


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
      number_of_steps: at which global step training ends; None trains on until stopped.
      batch_size: images a step.
      learning_rate: of stochastic gradient descent at the start; it is multiplied by
        0.94 every 2.5 epochs of the data.
      batch_norm_decay: of the moving statistics, per step.
      quant_delay: the step from which a quantised network's fake-quant nodes quantise.
      fine_tune_checkpoint: prefix of the checkpoint that variables start from, or ''.
      freeze_base: whether only what is under Logits is trained, and the base computes as
        it will when it is deployed.
      update_base_statistics: whether a frozen base's moving statistics and ranges adapt
        to the data.
      seed: of initial values, shuffling, distortion and dropout.
      log_every_n_steps: how often a line is printed where there is no terminal.
      save_summaries_secs: seconds between summaries for TensorBoard; 0 for none.
      save_interval_secs: seconds between checkpoints.
      master: address of the TensorFlow server to run on; '' for this process.
      task: number of this worker; 0 is the chief, which writes all files.
      ps_tasks: how many parameter servers hold the variables; 0 for none.
    """

    number_of_steps: int | None = None
    batch_size: int = 64
    learning_rate: float = 0.045
    batch_norm_decay: float = 0.9997
    quant_delay: int = 0
    fine_tune_checkpoint: str = ""
    freeze_base: bool = False
    update_base_statistics: bool = False
    seed: int = 0
    log_every_n_steps: int = 100
    save_summaries_secs: int = 100
    save_interval_secs: int = 100
    master: str = ""
    task: int = 0
    ps_tasks: int = 0

    def __post_init__(self) -> None:
        least = {
            "number_of_steps": 1,
            "batch_size": 1,
            "quant_delay": 0,
            "log_every_n_steps": 1,
            "save_summaries_secs": 0,
            "save_interval_secs": 1,
            "task": 0,
            "ps_tasks": 0,
        }
        for name, limit in least.items():
            value = getattr(self, name)
            if value is not None and value < limit:
                raise ValueError(f"expected --{name} to be at least {limit}, got {value}")
        if not self.learning_rate > 0:
            raise ValueError(f"expected --learning_rate to be above 0, got {self.learning_rate}")
        if not 0 <= self.batch_norm_decay < 1:
            raise ValueError(f"expected --batch_norm_decay in [0, 1), got {self.batch_norm_decay}")


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
    `fine_tune_checkpoint` says.

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
        print(f"Going on from {newest}, step {start}.", flush=True)
        if config.number_of_steps is not None and start >= config.number_of_steps:
            print(f"That is all of the {config.number_of_steps} steps asked for.")
            return int(start)
    elif config.freeze_base and not config.fine_tune_checkpoint:
        raise ValueError(
            "expected --fine_tune_checkpoint with --freeze_base_model: a base that nobody has "
            "trained is not worth freezing"
        )
    tf_config.experimental.enable_op_determinism()
    with tf.Graph().as_default(), tf.device(_placement(config)):
        tf.set_random_seed(config.seed)
        tf.train.create_global_step()
        graph = _build(model, config, dataset, int(start))
        restoration = None
        if config.fine_tune_checkpoint and not newest:
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


def _placement(config: TrainingConfig) -> object:
    if not config.ps_tasks:
        return None
    return tf.train.replica_device_setter(
        ps_tasks=config.ps_tasks, worker_device=f"/job:worker/task:{config.task}"
    )


class _Graph(NamedTuple):
    """A training step: scalars that are read once its updates are done."""

    step: tf.Tensor
    loss: tf.Tensor
    learning_rate: tf.Tensor


def _build(model: ModelConfig, config: TrainingConfig, dataset: Dataset, start: int) -> _Graph:
    """Builds the graph of a training step."""
    # A run that goes on must not see the batches again that the one before saw first.
    batches = dataset.batches(
        batch_size=config.batch_size,
        image_size=model.image_size,
        is_training=True,
        seed=config.seed + start + config.task,
    )
    batch = tf.data.make_one_shot_iterator(batches).get_next()
    quantization = None
    if model.quantize:
        quantization = fake_quant.Quantization(
            delay=config.quant_delay, learned_embedding_range=model.learned_embedding_range
        )
    with mobilenet_v1_l2norm.mobilenet_v1_l2norm_arg_scope(
        is_training=True,
        batch_norm_decay=config.batch_norm_decay,
        quantization=quantization,
    ):
        logits, _ = mobilenet_v1_l2norm.mobilenet_v1_l2norm(
            batch["image"],
            model.num_classes,
            depth_multiplier=model.depth_multiplier,
            freeze_base=config.freeze_base,
            update_base_statistics=config.update_base_statistics,
        )
    tf.losses.sparse_softmax_cross_entropy(batch["label"], logits)
    loss = tf.losses.get_total_loss()
    step = tf.train.get_global_step()
    rate = learning_rate(config.learning_rate, step, dataset.num_examples, config.batch_size)
    optimizer = tf.train.GradientDescentOptimizer(rate)
    # Updates change reference variables in place: nothing may still be reading them.
    gradients = optimizer.compute_gradients(
        loss, tf.trainable_variables(), gate_gradients=tf.train.Optimizer.GATE_GRAPH
    )
    with tf.control_dependencies([loss, *tf.get_collection(tf.GraphKeys.UPDATE_OPS)]):
        train_op = optimizer.apply_gradients(gradients, global_step=step)
    _summarize(loss, rate)
    with tf.control_dependencies([train_op]):
        return _Graph(step.read_value(), tf.identity(loss), tf.identity(rate))


def learning_rate(start: float, step: tf.Tensor, num_examples: int, batch_size: int) -> tf.Tensor:
    """The schedule: start times 0.94 for every whole 2.5 epochs of num_examples images."""
    steps_per_stair = max(1, int(num_examples / batch_size * _EPOCHS_PER_DECAY))
    return tf.train.exponential_decay(start, step, steps_per_stair, _DECAY_FACTOR, staircase=True)


def _summarize(loss: tf.Tensor, rate: tf.Tensor) -> None:
    values = {"total_loss": loss, "learning_rate": rate}
    for variable in tf.global_variables():
        name = variable.op.name
        is_range = "_quant/" in name and name.endswith(("/min", "/max"))
        if is_range or name.endswith("/scale_factor"):
            values[name] = variable
    for name, value in values.items():
        # tf.summary.scalar would number the tags, since variables have their names already.
        summary = tf.raw_ops.ScalarSummary(tags=name, values=value)
        tf.add_to_collection(tf.GraphKeys.SUMMARIES, summary)


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
    graph: _Graph,
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
    reached = 0
    with tf.train.MonitoredTrainingSession(
        master=config.master,
        is_chief=config.task == 0,
        checkpoint_dir=checkpoint_dir,
        scaffold=tf.train.Scaffold(init_fn=initialize),
        hooks=hooks,
        save_checkpoint_secs=config.save_interval_secs,
        save_summaries_secs=config.save_summaries_secs or None,
        save_summaries_steps=None,
        log_step_count_steps=None,
        save_graph_def=False,
    ) as session:
        while not session.should_stop():
            reached = session.run(graph.step)
    return int(reached)
