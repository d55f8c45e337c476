"""Trains a network in a folder: from its start, or from where an earlier run stopped."""

import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from classification.base import runner
from classification.cluster.cluster import Cluster
from classification.data import records
from classification.data.dataset import Dataset
from classification.nets import checkpoints
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from classification.training import (
    cached_features,
    devices,
    run_folder,
    train_loop,
    train_step,
    warm_start,
)
from classification.training.best_checkpoint import BestCheckpoint
from classification.training.cached_features import Features
from classification.training.step_display import Display
from classification.training.stop_signals import Stopped, StopSignals
from classification.training.training_config import TrainingConfig
from imprinting.base import atomic_files


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a training run ended.

    Attributes:
      step: the global step at the end; None if it ended before there was a checkpoint.
      signal: the signal that ended it early; None if none did.
    """

    step: int | None
    signal: signal.Signals | None


class _Start(NamedTuple):
    """The checkpoint that training starts from.

    Attributes:
      newest: of this folder, to continue from; None if it has none that can be read.
      fine_tune: the one to fine-tune from; None if there is none, or `newest` is there.
    """

    newest: Checkpoint | None
    fine_tune: Checkpoint | None


class _Run(NamedTuple):
    """The arguments of `train`, passed on together."""

    model: ModelConfig
    config: TrainingConfig
    dataset: Dataset
    folder: str
    validation: Dataset | None
    cluster: Cluster
    display: Display
    signals: StopSignals


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

    If the folder holds checkpoints, training continues from the newest that can be read, whatever
    `fine_tune_checkpoint` says, and takes the steps that it would have taken without a stop.
    Ctrl-C and SIGTERM end it early, after a checkpoint.

      outcome = trainer.train(
          model=ModelConfig(num_classes=10, image_size=32, depth_multiplier=0.25),
          config=TrainingConfig(number_of_steps=100, batch_size=64),
          dataset=open_dataset("", "train"),
          checkpoint_dir="net",
      )

    Args:
      model: the network.
      config: how to train it.
      dataset: the images to train on.
      checkpoint_dir: the folder; it is made if it does not exist.
      validation: the images to evaluate on, for `eval_every`.
      cluster: the place of this process among workers; None means that it is alone.
      display: shows steps and messages; None shows nothing.

    Raises:
      ValueError: if the folder holds another network, the checkpoint to fine-tune from does not
        fit, or a record cannot be used; the steps before it are saved.
      FileNotFoundError: if there is no such checkpoint.
      BlockingIOError: if another process trains in the folder.
      OSError: if the folder cannot be written to.
      ArithmeticError: if the loss is not finite; the checkpoints that were written stay.
    """
    signals = StopSignals()
    run = _Run(
        model,
        config,
        dataset,
        checkpoint_dir,
        validation,
        cluster or Cluster(),
        display or Display(),
        signals,
    )
    _check_data(run)
    run_folder.check(checkpoint_dir, model)
    with contextlib.ExitStack() as stack:
        stack.enter_context(signals)
        start = _find_start(run, stack)
        devices.make_deterministic(run.display.say)
        try:
            if _is_done(config, start.newest):
                return _finish(run, start.newest)
            return _take_steps(run, start, stack)
        except Stopped:
            reached = run_folder.newest_readable(checkpoint_dir, run.display.say)
            return Outcome(reached.global_step if reached else None, signals.received)
        except tf.train.NanLossDuringTrainingError as error:
            raise ArithmeticError(
                "expected a finite loss, got NaN or infinity, and training was stopped; a "
                f"--learning_rate below {config.learning_rate:g} may help. The newest checkpoint "
                f"is {tf.train.latest_checkpoint(checkpoint_dir)}"
            ) from error
        except train_loop.StepFailed as failure:
            raise ValueError(_explain(failure, dataset)) from failure


def _find_start(run: _Run, stack: contextlib.ExitStack) -> _Start:
    """Locks the folder, if it exists, and finds the checkpoint to start from."""
    config, say = run.config, run.display.say
    if run.cluster.is_chief and os.path.isdir(run.folder):
        _lock(run, stack)
    newest = run_folder.newest_readable(run.folder, say)
    if newest is not None:
        unused = " --fine_tune_checkpoint is not read again." if config.fine_tune_checkpoint else ""
        say(f"Continuing from {newest}, step {_step(newest)}.{unused}")
    if _is_done(config, newest):
        say(f"All of the {config.number_of_steps} steps asked for have been taken.")
    return _Start(newest, _find_fine_tune(config) if newest is None else None)


def _finish(run: _Run, newest: Checkpoint | None) -> Outcome:
    """Ends a training run if earlier runs have taken all its steps."""
    start = _step(newest)
    best = _best(run, start)
    if newest and run.cluster.is_chief and best is not None and best.evaluated < start:
        # An earlier run was stopped before its last evaluation.
        run.display.say(best.evaluate(newest))
    run.cluster.leave()
    return Outcome(start, None)


