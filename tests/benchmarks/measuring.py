"""Time and memory of a step that runs in a process of its own."""

import dataclasses
import json
import os
import statistics
import subprocess
import sys

# By its path: imported, it would bring its flags along.
_PROCESS = os.path.join(os.path.dirname(__file__), "process.py")


@dataclasses.dataclass(frozen=True)
class Measured:
    """A step's figures.

    Attributes:
      first: what its first run in a process took, in seconds.
      median: of the runs after it, likewise.
      peak: the most memory that the process had, imports and input included, in bytes.
    """

    first: float
    median: float
    peak: int


def step(name: str, folder: str, runs: int) -> Measured:
    """Runs a step of `steps.STEPS`.

    Raises:
      RuntimeError: if it fails; it has then said why on standard error.
    """
    output, peak = run("--task=step", f"--step={name}", f"--folder={folder}", f"--runs={runs}")
    times = json.loads(output.splitlines()[-1])
    return Measured(times["first"], statistics.median(times["others"]), peak)


def run(*arguments: str) -> tuple[str, int]:
    """Runs `process` with arguments.

    Returns:
      What it printed on standard output, and the most memory that it had, in bytes. Linux counts
      that of this process, too, as it is where the other starts: it must be small.

    Raises:
      RuntimeError: if it fails; it has then said why on standard error.
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
            f"expected a process to end with 0, got {child.returncode} of "
            f"{os.path.basename(_PROCESS)} {' '.join(arguments)}: see what it said above"
        )
    return output, usage.ru_maxrss * 1024
