"""Starts small clusters of real processes on loopback, for tests."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence

# Shortly before Bazel's time limit for the test, which has just started.
_DEADLINE = time.monotonic() + 0.9 * float(os.environ.get("TEST_TIMEOUT", "inf"))


class Processes(contextlib.ExitStack):
    """Processes of a cluster, with names such as "worker 0" and their places in TF_CONFIG.

    A context manager: when it exits, all of them are killed.
    """

    def __init__(self, command: Sequence[str | pathlib.Path], jobs: Mapping[str, int], folder: str):
        """Chooses free ports; starts nothing.

        A process that has not ended shortly before Bazel's time limit fails the test, so that
        what the processes have printed is shown.

        Args:
          command: what each process runs.
          jobs: the number of processes of each job.
          folder: for the output of the processes.
        """
        super().__init__()
        self._command = command
        self._folder = folder
        self._cluster = {job: [self._address() for _ in range(n)] for job, n in jobs.items()}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        # Where the output of a process's last start begins in its file.
        self._begins: dict[str, int] = {}
        self.callback(self._kill_all)

    def start(self, *names: str) -> None:
        """Starts processes, or starts them again after they were killed."""
        for name in names:
            job, index = name.split()
            task = {"type": job, "index": int(index)}
            config = json.dumps({"cluster": self._cluster, "task": task})
            with open(self._path(name), "ab") as file:
                self._begins[name] = file.tell()
                self._running[name] = subprocess.Popen(
                    self._command,
                    env={**os.environ, "TF_CONFIG": config, "PYTHONUNBUFFERED": "1"},
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )

    def wait_for(self, name: str, pattern: str) -> str:
        """Waits until the output of a process since its last start matches.

        Returns:
          What the pattern's group matched, or else the complete match.

        Raises:
          AssertionError: if the process ends before that, or the time is over.
        """
        while True:
            # First, so that the last output of a process is not missed.
            ended = self._running[name].poll() is not None
            if found := re.search(pattern, self.printed(name)):
                return found[found.lastindex or 0]
            if ended or time.monotonic() > _DEADLINE:
                raise AssertionError(f"{name} did not print {pattern}\n{self._all_printed()}")
            time.sleep(0.05)

    @contextlib.contextmanager
    def suspended(self, name: str) -> Iterator[None]:
        """Stops a process while the context is open."""
        process = self._running[name]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def kill(self, *names: str) -> None:
        """Ends processes with a signal that they cannot handle."""
        for name in names:
            process = self._running.pop(name)
            process.kill()
            process.wait()

    def end(self) -> None:
        """Waits until all have ended.

        Raises:
          AssertionError: if one does not end in time, or its exit status is not 0.
        """
        for name, process in self._running.items():
            try:
                status = process.wait(max(0.0, _DEADLINE - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{name} does not end\n{self._all_printed()}") from None
            if status:
                raise AssertionError(f"{name} ended with {status}\n{self._all_printed()}")

    def printed(self, name: str) -> str:
        """The output of a process since its last start."""
        return self._printed_from(name, self._begins[name])

    def _kill_all(self) -> None:
        self.kill(*list(self._running))

    def _printed_from(self, name: str, begin: int) -> str:
        return pathlib.Path(self._path(name)).read_bytes()[begin:].decode(errors="replace")

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, f"{name}.txt")

    def _all_printed(self) -> str:
        return "".join(f"--- {name}\n{self._printed_from(name, 0)}" for name in self._begins)

    def _address(self) -> str:
        """An address on loopback that no other process gets before this context ends."""
        port = self.enter_context(socket.socket())
        # With this option, which servers also set, a server can listen at this socket's port.
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{port.getsockname()[1]}"