def _take_steps(run: _Run, begin: _Start, stack: contextlib.ExitStack) -> Outcome:
    """Builds the graph of a training step, and takes steps until training ends."""
    config, is_chief = run.config, run.cluster.is_chief
    newest, fine_tune = begin
    start = _step(newest)
    features = _features(run, newest or fine_tune) if config.cache_features else None
    stack.enter_context(tf.Graph().as_default())
    stack.enter_context(tf.device(run.cluster.placement()))
    tf.set_random_seed(config.seed)
    tf.train.create_global_step()
    graph = train_step.build(
        run.model, config, run.dataset, start=start, features=features, cluster=run.cluster
    )
    start_values: warm_start.StartValues = {}
    if newest is not None:
        warm_start.check_resumption(newest, graph.stored_as)
    elif fine_tune is not None and is_chief:
        start_values = warm_start.fine_tuning(
            run.model, config, fine_tune, graph.variables, run.display.say
        )
    best = None
    if is_chief:
        if not os.path.isdir(run.folder):
            os.makedirs(run.folder)
            _lock(run, stack)
        run_folder.prepare(run.folder, run.model, newest)
        best = _best(run, start)
    step = train_loop.run(
        graph,
        config,
        cluster=run.cluster,
        folder=run.folder,
        start_values=start_values,
        signals=run.signals,
        best=best,
        display=run.display,
    )
    if features is not None:
        run.display.say(features.describe_saving((step - start) * config.batch_size))
    return Outcome(step, run.signals.received)


def _step(checkpoint: Checkpoint | None) -> int:
    """The global step to continue from."""
    return (checkpoint.global_step or 0) if checkpoint else 0


def _is_done(config: TrainingConfig, newest: Checkpoint | None) -> bool:
    """Whether an earlier run has taken all steps."""
    return config.number_of_steps is not None and _step(newest) >= config.number_of_steps


def _lock(run: _Run, stack: contextlib.ExitStack) -> None:
    with atomic_files.name_path_in_errors(run.folder):
        stack.enter_context(run_folder.lock(run.folder, run.display.say))


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
        f"{failure.saved}, with a checkpoint: the same command continues from there."
    )


def _check_data(run: _Run) -> None:
    if run.model.num_classes < run.dataset.num_classes:
        raise ValueError(
            f"expected --num_classes of at least {run.dataset.num_classes}, which "
            f"{run.dataset.source} has, got {run.model.num_classes}"
        )
    if run.config.sync_replicas and not run.cluster.num_ps:
        raise ValueError(
            "expected several workers with --sync_replicas, got only one process: set TF_CONFIG, "
            "or --ps_tasks and --worker_replicas"
        )
    if run.config.eval_every and run.validation is None:
        raise ValueError(
            f"expected images to evaluate on, for --eval_every={run.config.eval_every}, got none; "
            "give a validation split, or leave the flag out"
        )


def _find_fine_tune(config: TrainingConfig) -> Checkpoint | None:
    """The checkpoint to fine-tune from, which is checked before any work that takes long."""
    if config.fine_tune_checkpoint:
        found = checkpoints.find(config.fine_tune_checkpoint)
        # Reads the index.
        _ = found.shapes
        return found
    if config.freeze_base_model:
        raise ValueError(
            "expected --fine_tune_checkpoint with --freeze_base_model, got none: an untrained base "
            "is not worth freezing"
        )
    return None


def _features(run: _Run, checkpoint: Checkpoint | None) -> Features:
    """The features that the frozen base of a checkpoint computes of the images."""
    # --cache_features requires --freeze_base_model, which requires a checkpoint.
    assert checkpoint is not None
    store = run.config.cache_features
    with run.display.progress() as show:

        def check_and_show(done: int, total: int) -> None:
            run.signals.check()
            show(done, total)

        try:
            features = cached_features.get(
                store,
                model=run.model,
                checkpoint=checkpoint,
                dataset=run.dataset,
                on_progress=check_and_show,
            )
        except tf.errors.DataLossError as error:
            reason = records.find_damage(run.dataset.files) or runner.sentence(error)
            raise ValueError(reason) from error
    run.display.say(features.describe(store))
    return features


def _best(run: _Run, start: int) -> BestCheckpoint | None:
    if not run.config.eval_every or run.validation is None:
        return None
    check: Callable[..., None] = lambda *_: run.signals.check()  # noqa: E731
    return BestCheckpoint(
        run.folder,
        model=run.model,
        validation=run.validation,
        batch_size=run.config.batch_size,
        start=start,
        on_progress=check,
    )
