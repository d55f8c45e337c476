"""Processes that train one network together over gRPC: parameter servers and workers.

Parameter servers hold the variables; each worker computes gradients from its part of the data.
Worker 0 is the chief, which writes all files.
"""

import contextlib
import dataclasses
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import rewriter_config_pb2

from classification.cluster.cluster_spec import Task

# How long parameter servers serve other workers after the chief's training has ended.
_GRACE_SECS = 30.0
_POLL_SECS = 0.2
_RETRY_SECS = 1.0
_CLOSE_SECS = 5.0
_LEAVE_MILLISECONDS = 10_000
_NO_LIMIT = 2**63 - 1


class TrainingEnded(Exception):
    """A session cannot be created, because the training that it belongs to has ended."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The place of this process among those that train one network.

    Attributes:
      master: address of the TensorFlow server that a session connects to; '' for this process.
      worker: number of this worker; 0 is the chief, which writes all files.
      num_workers: number of workers among which the data is divided.
      num_ps: number of parameter servers that hold the variables; may be 0.
      ps: the addresses of the parameter servers, if they are known.
      server: this worker's own server, which runs as long as this reference exists.
    """

    master: str = ""
    worker: int = 0
    num_workers: int = 1
    num_ps: int = 0
    ps: tuple[str, ...] = ()
    server: tf.train.Server | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def is_chief(self) -> bool:
        """Whether this process initialises, restores and saves the variables."""
        return self.worker == 0

    @property
    def _device(self) -> str:
        return f"/job:worker/task:{self.worker}"

    def placement(self) -> Any:
        """Where variables and operations are placed, as an argument of `tf.device`."""
        if not self.num_ps:
            return None
        return tf.train.replica_device_setter(ps_tasks=self.num_ps, worker_device=self._device)

    def session_config(self, *, fuse: bool = False) -> tf.ConfigProto:
        """The configuration of sessions, which wait for parameter servers but not for workers.

        Args:
          fuse: see `session_creator`.
        """
        config = tf.ConfigProto(device_filters=["/job:ps", self._device] if self.num_ps else [])
        rewriting = config.graph_options.rewrite_options
        if fuse:
            rewriting.optimizers.append("remap")
            rewriting.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
        else:
            # All optimizers together take half of the starting time, and make no step faster.
            rewriting.disable_meta_optimizer = True
        return config

    def session_creator(
        self,
        scaffold: tf.train.Scaffold,
        checkpoint_dir: str,
        *,
        ended: Callable[[], bool],
        on_return: Callable[[tf.Session], None] | None = None,
        say: Callable[[str], None],
        fuse: bool = False,
    ) -> tf.train.SessionCreator:
        """Creates the sessions of a `tf.train.MonitoredSession`, also after a failure.

        A chief initialises the variables, or restores them from the newest checkpoint. If the
        parameter servers are those of TF_CONFIG and still hold the values, a restarted chief
        continues from these values instead.

        Args:
          scaffold: what is initialised and restored.
          checkpoint_dir: where the chief looks for checkpoints.
          ended: whether the training has ended. It is called while the servers or the chief's
            values are missing; if it returns True, creating the session raises `TrainingEnded`.
            It may also raise an error to end the waiting.
          on_return: called with the session when a restarted chief continues from such values.
          say: called with a line when a session begins to wait.
          fuse: whether convolutions are fused with the bias and the Relu6 that follow. Steps with a
            frozen base take a fifth less time with it; if all is trained, nothing can be fused.
        """
        config = self.session_config(fuse=fuse)
        chief = None
        if self.is_chief:
            chief = tf.train.ChiefSessionCreator(
                scaffold, master=self.master, config=config, checkpoint_dir=checkpoint_dir
            )
            if not self.master:
                return chief
        return _WaitingSessionCreator(self, scaffold, chief, config, ended, on_return, say)

    def leave(self) -> None:
        """Informs the running parameter servers that this worker no longer needs them."""
        for index, address in enumerate(self.ps):
            if not _listens(address):
                continue
            config = tf.ConfigProto(
                device_filters=[f"/job:ps/task:{index}", self._device],
                operation_timeout_in_ms=_LEAVE_MILLISECONDS,
            )
            with tf.Graph().as_default():
                enqueue = _workers_that_left(index).enqueue(self.worker)
                try:
                    with tf.Session(self.master, config=config) as session:
                        session.run(enqueue)
                except tf.errors.OpError:
                    # The server has just ended: all other workers have left.
                    continue


