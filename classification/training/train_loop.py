"""Runs training steps: the session, its hooks, and its end."""

from collections.abc import Callable

import tensorflow.compat.v1 as tf

from classification.cluster.cluster import Cluster, TrainingEnded
from classification.cluster.synchronous import AggregateHook
from classification.nets import checkpoints, variable_values
from classification.training.best_checkpoint import BestCheckpoint
from classification.training.checkpoint_hook import CheckpointHook
from classification.training.step_display import Display, StepHook, SummaryHook, SummaryTimer
from classification.training.stop_signals import Stopped, StopSignals
from classification.training.train_step import Graph
from classification.training.training_config import TrainingConfig
from classification.training.warm_start import StartValues


class StepFailed(Exception):
    """A step could not be taken; this error's cause is the reason.

    Attributes:
      saved: the step of the checkpoint that holds all steps before it; None if another process
        writes the checkpoints.
    """

    def __init__(self, saved: int | None):
        super().__init__()
        self.saved = saved


class _StopHook(tf.train.SessionRunHook):
    """Ends training after the step during which a signal came."""

    def __init__(self, signals: StopSignals):
        self._signals = signals

    def after_run(
        self, run_context: tf.train.SessionRunContext, run_values: tf.train.SessionRunValues
    ) -> None:
        del run_values
        if self._signals.received is not None:
            run_context.request_stop()


def run(
    graph: Graph,
    config: TrainingConfig,
    *,
    cluster: Cluster,
    folder: str,
    start_values: StartValues,
    signals: StopSignals,
    best: BestCheckpoint | None,
    display: Display,
) -> int:
    """Takes training steps until there are enough of them, or a signal ends training.

    Args:
      graph: the step, in the default graph.
      config: the training.
      cluster: the place of this process among workers.
      folder: the checkpoints' folder; training starts from its newest checkpoint.
      start_values: values of variables, used if the folder has no checkpoint. All other variables
        are initialised.
      signals: says whether training is to stop.
      best: evaluates checkpoints, for `eval_every`.
      display: shows steps and messages.

    Returns:
      The global step at the end.

    Raises:
      tf.train.NanLossDuringTrainingError: if the loss or a weight is not finite.
      OSError: if a checkpoint cannot be written.
      Stopped: if training is to stop, and there are no parameter servers whose values could be
        saved.
      StepFailed: if TensorFlow reports an error in a step.
    """
    hooks: list[tf.train.SessionRunHook] = [
        tf.train.NanTensorHook(graph.loss),
        *graph.hooks,
        StepHook(
            loss=graph.loss,
            learning_rate=graph.learning_rate,
            step=graph.step,
            batch_size=config.batch_size,
            display=display,
            summary_dir=folder if cluster.is_chief and config.save_summaries_secs else None,
            timer=_summary_timer(config),
        ),
    ]
    saving = None
    if cluster.is_chief:
        saving = _checkpoint_hook(graph, config, folder, best, display.say)
        # After the hook that looks for NaN, so that no NaN is saved, and after the one that times
        # steps.
        hooks += [saving, *_summary_hooks(config, folder)]
    hooks.append(_StopHook(signals))
    scaffold = tf.train.Scaffold(
        init_fn=_initializer(graph, start_values), saver=saving.saver if saving else None
    )

    def ended() -> bool:
        signals.check()
        return has_ended(folder, config.number_of_steps)

    creator = cluster.session_creator(
        scaffold,
        folder,
        ended=ended,
        on_return=_on_return(graph),
        say=display.say,
        fuse=config.freeze_base_model and not config.cache_features,
    )
    reached = 0
    try:
        with tf.train.MonitoredSession(creator, hooks=hooks) as session:
            while not session.should_stop():
                try:
                    reached = session.run(graph.step, feed_dict=graph.feed())
                except tf.errors.OutOfRangeError:
                    # Not a failure: training ends like this if workers claim their steps.
                    raise
                except tf.errors.OpError as error:
                    # The session ends without calling the hooks' `end`, so nothing would be saved.
                    raise StepFailed(saving.save_now() if saving else None) from error
    except TrainingEnded as error:
        display.say(str(error))
    except (tf.errors.AbortedError, tf.errors.UnavailableError) as error:
        if signals.received is None:
            raise
        # The parameter servers were stopped, too, and ended first.
        raise Stopped from error
    if cluster.num_ps and signals.received is None:
        cluster.leave()
        # Another worker may have taken the last step.
        reached = max(reached, config.number_of_steps or 0)
    if cluster.num_ps and cluster.is_chief:
        reached = checkpoints.newest_step(folder) or reached
    return int(reached)


def has_ended(folder: str, number_of_steps: int | None) -> bool:
    """Whether the newest checkpoint in a folder is that of the last step."""
    newest = checkpoints.newest_step(folder)
    return number_of_steps is not None and newest is not None and newest >= number_of_steps


def _on_return(graph: Graph) -> Callable[[tf.Session], None] | None:
    for hook in graph.hooks:
        if isinstance(hook, AggregateHook):
            return hook.chief_returned
    return None


def _checkpoint_hook(
    graph: Graph,
    config: TrainingConfig,
    folder: str,
    best: BestCheckpoint | None,
    say: Callable[[str], None],
) -> CheckpointHook:
    return CheckpointHook(
        folder,
        step=graph.step,
        stored_as=graph.stored_as,
        save_secs=config.save_interval_secs,
        eval_every=config.eval_every,
        evaluated=0 if best is None else best.evaluated,
        evaluate=None if best is None else lambda checkpoint: say(best.evaluate(checkpoint)),
    )


def _summary_hooks(config: TrainingConfig, folder: str) -> list[tf.train.SessionRunHook]:
    if not config.save_summaries_secs:
        return []
    summary = tf.summary.merge_all()
    return [SummaryHook(_summary_timer(config), output_dir=folder, summary_op=summary)]


def _summary_timer(config: TrainingConfig) -> SummaryTimer:
    return SummaryTimer(
        every_secs=config.save_summaries_secs, every_steps=config.save_summaries_steps
    )


def _initializer(
    graph: Graph, start_values: StartValues
) -> Callable[[tf.train.Scaffold, tf.Session], None]:
    """The function to call after initialisation, if there is no checkpoint to continue from."""

    def initialize(scaffold: tf.train.Scaffold, session: tf.Session) -> None:
        del scaffold
        variable_values.load(session, start_values)
        session.run(graph.initialize)

    return initialize
