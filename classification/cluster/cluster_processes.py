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

# When this process, which has just begun, has nearly used up the time that Bazel gives a test.
_DEADLINE = time.monotonic() + 0.9 * float(os.environ.get("TEST_TIMEOUT", "inf"))


class Processes:
    """Processes that TF_CONFIG tells each its place, by names as "worker 0".

    A context manager: at its end none of them is left.
    """

    def __init__(self, command: Sequence[str | pathlib.Path], jobs: Mapping[str, int], folder: str):
        """Chooses free ports; nothing is started.

        What does not end is taken for hanging shortly before Bazel ends the whole test, so that
        what the processes have printed is shown.

        Args:
          command: what each process runs.
          jobs: how many there are of each job.
          folder: for what they print.
        """
        self._command = command
        self._folder = folder
        self._ports: list[socket.socket] = []
        self._cluster = {job: [self._address() for _ in range(n)] for job, n in jobs.items()}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        # Where, in what a process has printed, begins what it has since it was last started.
        self._begins: dict[str, int] = {}

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *error: object) -> None:
        self.kill(*list(self._running))
        for port in self._ports:
            port.close()

    def start(self, *names: str) -> None:
        """Starts processes, those too that were killed."""
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
        """Waits until a process has printed what matches, since it was last started.

        Returns:
          What the pattern's group matched, or all of it.

        Raises:
          AssertionError: if the process ends before, or the time is over.
        """
        while True:
            # Asked first, so that what it printed last is seen.
            ended = self._running[name].poll() is not None
            if found := re.search(pattern, self.printed(name)):
                return found[found.lastindex or 0]
            if ended or time.monotonic() > _DEADLINE:
                raise AssertionError(f"{name} did not print {pattern}\n{self._all_printed()}")
            time.sleep(0.05)

    @contextlib.contextmanager
    def suspended(self, name: str) -> Iterator[None]:
        """Lets a process do nothing while the context is open."""
        process = self._running[name]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def kill(self, *names: str) -> None:
        """Ends processes, with a signal that none can do anything about."""
        for name in names:
            process = self._running.pop(name)
            process.kill()
            process.wait()

    def end(self) -> None:
        """Waits until all have ended.

        Raises:
          AssertionError: if one has not in time, or its exit status is not 0.
        """
        for name, process in self._running.items():
            try:
                status = process.wait(max(0.0, _DEADLINE - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{name} does not end\n{self._all_printed()}") from None
            if status:
                raise AssertionError(f"{name} ended with {status}\n{self._all_printed()}")

    def printed(self, name: str) -> str:
        """What a process has printed since it was last started."""
        return self._printed_from(name, self._begins[name])

    def _printed_from(self, name: str, begin: int) -> str:
        return pathlib.Path(self._path(name)).read_bytes()[begin:].decode(errors="replace")

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, f"{name}.txt")

    def _all_printed(self) -> str:
        return "".join(f"--- {name}\n{self._printed_from(name, 0)}" for name in self._begins)

    def _address(self) -> str:
        """One on loopback that no other process is given before this context ends."""
        port = socket.socket()
        # Lets a server listen there, which asks for the same, while this socket keeps it.
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port.bind(("127.0.0.1", 0))
        self._ports.append(port)
        return f"127.0.0.1:{port.getsockname()[1]}"