class _WaitingSessionCreator(tf.train.SessionCreator):
    """Waits for servers and for the variables' values, unless training has ended."""

    def __init__(
        self,
        cluster: Cluster,
        scaffold: tf.train.Scaffold,
        chief: tf.train.ChiefSessionCreator | None,
        config: tf.ConfigProto,
        ended: Callable[[], bool],
        on_return: Callable[[tf.Session], None] | None,
        say: Callable[[str], None],
    ):
        self._cluster = cluster
        self._chief = chief
        self._ended = ended
        self._on_return = on_return
        self._say = say
        self._waiting_for = ""
        self._worker = tf.train.WorkerSessionCreator(
            scaffold, cluster.master, config=config, max_wait_secs=0
        )

    def create_session(self) -> tf.Session:
        self._waiting_for = ""
        while True:
            self._wait_for_servers()
            if self._chief is not None and not self._cluster.ps:
                # Servers that the user started may still hold values of another training.
                return _with_bounded_close(self._chief.create_session())
            try:
                session = self._worker.create_session()
            except tf.errors.DeadlineExceededError:
                if self._chief is not None:
                    return _with_bounded_close(self._chief.create_session())
                self._wait("values", "from the chief")
                continue
            if self._chief is not None and self._on_return is not None:
                self._on_return(session)
            return _with_bounded_close(session)

    def _wait_for_servers(self) -> None:
        servers = self._cluster.ps or [self._cluster.master.removeprefix("grpc://")]
        while missing := [address for address in servers if not _listens(address)]:
            self._wait("servers", f"at {', '.join(missing)}")

    def _wait(self, missing: str, where: str) -> None:
        """Waits a moment, unless training has ended; says once what is missing."""
        if self._ended():
            raise TrainingEnded(f"expected {missing} {where}, but training has ended")
        if missing != self._waiting_for:
            self._say(f"Waiting for {missing} {where}.")
            self._waiting_for = missing
        time.sleep(_RETRY_SECS)


def _with_bounded_close(session: tf.Session) -> tf.Session:
    """Makes `session.close` stop waiting for servers that have ended; returns the session."""
    close = session.close

    def close_quietly() -> None:
        with contextlib.suppress(tf.errors.OpError):
            close()

    def bounded_close() -> None:
        # Deleting the session closes it again, perhaps so late that no thread can be started.
        session.close = close
        thread = threading.Thread(target=close_quietly, daemon=True)
        thread.start()
        thread.join(_CLOSE_SECS)

    session.close = bounded_close
    return session


def from_flags(*, master: str, task: int, ps_tasks: int, worker_replicas: int = 1) -> Cluster:
    """The place of a process in a cluster whose servers the user has started.

    Args:
      master: address grpc://HOST:PORT of this worker's TensorFlow server; '' for this process.
      task: number of this worker; 0 is the chief.
      ps_tasks: number of parameter servers in the cluster of `master`.
      worker_replicas: number of workers in that cluster; 1 for as many as `task` implies.

    Raises:
      ValueError: if a number is out of range, `master` is not an address or is missing in a
        cluster, or several workers have no parameter server.
    """
    for name, value, least in (
        ("task", task, 0),
        ("ps_tasks", ps_tasks, 0),
        ("worker_replicas", worker_replicas, 1),
    ):
        if value < least:
            raise ValueError(f"expected --{name} to be at least {least}, got {value}")
    if 1 < worker_replicas <= task:
        raise ValueError(
            f"expected --task below {worker_replicas}, the --worker_replicas, got {task}"
        )
    if master and not re.fullmatch(r"grpc://.+:\d+", master):
        raise ValueError(f"expected --master=grpc://HOST:PORT, or none, got {master!r}")
    if not master and (ps_tasks or task or worker_replicas > 1):
        raise ValueError(
            "expected --master=grpc://HOST:PORT with --task, --ps_tasks and --worker_replicas, got "
            "no --master; name this worker's server, through which it reaches the parameter servers"
        )
    if not ps_tasks and (task or worker_replicas > 1):
        raise ValueError(
            "expected --ps_tasks of at least 1 with --task above 0 or --worker_replicas above 1, "
            "got 0; workers share the variables that parameter servers hold"
        )
    return Cluster(
        master=master, worker=task, num_workers=max(worker_replicas, task + 1), num_ps=ps_tasks
    )


def join(task: Task) -> Cluster:
    """Starts this worker's server.

    Args:
      task: of the job "worker".

    Raises:
      OSError: if its port is taken.
    """
    server = _start(task)
    return Cluster(
        server=server,
        master=server.target,
        worker=task.index,
        num_workers=len(task.workers),
        num_ps=len(task.ps),
        ps=task.ps,
    )


def serve(task: Task, *, grace_secs: float = _GRACE_SECS) -> None:
    """Runs a parameter server until training has ended.

    Training has ended when every worker has left (`Cluster.leave`). After the chief has left, the
    others get some time for their last steps, since some of them may have died.

    Args:
      task: of the job "ps".
      grace_secs: how long the other workers get, in seconds.

    Raises:
      OSError: if its port is taken.
    """
    server = _start(task)
    config = tf.ConfigProto(device_filters=[f"/job:ps/task:{task.index}"])
    left: set[int] = set()
    end = float("inf")
    with tf.Graph().as_default():
        queue = _workers_that_left(task.index)
        size, dequeue = queue.size(), queue.dequeue()
        with tf.Session(server.target, config=config) as session:
            while len(left) < len(task.workers) and time.monotonic() < end:
                # Polling, because an interrupt cannot end a call that waits.
                time.sleep(_POLL_SECS)
                for _ in range(session.run(size)):
                    left.add(int(session.run(dequeue)))
                    if 0 in left:
                        end = min(end, time.monotonic() + grace_secs)


def claim_step(limit: int | None) -> tf.Tensor:
    """Increments the global step before the step is taken.

    Workers that claim their steps take exactly `limit` steps together; if they counted a step
    only when it was done, they would take more. If a worker dies during a step, the step is
    counted although it was lost.

    Args:
      limit: the step at which training ends. A further claim raises
        tf.errors.OutOfRangeError, which ends a `tf.train.MonitoredSession` as the end of the
        data does. None for no end.

    Returns:
      int64 scalar: the global step before the increment.
    """
    step = tf.train.get_global_step()
    return tf.raw_ops.CountUpTo(ref=step._ref(), limit=_NO_LIMIT if limit is None else limit)


def _start(task: Task) -> tf.train.Server:
    spec = tf.train.ClusterSpec({"ps": list(task.ps), "worker": list(task.workers)})
    try:
        return tf.train.Server(spec, job_name=task.job, task_index=task.index)
    except tf.errors.OpError as error:
        address = (task.ps if task.job == "ps" else task.workers)[task.index]
        raise OSError(
            f"expected to listen at {address}, as TF_CONFIG says, got an error from this machine; "
            "if another process uses that port, choose another port or end the process"
        ) from error


def _workers_that_left(ps: int) -> tf.queue.QueueBase:
    """A parameter server's queue of the numbers of workers that have left."""
    with tf.device(f"/job:ps/task:{ps}"):
        return tf.queue.FIFOQueue(-1, tf.int32, shapes=(), shared_name="workers_that_left")


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_RETRY_SECS):
            return True
    except OSError:
        return False
