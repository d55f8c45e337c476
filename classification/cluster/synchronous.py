"""Synchronous steps: each step uses the average of all workers' gradients."""

import threading

import tensorflow.compat.v1 as tf


class AggregateHook(tf.train.SessionRunHook):
    """Lets workers with a `tf.train.SyncReplicasOptimizer` take steps together.

    It ends training cleanly, while the optimiser's own hook leaves the chief waiting for
    gradients that no worker will send.

    If a worker dies, the others wait until it is back. If the chief dies, its last update may
    be incomplete; the step is then counted as done.
    """

    def __init__(
        self, optimizer: tf.train.SyncReplicasOptimizer, *, is_chief: bool, last_step: int | None
    ):
        """Creates the hook, after `optimizer.apply_gradients` has been called.

        Args:
          optimizer: of the training step.
          is_chief: whether this worker averages the gradients and takes the steps.
          last_step: the global step at which training ends; None for no end.
        """
        step = tf.train.get_global_step()
        self._step = step
        self._last_step = last_step
        self._is_chief = is_chief
        self._ready = optimizer.ready_for_local_init_op
        runner = optimizer.get_chief_queue_runner()
        self._aggregate, self._close = runner.enqueue_ops[0], runner.cancel_op
        self._init = optimizer.chief_init_op if is_chief else optimizer.local_step_init_op
        with tf.device(step.device):
            self._count = tf.assign_add(step, 1)
        # Not run at the start, so that no worker is ever ahead of the others.
        self._tokens = optimizer.get_init_tokens_op()
        self._returned = False

    def chief_returned(self, session: tf.Session) -> None:
        """Continues as a chief that has come back: `on_return` of `Cluster.session_creator`."""
        session.run(self._count)
        self._returned = True

    def after_create_session(self, session: tf.Session, coord: tf.train.Coordinator) -> None:
        """Starts from the current global step; on the chief, begins to average gradients."""
        if missing := session.run(self._ready).tolist():
            raise AssertionError(f"expected values of all variables, got none of {missing[:3]}")
        session.run(self._init)
        if self._returned:
            # The interrupted update may have used some gradients, whose workers still wait.
            session.run(self._tokens)
            self._returned = False
        if self._is_chief:
            threading.Thread(target=self._keep_on, args=(session, coord), daemon=True).start()
        # If training has ended, there is no other worker to take a step with.
        if self._is_last(session.run(self._step)):
            coord.request_stop()

    def after_run(
        self, run_context: tf.train.SessionRunContext, run_values: tf.train.SessionRunValues
    ) -> None:
        """Ends training at the last step."""
        del run_values
        # Read after the step: during it, the step may not be counted yet.
        if self._is_last(run_context.session.run(self._step)):
            run_context.request_stop()

    def end(self, session: tf.Session) -> None:
        """After the last step, releases workers that wait for another one."""
        if self._is_chief and self._is_last(session.run(self._step)):
            session.run(self._close)

    def _is_last(self, step: int) -> bool:
        return self._last_step is not None and step >= self._last_step

    def _keep_on(self, session: tf.Session, coord: tf.train.Coordinator) -> None:
        try:
            while not coord.should_stop():
                session.run(self._aggregate)
        except (tf.errors.OutOfRangeError, tf.errors.CancelledError):
            return  # Training has ended, or the session is closed to create a new one.
        except Exception as error:
            if not coord.should_stop():
                coord.request_stop(error)
