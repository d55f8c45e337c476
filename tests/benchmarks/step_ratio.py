r"""Compares training steps with those of TensorFlow 1's tools, in turns.

  ./bazelw run //tests/benchmarks:step_ratio
  ./bazelw run //tests/benchmarks:step_ratio -- --without_vnni

The network has depth multiplier 1.0, 224 x 224 pixels and 1001 classes; batches have 32 images. Two
processes take steps in turns: one as `train` does, the other in TensorFlow's own operations, as
TensorFlow 1's tools build the graph (see reference_step.py), in a session as TensorFlow sets it up.
The columns are the medians of elapsed and of processor seconds, and of the ratios of steps next to
each other.

Both processes use oneDNN. --without_vnni imitates a processor with AVX2 and without AVX-512 and
VNNI, on which TensorFlow leaves oneDNN off, and `train` turns it on; such a processor needs this
flag, too.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple
from unittest import mock

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import rich.console
import rich.table
from absl import flags

from classification.base import runner
from tests.benchmarks import training_speed
from tests.benchmarks.training_speed import Setting
from third_party.tensorflow import onednn

_STEPS = flags.DEFINE_integer("steps", 10, "Steps of each process.", lower_bound=1)
_WITHOUT_VNNI = flags.DEFINE_bool("without_vnni", False, "Imitate a processor without VNNI.")
_ONLY = flags.DEFINE_multi_enum(
    "only", [], ["quantised", "float"], "What to compare; default: all."
)

_WARM_UP = 3


class Taken(NamedTuple):
    """A step.

    Attributes:
      elapsed: seconds.
      processor: seconds of all cores.
    """

    elapsed: float
    processor: float


def compare(
    setting: Setting, *, quantize: bool, freeze_base: bool, without_vnni: bool
) -> tuple[list[Taken], list[Taken]]:
    """Takes `setting.steps` steps of each kind in turns; returns ours and the reference's."""
    limited = {"ONEDNN_MAX_CPU_ISA": "AVX2"} if without_vnni else {}
    theirs = limited | ({onednn.VARIABLE: "0"} if without_vnni else {})
    ours = limited | ({onednn.VARIABLE: "1"} if without_vnni else {})
    with (
        _process(setting, quantize, freeze_base, False, ours) as our,
        _process(setting, quantize, freeze_base, True, theirs) as their,
    ):
        steps = [(_take(our), _take(their)) for _ in range(setting.steps)]
    return [step for step, _ in steps], [step for _, step in steps]


@contextmanager
def _process(
    setting: Setting, quantize: bool, freeze_base: bool, reference: bool, variables: dict[str, str]
) -> Iterator[Connection]:
    """A process that takes a step for each message, after some that warm up."""
    here, there = multiprocessing.Pipe()
    # A forked process would share this one's TensorFlow, which is already set up.
    context = multiprocessing.get_context("spawn")
    process = context.Process(
        target=_serve, args=(there, setting, quantize, freeze_base, reference)
    )
    with mock.patch.dict(os.environ, variables):
        process.start()
    there.close()
    try:
        here.recv()
        yield here
    finally:
        here.close()
        process.join()


def _take(connection: Connection) -> Taken:
    connection.send(None)
    return Taken(*connection.recv())


def _serve(
    connection: Connection, setting: Setting, quantize: bool, freeze_base: bool, reference: bool
) -> None:
    with training_speed.step(
        setting, quantize=quantize, freeze_base=freeze_base, reference=reference
    ) as take:
        for _ in range(_WARM_UP):
            take()
        connection.send(None)
        while True:
            try:
                connection.recv()
            except EOFError:
                return
            begin, used = time.perf_counter(), time.process_time()
            take()
            connection.send((time.perf_counter() - begin, time.process_time() - used))


def show(name: str, ours: list[Taken], theirs: list[Taken], table: rich.table.Table) -> None:
    """Adds a row to the table."""

    def median(values: list[float], digits: str = ".2f") -> str:
        return format(statistics.median(values), digits)

    pairs = list(zip(ours, theirs, strict=True))
    table.add_row(
        name,
        *(median([step.elapsed for step in steps]) for steps in (ours, theirs)),
        *(median([step.processor for step in steps]) for steps in (ours, theirs)),
        median([our.elapsed / their.elapsed for our, their in pairs]),
        median([our.processor / their.processor for our, their in pairs]),
    )


def main() -> None:
    """Compares, and prints a table."""
    table = rich.table.Table(title=training_speed.machine())
    for title in ("step", "s", "reference", "CPU s", "reference", "ratio", "ratio of CPU"):
        table.add_column(title, justify="left" if title == "step" else "right")
    setting = Setting(steps=_STEPS.value)
    for quantize in (True, False):
        kind = "quantised" if quantize else "float"
        if _ONLY.value and kind not in _ONLY.value:
            continue
        for freeze_base in (False, True):
            found = compare(
                setting,
                quantize=quantize,
                freeze_base=freeze_base,
                without_vnni=_WITHOUT_VNNI.value,
            )
            show(f"{kind}, {'base frozen' if freeze_base else 'whole network'}", *found, table)
    rich.console.Console().print(table)


if __name__ == "__main__":
    runner.run(main)
