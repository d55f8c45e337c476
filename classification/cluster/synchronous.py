"""Synchronous steps: the gradients of all workers are averaged, and one step taken with them."""

import threading

import tensorflow.compat.v1 as tf


class AggregateHook(tf.train.SessionRunHook):
    """Lets workers with a `tf.train.SyncReplicasOptimizer` take steps together, to the last.

    The optimiser's own hook, at the end of training, leaves the chief waiting for gradients
    that no worker will send any more.

    A worker that dies holds the others up until it is back. The update of a chief that dies
    may have been half taken: the step is then counted as done.
    """

    def __init__(
        self, optimizer: tf.train.SyncReplicasOptimizer, *, is_chief: bool, last_step: int | None
    ):
        """Creates the hook; `optimizer.apply_gradients` has been called.

        Args:
          optimizer: which the training step uses.
          is_chief: whether this worker averages the gradients and takes the steps.
          last_step: the global step at which training ends; None: nowhere.
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
        # None at the start, so that no worker is ever ahead of the others.
        self._tokens = optimizer.get_init_tokens_op()
        self._returned = False

    def chief_returned(self, session: tf.Session) -> None:
        """What `Cluster.session_creator` calls where a chief has come back."""
        session.run(self._count)
        self._returned = True

    def after_create_session(self, session: tf.Session, coord: tf.train.Coordinator) -> None:
        """Starts from the global step that there is; on the chief, begins to average."""
        if missing := session.run(self._ready).tolist():
            raise AssertionError(f"expected values of all variables, got none of {missing[:3]}")
        session.run(self._init)
        if self._returned:
            # Others may wait whose gradients the update that was broken off took in part.
            session.run(self._tokens)
            self._returned = False
        if self._is_chief:
            threading.Thread(target=self._keep_on, args=(session, coord), daemon=True).start()
        # Who comes back after the last step finds nobody to take another with.
        if self._is_last(session.run(self._step)):
            coord.request_stop()

    def after_run(
        self, run_context: tf.train.SessionRunContext, run_values: tf.train.SessionRunValues
    ) -> None:
        """Ends training at the last step."""
        del run_values
        # Read behind the step, not in it, where it may not be counted yet.
        if self._is_last(run_context.session.run(self._step)):
            run_context.request_stop()

    def end(self, session: tf.Session) -> None:
        """Behind the last step, lets workers go that still wait for another."""
        if self._is_chief and self._is_last(session.run(self._step)):
            session.run(self._close)

    def _is_last(self, step: int) -> bool:
        return self._last_step is not None and step >= self._last_step

    def _keep_on(self, session: tf.Session, coord: tf.train.Coordinator) -> None:
        try:
            while not coord.should_stop():
                session.run(self._aggregate)
        except (tf.errors.OutOfRangeError, tf.errors.CancelledError):
            return  # Training has ended, or the session is closed to make another.
        except Exception as error:
            if not coord.should_stop():
                coord.request_stop(error)
