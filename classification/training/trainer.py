"""Training: where it starts from, how it goes on, and what it leaves behind."""

import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable

import tensorflow.compat.v1 as tf
from tensorflow import config as tf_config

from classification.base import runner
from classification.base.progress_bar import ProgressBar
from classification.cluster.cluster import Cluster
from classification.data import records
from classification.data.dataset import Dataset
from classification.nets import checkpoints
from classification.nets.model_config import ModelConfig
from classification.training import cached_features, folder_lock, train_loop, train_step, warm_start
from classification.training.best_checkpoint import BestCheckpoint
from classification.training.cached_features import Features
from classification.training.step_display import Display
from classification.training.stop_signals import Stopped, StopSignals
from classification.training.training_config import TrainingConfig
from transforms.base import atomic_files


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
      step: the global step at the end; None where it ended before there was a checkpoint.
      signal: what ended it early; None where it was not.
    """

    step: int | None
    signal: signal.Signals | None


def train(
    *,
    model: ModelConfig,
    config: TrainingConfig,
    dataset: Dataset,
    checkpoint_dir: str,
    validation: Dataset | None = None,
    cluster: Cluster | None = None,
    display: Display | None = None,
) -> Outcome:
    """Trains a network, and leaves checkpoints, summaries and `model.json` in a folder.

    Where the folder holds a checkpoint, training goes on from the newest that is whole,
    whatever `fine_tune_checkpoint` says, and takes the steps that it would have taken
    without a stop. Ctrl-C and SIGTERM end it early, after a checkpoint.

    Args:
      model: the network.
      config: how to train it.
      dataset: the training split.
      checkpoint_dir: made if it is missing.
      validation: the images to evaluate on, for `eval_every`.
      cluster: where this process stands among workers; None: it is alone.
      display: shows how it goes; None is silent.

    Raises:
      ValueError: if the folder holds another network, or the checkpoint to fine-tune
        from does not fit, or a record cannot be used; the steps before it are saved.
      FileNotFoundError: if there is no such checkpoint.
      BlockingIOError: if somebody else trains in the folder.
      OSError: if the folder cannot be written to.
      ArithmeticError: if the loss is no longer a number; the checkpoints written before
        are left.
    """
    cluster = cluster or Cluster()
    say = print if display is None else display.say
    _check_data(model, config, dataset, validation, cluster)
    warm_start.check_folder(checkpoint_dir, model)
    with contextlib.ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        if cluster.is_chief and os.path.isdir(checkpoint_dir):
            _lock(checkpoint_dir, stack)
        newest = warm_start.newest_whole(checkpoint_dir)
        start = checkpoints.global_step(newest) or 0 if newest else 0
        is_done = _is_done(newest, start, config, say)
        if newest is None:
            _check_beginning(config)
        tf_config.experimental.enable_op_determinism()
        try:
            if is_done:
                best = _best(model, config, validation, checkpoint_dir, start, signals.check)
                if newest and cluster.is_chief and best is not None and best.evaluated < start:
                    # Training was stopped before it could.
                    say(best.evaluate(newest))
                cluster.leave()
                return Outcome(start, None)
            kept = None
            if config.cache_features:
                source = newest or checkpoints.find(config.fine_tune_checkpoint)
                kept = _features(model, config, dataset, source, signals, say)
            stack.enter_context(tf.Graph().as_default())
            stack.enter_context(tf.device(cluster.placement()))
            tf.set_random_seed(config.seed)
            tf.train.create_global_step()
            graph = train_step.build(
                model, config, dataset, start=start, features=kept, cluster=cluster
            )
            restoration = None
            if newest:
                warm_start.check_resumption(newest, graph.stored_as)
            elif config.fine_tune_checkpoint and cluster.is_chief:
                restoration = warm_start.fine_tuning(model, config, graph.variables)
            best = None
            if cluster.is_chief:
                if not os.path.isdir(checkpoint_dir):
                    os.makedirs(checkpoint_dir)
                    _lock(checkpoint_dir, stack)
                warm_start.prepare_folder(checkpoint_dir, model, newest)
                best = _best(model, config, validation, checkpoint_dir, start, signals.check)
            step = train_loop.run(
                graph,
                config,
                cluster=cluster,
                folder=checkpoint_dir,
                restoration=restoration,
                signals=signals,
                best=best,
                display=display,
                say=say,
            )
        except Stopped:
            newest = warm_start.newest_whole(checkpoint_dir)
            reached = None if newest is None else checkpoints.global_step(newest)
            return Outcome(reached, signals.received)
        except tf.train.NanLossDuringTrainingError as error:
            raise ArithmeticError(
                "the loss is no longer a number, and training was stopped; a --learning_rate "
                f"below {config.learning_rate:g} may help. The newest checkpoint left is "
                f"{tf.train.latest_checkpoint(checkpoint_dir)}"
            ) from error
        except train_loop.StepFailed as failure:
            raise ValueError(_explain(failure, dataset)) from failure
        if kept is not None:
            say(kept.describe_saving((step - start) * config.batch_size))
    return Outcome(step, signals.received)


def _lock(folder: str, stack: contextlib.ExitStack) -> None:
    with atomic_files.name_path_in_errors(folder):
        stack.enter_context(folder_lock.hold(folder))


def _explain(failure: train_loop.StepFailed, dataset: Dataset) -> str:
    error = failure.__cause__
    assert isinstance(error, tf.errors.OpError)
    reason = runner.sentence(error)
    if isinstance(error, tf.errors.DataLossError):
        reason = records.find_damage(dataset.files) or reason
    if failure.saved is None:
        return reason
    return (
        f"{reason}{'' if reason.endswith('.') else '.'} Training stopped after step "
        f"{failure.saved}, with a checkpoint: the same command goes on from there."
    )


def _check_data(
    model: ModelConfig,
    config: TrainingConfig,
    dataset: Dataset,
    validation: Dataset | None,
    cluster: Cluster,
) -> None:
    if model.num_classes < dataset.num_classes:
        raise ValueError(
            f"expected --num_classes of at least {dataset.num_classes}, which {dataset.source} "
            f"has, got {model.num_classes}"
        )
    if config.sync_replicas and not cluster.num_ps:
        raise ValueError(
            "expected several workers with --sync_replicas, got one process alone: set TF_CONFIG, "
            "or --ps_tasks and --worker_replicas"
        )
    if config.eval_every and validation is None:
        raise ValueError(
            f"expected images to evaluate on, for --eval_every={config.eval_every}; give a "
            "validation split, or leave the flag out"
        )


def _is_done(
    newest: str | None, start: int, config: TrainingConfig, say: Callable[[str], None]
) -> bool:
    """Says where training goes on from; whether there is nothing left to do."""
    if newest:
        unused = " --fine_tune_checkpoint is not read again." if config.fine_tune_checkpoint else ""
        say(f"Going on from {newest}, step {start}.{unused}")
    if config.number_of_steps is None or start < config.number_of_steps:
        return False
    say(f"That is all of the {config.number_of_steps} steps asked for.")
    return True


def _check_beginning(config: TrainingConfig) -> None:
    """Refuses to begin with what would fail later: what comes in between takes long."""
    if config.fine_tune_checkpoint:
        checkpoints.shapes(checkpoints.find(config.fine_tune_checkpoint))
    elif config.freeze_base:
        raise ValueError(
            "expected --fine_tune_checkpoint with --freeze_base_model: a base that nobody has "
            "trained is not worth freezing"
        )


def _features(
    model: ModelConfig,
    config: TrainingConfig,
    dataset: Dataset,
    source: str,
    signals: StopSignals,
    say: Callable[[str], None],
) -> Features:
    """What the frozen base computes of the data, kept."""
    with ProgressBar() as progress:

        def show(done: int, total: int) -> None:
            signals.check()
            progress.show(done, total)

        try:
            kept = cached_features.get(
                config.cache_features,
                model=model,
                checkpoint=source,
                dataset=dataset,
                on_progress=show,
            )
        except tf.errors.DataLossError as error:
            reason = records.find_damage(dataset.files) or runner.sentence(error)
            raise ValueError(reason) from error
    say(kept.describe(config.cache_features))
    return kept


def _best(
    model: ModelConfig,
    config: TrainingConfig,
    validation: Dataset | None,
    folder: str,
    start: int,
    check: Callable[[], None],
) -> BestCheckpoint | None:
    if not config.eval_every or validation is None:
        return None
    return BestCheckpoint(
        folder,
        model=model,
        validation=validation,
        batch_size=config.batch_size,
        start=start,
        on_progress=lambda *_: check(),
    )
