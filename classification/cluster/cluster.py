"""Processes that train one network together: parameter servers and workers, over gRPC.

Parameter servers hold the variables; each worker computes gradients on its part of the data.
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

from classification.cluster.cluster_spec import Task

# How long parameter servers serve other workers, once the chief's training has ended.
_GRACE_SECS = 30.0
_POLL_SECS = 0.2
_RETRY_SECS = 1.0
_CLOSE_SECS = 5.0
_WORD_MILLISECONDS = 10_000
_NO_LIMIT = 2**63 - 1


class TrainingEnded(Exception):
    """What a session needs is gone, since the training that it was part of has ended."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Where this process stands among those that train one network.

    Attributes:
      master: address of the TensorFlow server that a session connects to; '': this process.
      worker: number of this worker; 0 is the chief, which writes all files.
      num_workers: among how many workers the data is divided.
      num_ps: how many parameter servers hold the variables; 0 for none.
      ps: their addresses, where they are known.
      server: this worker's own, kept so that it goes on to run.
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
        """Where variables and operations are put: what `tf.device` takes."""
        if not self.num_ps:
            return None
        return tf.train.replica_device_setter(ps_tasks=self.num_ps, worker_device=self._device)

    def session_config(self) -> tf.ConfigProto:
        """A session's, which waits for parameter servers, but for no other worker."""
        config = tf.ConfigProto(device_filters=["/job:ps", self._device] if self.num_ps else [])
        # Half of what a training takes to begin, for steps that are no faster.
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        return config

    def session_creator(
        self,
        scaffold: tf.train.Scaffold,
        checkpoint_dir: str,
        *,
        ended: Callable[[], bool],
        on_return: Callable[[tf.Session], None] | None = None,
    ) -> tf.train.SessionCreator:
        """What `tf.train.MonitoredSession` makes, and after a failure makes anew, sessions with.

        A chief initialises the variables, or restores them from the newest checkpoint. Where
        TF_CONFIG told of parameter servers, a chief that comes back to them while they still
        hold the values goes on from these instead.

        Args:
          scaffold: what is initialised and restored.
          checkpoint_dir: where the chief looks for checkpoints.
          ended: whether the training has ended meanwhile; asked while servers, or the chief's
            values, are not there, and the session is then refused with `TrainingEnded`. May
            raise what shall end the waiting.
          on_return: called where a chief has come back.
        """
        config = self.session_config()
        chief = None
        if self.is_chief:
            chief = tf.train.ChiefSessionCreator(
                scaffold, master=self.master, config=config, checkpoint_dir=checkpoint_dir
            )
            if not self.master:
                return chief
        return _Joining(self, scaffold, chief, ended, on_return)

    def leave(self) -> None:
        """Tells parameter servers that this worker needs them no more; none need be there."""
        for index, address in enumerate(self.ps):
            if not _listens(address):
                continue
            config = tf.ConfigProto(
                device_filters=[f"/job:ps/task:{index}", self._device],
                operation_timeout_in_ms=_WORD_MILLISECONDS,
            )
            with tf.Graph().as_default():
                word = _words(index).enqueue(self.worker)
                try:
                    with tf.Session(self.master, config=config) as session:
                        session.run(word)
                except tf.errors.OpError:
                    # Gone in this very moment: it has heard it from others.
                    continue


class _Joining(tf.train.SessionCreator):
    """Waits for servers, and for the variables' values, unless training has ended."""

    def __init__(
        self,
        cluster: Cluster,
        scaffold: tf.train.Scaffold,
        chief: tf.train.ChiefSessionCreator | None,
        ended: Callable[[], bool],
        on_return: Callable[[tf.Session], None] | None,
    ):
        self._cluster = cluster
        self._chief = chief
        self._ended = ended
        self._on_return = on_return
        self._told = ""
        self._worker = tf.train.WorkerSessionCreator(
            scaffold, cluster.master, config=cluster.session_config(), max_wait_secs=0
        )

    def create_session(self) -> tf.Session:
        self._told = ""
        while True:
            self._wait_for_servers()
            if self._chief is not None and not self._cluster.ps:
                # Servers that a user started may still hold values of another training.
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
        """Lets some time pass, unless training has ended; says once what is missing."""
        if self._ended():
            raise TrainingEnded(f"expected {missing} {where}, but training has ended")
        if missing != self._told:
            print(f"Waiting for {missing} {where}.", flush=True)
            self._told = missing
        time.sleep(_RETRY_SECS)


