r"""Measures training by several workers on this machine: images/s, and bytes for each step.

  ./bazelw run //tests/benchmarks:cluster_scaling
  ./bazelw run //tests/benchmarks:cluster_scaling -- --workers=1 --workers=2

For each number of workers, a parameter server and the workers train on handwritten digits, as the
command `train` does with TF_CONFIG. Each process computes with one thread, so that a worker stands
for a machine as long as there is a core for it. The networks are that of the digits (32 x 32
pixels, depth multiplier 0.25), and one of 224 x 224 pixels with depth multiplier 1.0 and 1001
classes. Both are float; batches have 32 images.

The bytes are those that this machine sends to itself, divided by the number of steps: weights to
the worker and gradients to the server. Other programs must not use loopback meanwhile.
"""

import os
import re
import tempfile
import time
from typing import NamedTuple
from unittest import mock

import rich.console
import rich.table
from absl import flags

from classification.cluster.cluster_processes import Processes
from imprinting.base import program
from tests import runfiles

_WORKERS = flags.DEFINE_multi_integer(
    "workers", [1, 2, 4], "A number of workers. May be repeated.", lower_bound=1
)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Global steps to measure. Default: 600 and 24.", lower_bound=1
)

_BATCH_SIZE = 32
_NETWORKS: dict[str, tuple[str, ...]] = {
    "digits": (),
    "1.0/224": ("--image_size=224", "--depth_multiplier=1", "--num_classes=1001"),
}
_STEPS_OF = {"digits": 600, "1.0/224": 24}
# In seconds.
_LONGEST_STEP = 120
# Steps of each worker before the measurement.
_WARM_UP = 3


class Speed(NamedTuple):
    """What was measured.

    Attributes:
      images: per second, of all workers together.
      step_bytes: bytes on loopback for each step of a worker.
    """

    images: float
    step_bytes: float


def measure(network: str, *, workers: int, steps: int) -> Speed:
    """Trains with a number of workers, and measures that many global steps."""
    command = [
        str(runfiles.path("classification/mobilenet_v1_l2norm_train")),
        *_NETWORKS[network],
        f"--batch_size={_BATCH_SIZE}",
        "--quantize=false",
        "--number_of_steps=1000000",
        "--save_interval_secs=100000",
        "--save_summaries_secs=0",
        "--log_every_n_steps=1",
    ]
    others = [f"worker {index}" for index in range(workers - 1)]
    jobs = {"ps": 1, "chief": 1} | ({"worker": len(others)} if others else {})
    one_thread = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, one_thread):
        command.append(f"--checkpoint_dir={folder}/network")
        with Processes(command, jobs, folder) as processes:
            processes.start("ps 0", "chief 0", *others)
            for name in ("chief 0", *others):
                processes.wait_for(name, r"(?m)^step \d+/")
            first = _wait(processes, _last_step(processes) + _WARM_UP * workers)
            begin, sent = time.perf_counter(), _sent()
            last = _wait(processes, first + steps)
            seconds, sent = time.perf_counter() - begin, _sent() - sent
    return Speed((last - first) * _BATCH_SIZE / seconds, sent / (last - first))


def _wait(processes: Processes, step: int) -> int:
    """Waits until the chief has taken a step or a later one; returns the newest.

    Raises:
      RuntimeError: if it takes no step for a long time.
    """
    newest, since = 0, time.monotonic()
    while newest < step:
        time.sleep(0.05)
        if (found := _last_step(processes)) > newest:
            newest, since = found, time.monotonic()
        elif time.monotonic() - since > _LONGEST_STEP:
            raise RuntimeError(
                f"expected a step of the chief within {_LONGEST_STEP} s, got none; it printed\n"
                f"{processes.printed('chief 0')}"
            )
    return newest


def _last_step(processes: Processes) -> int:
    return int(re.findall(r"(?m)^step (\d+)/", processes.printed("chief 0"))[-1])


def _sent() -> int:
    """The number of bytes that this machine has sent to itself."""
    with open("/proc/self/net/dev") as file:
        (fields,) = re.findall(r"(?m)^\s*lo:(.*)$", file.read())
    # Eight columns about what was received come first.
    return int(fields.split()[8])


def main() -> None:
    """Measures, and prints a table."""
    table = rich.table.Table("network", "workers", "images/s", "MB per step")
    for network in _NETWORKS:
        for workers in _WORKERS.value:
            speed = measure(network, workers=workers, steps=_STEPS.value or _STEPS_OF[network])
            table.add_row(
                network, str(workers), f"{speed.images:.1f}", f"{speed.step_bytes / 1e6:.2f}"
            )
    rich.console.Console().print(table)


if __name__ == "__main__":
    program.run(main, user_errors=(RuntimeError,))
