"""Measures time and memory of a step in another process."""

import dataclasses
import json
import os
import statistics
import subprocess
import sys

# Its path, since importing it would define its flags.
_PROCESS = os.path.join(os.path.dirname(__file__), "process.py")


@dataclasses.dataclass(frozen=True)
class Measured:
    """Time and memory of a step.

    Attributes:
      first: the time of its first run in a process, in seconds.
      median: the median time of the other runs, in seconds.
      peak: the peak memory of the process, including imports and input, in bytes.
    """

    first: float
    median: float
    peak: int


def step(name: str, folder: str, runs: int) -> Measured:
    """Measures a step of `steps.STEPS`.

    Args:
      name: the step's name.
      folder: the folder of its files.
      runs: the number of runs after the first.

    Raises:
      RuntimeError: if it fails, after it has printed why on standard error.
    """
    output, peak = run("--task=step", f"--step={name}", f"--folder={folder}", f"--runs={runs}")
    times = json.loads(output.splitlines()[-1])
    return Measured(times["first"], statistics.median(times["others"]), peak)


def run(*arguments: str) -> tuple[str, int]:
    """Runs `process` with arguments.

    Returns:
      Its standard output, and its peak memory in bytes. Linux includes the memory that this process
      has when it starts the other, so it must be small.

    Raises:
      RuntimeError: if it fails, after it has printed why on standard error.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen(
        [sys.executable, _PROCESS, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert child.stdout is not None
    with child.stdout:
        output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(
            f"expected exit status 0 of {os.path.basename(_PROCESS)} {' '.join(arguments)}, got "
            f"{child.returncode}; see its output above"
        )
    return output, usage.ru_maxrss * 1024