def _with_bounded_close(session: tf.Session) -> tf.Session:
    """The session, closing which no longer waits until servers that are gone are back."""
    close = session.close

    def close_quietly() -> None:
        with contextlib.suppress(tf.errors.OpError):
            close()

    def bounded_close() -> None:
        # A session that is deleted is closed again, when it may be too late for a thread.
        session.close = close
        thread = threading.Thread(target=close_quietly, daemon=True)
        thread.start()
        thread.join(_CLOSE_SECS)

    session.close = bounded_close
    return session


def from_flags(*, master: str, task: int, ps_tasks: int, worker_replicas: int = 1) -> Cluster:
    """The place of a process whose servers, its own too, its user has started.

    Args:
      master: address of the TensorFlow server to run on, grpc://HOST:PORT; '': this process.
      task: number of this worker; 0 is the chief.
      ps_tasks: parameter servers of the cluster that `master` belongs to.
      worker_replicas: workers of that cluster; where it is 1, as many as task implies.

    Raises:
      ValueError: if a number is out of range, master is no address, servers are counted but
        none is named, or several workers have no parameter server.
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
            "expected --master=grpc://HOST:PORT with --task, --ps_tasks and --worker_replicas: the "
            "server of this worker, through which it reaches the parameter servers"
        )
    if not ps_tasks and (task or worker_replicas > 1):
        raise ValueError(
            "expected --ps_tasks of at least 1 with --task above 0 or --worker_replicas above 1: "
            "workers share the variables that parameter servers hold"
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
    """Is a parameter server until training has ended.

    It has when every worker has said so (`Cluster.leave`); or when the chief has, and others,
    which may have died, have had some time for their last steps.

    Args:
      task: of the job "ps".
      grace_secs: that time.

    Raises:
      OSError: if its port is taken.
    """
    server = _start(task)
    config = tf.ConfigProto(device_filters=[f"/job:ps/task:{task.index}"])
    gone: set[int] = set()
    end = float("inf")
    with tf.Graph().as_default():
        words = _words(task.index)
        count, word = words.size(), words.dequeue()
        with tf.Session(server.target, config=config) as session:
            while len(gone) < len(task.workers) and time.monotonic() < end:
                # Polled, since an interrupt cannot end a call that waits.
                time.sleep(_POLL_SECS)
                for _ in range(session.run(count)):
                    gone.add(int(session.run(word)))
                    if 0 in gone:
                        end = min(end, time.monotonic() + grace_secs)


def claim_step(limit: int | None) -> tf.Tensor:
    """Counts the global step on by one, before the step that it counts is taken.

    Workers that do so, each for itself, take `limit` steps together and no more, while those
    that count their steps when these are done overshoot. The step of a worker that dies in it
    is counted, and lost.

    Args:
      limit: where training ends: another claim raises tf.errors.OutOfRangeError, which ends
        a `tf.train.MonitoredSession` as the end of the data does. None: nowhere.

    Returns:
      int64 scalar: the global step before.
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
            f"expected to listen at {address}, as TF_CONFIG says; this machine does not let us: "
            "is another process there? Choose another port, or end that process"
        ) from error


def _words(ps: int) -> tf.queue.QueueBase:
    """The queue, on a parameter server, of the numbers of workers that have left."""
    with tf.device(f"/job:ps/task:{ps}"):
        return tf.queue.FIFOQueue(-1, tf.int32, shapes=(), shared_name="workers_that_left")


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_RETRY_SECS):
            return True
    except OSError:
        return False
