r"""Measures training: seconds a step, images/s and peak memory.

  ./bazelw run //tests/benchmarks:train_step
  ./bazelw run //tests/benchmarks:train_step -- --only=float_whole --only=quantised_whole
  ./bazelw run //tests/benchmarks:train_step -- --only=input_pipeline --dataset_dir=DIR

All is of 1.0/224, 1001 classes and batches of 32. Each row is measured in a process of its own:

  *_whole, *_frozen   steps on one random batch that stays the same, all of the network trained,
                      or what stands above a frozen base
  *_cached            steps on features that the frozen base gave before (random ones here), as
                      --cache_features takes them: session, hooks and feeding included
  input_pipeline      batches for training out of TFRecords, read, decoded and distorted
  convert_images      JPEG files made TFRecords

Images are 256 pixels on their short side: 512 parts of two photographs, unless --dataset_dir
names others for the pipeline. Seconds are those a batch takes, by the median of --steps runs and
the best of them, after others that warm up; images/s follow from the median. A run is a step, of
*_cached 30 steps measured each, of the pipeline 16 batches; conversion has three runs.

Memory, in 10^9 bytes, is the most that the process had, Python and TensorFlow included. What is
beyond its limit is told so; the exit status is 0.

A matrix product before and after each row tells how much of the machine there was to be had.
The limits in seconds were measured where it reached 220 GFLOP/s: beside a row's median stands
what that comes to at this rate, if all that the row does scales as the product does. Verdicts
are of the median itself; ratios of rows do not depend on the machine much.
"""

import io
import os
import platform
import re
import statistics
import sys
from collections.abc import Collection, Mapping

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import rich.box
import rich.console
import rich.table
import rich.text
from absl import flags

from classification.base import runner
from classification.data.dataset import open_dataset
from tests.benchmarks import training_speed
from tests.benchmarks.training_speed import MEASUREMENTS, Measured, Setting
from transforms.base import path_flags

_STEPS = flags.DEFINE_integer("steps", 10, "Runs of each measurement.", lower_bound=1)
_ONLY = flags.DEFINE_multi_enum(
    "only",
    [],
    list(MEASUREMENTS),
    "A row to measure; may be given several times. Default: all. The limit of *_cached is a "
    "multiple of *_frozen, which it needs.",
)
_DATASET_DIR = path_flags.define(
    "dataset_dir",
    "",
    "Folder of TFRecords, train-*, for the input pipeline. Default: those of the 512 images.",
)

# What a product of matrices reached, in FLOP/s, where the limits in seconds were measured.
_LIMITS_RATE = 220e9
# Of 32 images: seconds, and bytes. Those of the whole network are what the reference takes.
_MOST_SECONDS = {
    "float_whole": 1.01,
    "quantised_whole": 2.12,
    "float_frozen": 0.33,
    "quantised_frozen": 0.33,
}
_MOST_BYTES = {"float_whole": 3.6e9, "quantised_whole": 3.6e9}
_LEAST_IMAGES_PER_SECOND = {"input_pipeline": 300, "convert_images": 300}
# As many times the images/s of another row.
_LEAST_TIMES = {
    "float_cached": (20, "float_frozen"),
    "quantised_cached": (20, "quantised_frozen"),
}

_WIDTH_OF_A_FILE = 120


def limits(name: str, measured: Mapping[str, Measured]) -> str:
    """A measurement's limits, and whether they are met.

    Args:
      name: which.
      measured: it, and others that it may be compared with.
    """
    figures = measured[name]
    found = []
    if name in _MOST_SECONDS:
        most = _MOST_SECONDS[name]
        found.append(f"at most {most} s: {_verdict(figures.median <= most)}")
    if name in _MOST_BYTES:
        most = _MOST_BYTES[name]
        found.append(f"{most / 1e9} GB: {_verdict(figures.peak <= most)}")
    if name in _LEAST_IMAGES_PER_SECOND:
        least = _LEAST_IMAGES_PER_SECOND[name]
        met = figures.images_per_second >= least
        found.append(f"at least {least} images/s: {_verdict(met)}")
    if name in _LEAST_TIMES:
        least, other = _LEAST_TIMES[name]
        text = f"at least {least} x {other}"
        if other in measured:
            times = figures.images_per_second / measured[other].images_per_second
            text += f": {times:.1f} x, {_verdict(times >= least)}"
        found.append(text)
    return "; ".join(found)


def show(
    measured: Mapping[str, Measured],
    rates: Mapping[str, float],
    *,
    console: rich.console.Console | None = None,
) -> None:
    """Prints a table of measurements: with a line on a terminal, elsewhere in plain columns.

    Below it stands what the limits were measured at.

    Args:
      measured: by their names, at least one; all with batches of one size.
      rates: what a matrix product reached around each of them, in FLOP/s.
      console: standard output by default.
    """
    console = console or rich.console.Console(highlight=False)
    live = console.is_terminal
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD if live else None, pad_edge=live)
    table.add_column(f"{next(iter(measured.values())).batch_size} images")
    for head in ("median", "scaled", "best", "images/s", "memory"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("limit")
    for name, figures in measured.items():
        table.add_row(
            name,
            _seconds(figures.median),
            _seconds(figures.median * rates[name] / _LIMITS_RATE),
            _seconds(min(figures.seconds)),
            f"{figures.images_per_second:,.0f}",
            f"{figures.peak / 1e9:.2f} GB",
            limits(name, measured),
        )
    if live:
        console.print(table)
    else:
        # What is written to a file is else as narrow as the narrowest terminal.
        plain = io.StringIO()
        rich.console.Console(file=plain, width=_WIDTH_OF_A_FILE).print(table)
        text = "\n".join(line.rstrip() for line in plain.getvalue().splitlines())
        console.print(rich.text.Text(text), soft_wrap=True)
    console.print(_scale(rates), soft_wrap=True)


def machine() -> str:
    """The processor, how many of its cores this process may use, and the memory."""
    with open("/proc/cpuinfo") as file:
        information = file.read()
    found = re.search(r"^model name\s*: (.*)$", information, re.MULTILINE)
    name = found[1] if found else platform.machine()
    vectors = " with AVX-512" if re.search(r"\bavx512f\b", information) else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}{vectors}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB"


def run(setting: Setting, names: Collection[str]) -> None:
    """Measures, and prints what came of it with the machine.

    Args:
      setting: what to measure on.
      names: of the `MEASUREMENTS` to take.

    Raises:
      ValueError, OSError, ArithmeticError, tf.errors.OpError: see `training_speed.measure`.
    """
    print(machine(), flush=True)
    measured, rates = {}, {}
    # Here, and not where a row is measured, whose peak of memory it would be part of.
    after = training_speed.matrix_product()
    for name in names:
        before = after
        print(f"Measuring {name} …", file=sys.stderr, flush=True)
        measured[name] = training_speed.measure(name, setting)
        after = training_speed.matrix_product()
        rates[name] = statistics.mean([before, after])
    show(measured, rates)


def main() -> None:
    """Measures what flags ask for."""
    if _DATASET_DIR.value:
        # What is wrong with it is told before minutes of other measurements.
        open_dataset(_DATASET_DIR.value, "train")
    setting = Setting(dataset_dir=_DATASET_DIR.value, steps=_STEPS.value)
    run(setting, [name for name in MEASUREMENTS if not _ONLY.value or name in _ONLY.value])


def _scale(rates: Mapping[str, float]) -> str:
    """What the limits were measured at, and what was reached, in a sentence."""
    least, most = (f"{rate / 1e9:.0f}" for rate in (min(rates.values()), max(rates.values())))
    reached = least if least == most else f"{least} to {most}"
    return (
        "The limits in seconds were measured where a 4096 x 4096 matrix product reached "
        f"{_LIMITS_RATE / 1e9:.0f} GFLOP/s; here it reached {reached}, and scaled is the median "
        "times this, of before and after the row, over that."
    )


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "missed"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= 0.1 else f"{1000 * seconds:.2f} ms"


if __name__ == "__main__":
    runner.run(main)
