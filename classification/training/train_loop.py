"""Running training steps: the session, what watches it, and how it ends."""

from collections.abc import Callable

import tensorflow.compat.v1 as tf

from classification.cluster.cluster import Cluster, TrainingEnded
from classification.cluster.synchronous import AggregateHook
from classification.nets import checkpoints, variable_values
from classification.training import warm_start
from classification.training.best_checkpoint import BestCheckpoint
from classification.training.checkpoint_hook import CheckpointHook
from classification.training.step_display import Display, StepHook, SummaryHook, SummaryTimer
from classification.training.stop_signals import Stopped, StopSignals
from classification.training.train_step import Graph
from classification.training.training_config import TrainingConfig


class StepFailed(Exception):
    """A step could not be taken, for the reason that is this error's cause.

    Attributes:
      saved: the step of the checkpoint that holds all steps before; None where another process
        writes checkpoints.
    """

    def __init__(self, saved: int | None):
        super().__init__()
        self.saved = saved


class _StopHook(tf.train.SessionRunHook):
    """Ends training behind the step in which the wish came."""

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
    restoration: checkpoints.Restoration | None,
    signals: StopSignals,
    best: BestCheckpoint | None,
    display: Display | None,
    say: Callable[[str], None],
) -> int:
    """Runs training steps until there were enough, or somebody wants it to stop.

    Args:
      graph: the step, in the default graph.
      config: the training.
      cluster: where this process stands among workers.
      folder: of the checkpoints; training starts from the newest there.
      restoration: what variables start from where there is none; None: their initial values.
      signals: tells that training shall stop.
      best: what evaluates checkpoints, for `eval_every`.
      display: shows steps.
      say: shows a line.

    Returns:
      The global step at the end.

    Raises:
      tf.train.NanLossDuringTrainingError: if loss or weights are no longer numbers.
      OSError: if a checkpoint cannot be written.
      Stopped: if training shall stop, and there are no parameter servers to save from.
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
        saving = _checkpoint_hook(graph, config, folder, best, say)
        # Behind the hook that looks for NaN, so that nothing that is none is saved; and behind
        # the one that times steps.
        hooks += [saving, *_summary_hooks(config, folder)]
    hooks.append(_StopHook(signals))
    scaffold = tf.train.Scaffold(
        init_fn=_initializer(graph, restoration), saver=saving.saver if saving else None
    )

    def ended() -> bool:
        signals.check()
        return has_ended(folder, config.number_of_steps)

    creator = cluster.session_creator(
        scaffold,
        folder,
        ended=ended,
        on_return=_on_return(graph),
    )
    reached = 0
    try:
        with tf.train.MonitoredSession(creator, hooks=hooks) as session:
            while not session.should_stop():
                try:
                    reached = session.run(graph.step, feed_dict=graph.feed())
                except tf.errors.OutOfRangeError:
                    # Not a failure, but how steps that are counted in turn end.
                    raise
                except tf.errors.OpError as error:
                    # The session ends without telling hooks, and so would not save.
                    raise StepFailed(saving.save_now() if saving else None) from error
    except TrainingEnded as error:
        say(str(error))
    except (tf.errors.AbortedError, tf.errors.UnavailableError) as error:
        if signals.received is None:
            raise
        # The parameter servers were told to stop, too, and were faster.
        raise Stopped from error
    if cluster.num_ps and signals.received is None:
        cluster.leave()
        # Another worker may have taken the last step.
        reached = max(reached, config.number_of_steps or 0)
    if cluster.num_ps and cluster.is_chief:
        reached = checkpoints.newest_step(folder) or reached
    return int(reached)


def has_ended(folder: str, number_of_steps: int | None) -> bool:
    """Whether a folder's newest checkpoint is one of the last step."""
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
        evaluate=None if best is None else lambda prefix: say(best.evaluate(prefix)),
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
    graph: Graph, restoration: checkpoints.Restoration | None
) -> Callable[[tf.train.Scaffold, tf.Session], None]:
    """What is done behind initialisation, where there is no checkpoint to go on from."""
    saver = None if restoration is None else tf.train.Saver(restoration.variables)

    def initialize(scaffold: tf.train.Scaffold, session: tf.Session) -> None:
        del scaffold
        if saver is not None and restoration is not None:
            saver.restore(session, restoration.prefix)
            variable_values.load(session, warm_start.start_values(restoration, graph.variables))
        session.run(graph.initialize)

    return initialize
