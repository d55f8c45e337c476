"""Saves checkpoints during training: at intervals, complete, and with finite values only."""

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping

import tensorflow.compat.v1 as tf

from classification.base import runner
from classification.nets import checkpoints
from classification.nets.checkpoint import Checkpoint

_PREFIX = "model.ckpt"
_OWN_FILE = re.compile(
    rf"(?P<prefix>{re.escape(_PREFIX)}-\d+)\.(data-\d{{5}}-of-\d{{5}}|index)(?P<partial>\.tempstate\d+)?"
)
# The default of tf.train.Saver.
_KEPT = 5


class CheckpointHook(tf.train.SessionRunHook):
    """Saves at the start, at intervals and at the end, and calls back to evaluate."""

    def __init__(
        self,
        folder: str,
        *,
        step: tf.Tensor,
        stored_as: Mapping[str, tf.Variable],
        save_secs: float,
        eval_every: int = 0,
        evaluated: int = 0,
        evaluate: Callable[[Checkpoint], None] | None = None,
    ):
        """Creates the hook, in the default graph.

        Args:
          folder: the checkpoints' folder.
          step: the global step, read after a step's updates.
          stored_as: the variables, by their names in the checkpoint.
          save_secs: seconds from one checkpoint to the next.
          eval_every: steps between two evaluations; 0 evaluates only at the end.
          evaluated: the step that was evaluated last, by an earlier run.
          evaluate: called with a checkpoint every eval_every steps, and at the end; None for no
            evaluation.
        """
        self._folder = folder
        self._step = step
        self._save_secs = save_secs
        self._eval_every = eval_every
        self._evaluate = evaluate
        # With relative paths, a moved or copied folder still refers to its own checkpoints.
        self.saver = tf.train.Saver(dict(stored_as), max_to_keep=_KEPT, save_relative_paths=True)
        older = checkpoints.by_step(folder)[:_KEPT]
        self.saver.recover_last_checkpoints([checkpoint.prefix for checkpoint in older[::-1]])
        self._finite = _all_finite(stored_as.values())
        self._saved: int | None = None
        self._evaluated = evaluated
        self._session: tf.Session | None = None
        self._time = time.monotonic()

    def after_create_session(self, session: tf.Session, coord: tf.train.Coordinator) -> None:
        """Saves the values that training starts from."""
        del coord
        self._session = session
        self._remove_partial()
        step = int(session.run(tf.train.get_global_step()))
        # The checkpoint that training continues from exists already.
        self._saved = step if os.path.exists(self._name(step) + ".index") else None
        self._save(session, step)
        if self._is_to_evaluate(step):
            self._run_evaluation(step)

    def before_run(self, run_context: tf.train.SessionRunContext) -> tf.train.SessionRunArgs:
        """Asks for the step."""
        del run_context
        return tf.train.SessionRunArgs(self._step)

    def after_run(
        self, run_context: tf.train.SessionRunContext, run_values: tf.train.SessionRunValues
    ) -> None:
        """Saves if it is time to save or to evaluate."""
        step = int(run_values.results)
        evaluates = self._is_to_evaluate(step)
        due = time.monotonic() - self._time >= self._save_secs
        if evaluates or due:
            self._save(run_context.session, step)
        if evaluates:
            self._run_evaluation(step)

    def end(self, session: tf.Session) -> None:
        """Saves and evaluates the final values."""
        del session
        step = self.save_now()
        if self._evaluate is not None and self._evaluated != step:
            self._run_evaluation(step)

    def save_now(self) -> int:
        """Saves the session's values after a failed step; returns the global step."""
        assert self._session is not None
        step = int(self._session.run(tf.train.get_global_step()))
        self._save(self._session, step)
        return step

    def _is_to_evaluate(self, step: int) -> bool:
        """Whether a multiple of eval_every was reached since the last evaluation."""
        every = self._eval_every
        if self._evaluate is None or not every:
            return False
        return step // every > self._evaluated // every

    def _run_evaluation(self, step: int) -> None:
        assert self._evaluate is not None
        self._evaluated = step
        self._evaluate(Checkpoint(self._name(step)))
        self._time = time.monotonic()

    def _name(self, step: int) -> str:
        return os.path.join(self._folder, f"{_PREFIX}-{step}")

    def _save(self, session: tf.Session, step: int) -> None:
        if self._saved == step:
            return
        if not session.run(self._finite):
            raise tf.train.NanLossDuringTrainingError()
        try:
            self.saver.save(
                session,
                os.path.join(self._folder, _PREFIX),
                global_step=step,
                write_meta_graph=False,
            )
        except (tf.errors.OpError, OSError) as error:
            if isinstance(error, (tf.errors.AbortedError, tf.errors.UnavailableError)):
                raise
            self._remove_partial()
            newest = checkpoints.by_step(self._folder)
            reason = runner.sentence(error).splitlines()[0]
            raise OSError(
                f"the checkpoint of step {step} cannot be written in {self._folder}: {reason}; "
                "free disk space or correct its permissions, and start again with the same flags: "
                f"training continues from {newest[0] if newest else 'the start'}"
            ) from error
        self._saved = step
        self._time = time.monotonic()

    def _remove_partial(self) -> None:
        """Removes files of interrupted writes, of this run or an earlier one."""
        complete = {
            os.path.basename(checkpoint.prefix) for checkpoint in checkpoints.by_step(self._folder)
        }
        for name in os.listdir(self._folder):
            match = _OWN_FILE.fullmatch(name)
            if match and (match["partial"] or match["prefix"] not in complete):
                os.remove(os.path.join(self._folder, name))


def _all_finite(variables: Iterable[tf.Variable]) -> tf.Tensor:
    """Whether all values, and the sum of each variable's values, are finite."""
    sums = []
    for variable in variables:
        if variable.dtype.base_dtype.is_floating:
            # On the variable's device, so that parameter servers need not send the variable.
            with tf.device(variable.device):
                # A scalar is its own sum; for hundreds of them, this saves a tenth of a second.
                sums.append(tf.reduce_sum(variable) if variable.shape.rank else variable)
    return tf.math.is_finite(tf.add_n(sums))
