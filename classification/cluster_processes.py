"""Starts small clusters of real processes on loopback, for tests."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence


class Processes:
    """Processes that TF_CONFIG tells each its place, by names as "worker 0".

    A context manager: at its end none of them is left.
    """

    def __init__(
        self, command: Sequence[str | pathlib.Path], jobs: Mapping[str, int], folder: str, secs: int
    ):
        """Chooses free ports; nothing is started.

        Args:
          command: what each process runs.
          jobs: how many there are of each job.
          folder: for what they print.
          secs: from now on, until what does not end is taken for hanging.
        """
        self._command = command
        self._folder = folder
        self._deadline = time.monotonic() + secs
        addresses = iter(free_addresses(sum(jobs.values())))
        self._cluster = {job: [next(addresses) for _ in range(n)] for job, n in jobs.items()}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *error: object) -> None:
        self.kill(*list(self._running))

    def start(self, *names: str) -> None:
        """Starts processes, those too that were killed."""
        for name in names:
            job, index = name.split()
            task = {"type": job, "index": int(index)}
            config = json.dumps({"cluster": self._cluster, "task": task})
            with open(self._path(name), "wb") as file:
                self._running[name] = subprocess.Popen(
                    self._command,
                    env={**os.environ, "TF_CONFIG": config, "PYTHONUNBUFFERED": "1"},
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )

    def wait_for(self, name: str, pattern: str) -> int:
        """Waits until a process has printed what matches.

        Returns:
          The pattern's group, a number.

        Raises:
          AssertionError: if the process ends before, or the time is over.
        """
        while True:
            # Asked first, so that what it printed last is seen.
            ended = self._running[name].poll() is not None
            if found := re.search(pattern, self.printed(name)):
                return int(found[1])
            if ended or time.monotonic() > self._deadline:
                raise AssertionError(f"{name} did not print {pattern}\n{self._all_printed()}")
            time.sleep(0.05)

    def send(self, name: str, number: signal.Signals) -> None:
        """Sends a process a signal."""
        self._running[name].send_signal(number)

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
                status = process.wait(max(0.0, self._deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{name} does not end\n{self._all_printed()}") from None
            if status:
                raise AssertionError(f"{name} ended with {status}\n{self._all_printed()}")

    def printed(self, name: str) -> str:
        """What a process has printed since it was last started."""
        return pathlib.Path(self._path(name)).read_text(errors="replace")

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, f"{name}.txt")

    def _all_printed(self) -> str:
        return "".join(f"--- {name}\n{self.printed(name)}" for name in self._running)


def free_addresses(count: int) -> list[str]:
    """Addresses on loopback where nobody listens."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses
