r"""Measures training: seconds per step, images/s and peak memory.

  ./bazelw run //tests/benchmarks:train_step
  ./bazelw run //tests/benchmarks:train_step -- --only=float_whole --only=quantised_whole
  ./bazelw run //tests/benchmarks:train_step -- --only=input_pipeline --dataset_dir=DIR

The network has depth multiplier 1.0, 224 x 224 pixels and 1001 classes; batches have 32 images.
Each row is measured in another process:

  *_whole, *_frozen   steps on the same random batch, for the entire network, or only for the layers
                      above a frozen base
  *_cached            steps on cached features of the frozen base (random ones here), as with
                      --cache_features, including session, hooks and feeding
  input_pipeline      batches for training from TFRecords: read, decode and distort
  convert_images      conversion of JPEG files to TFRecords

Images are 256 pixels on their short side: 512 parts of two photos, unless --dataset_dir names
others for the pipeline. The table has seconds per batch: the median and the best of --steps runs,
after some to warm up. Images/s are computed from the median. A run is one step; for *_cached, each
of 30 steps is measured; for the pipeline, a run is 16 batches; conversion has three runs.

Memory, in 10^9 bytes, is the peak of the process, including Python and TensorFlow. The last column
says whether limits are met; the exit status is 0 in either case.

A matrix product before and after each row measures how fast the machine is at that time. The limits
in seconds were measured on a machine on which it reached 220 GFLOP/s. The column "scaled" is the
median, scaled to this rate, if the row's work scales like the product. Limits are compared with the
median itself. Ratios of rows depend little on the machine.
"""

import io
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
from imprinting.base import path_flags
from tests.benchmarks import training_speed
from tests.benchmarks.training_speed import MEASUREMENTS, Measured, Setting

_STEPS = flags.DEFINE_integer("steps", 10, "Runs of each measurement.", lower_bound=1)
_ONLY = flags.DEFINE_multi_enum(
    "only",
    [],
    list(MEASUREMENTS),
    "A row to measure. May be repeated. Default: all. The limit of *_cached is a multiple of "
    "*_frozen, which must then be measured, too.",
)
_DATASET_DIR = path_flags.define(
    "dataset_dir",
    "",
    "Folder of TFRecords, train-*, for the input pipeline. Default: TFRecords of the 512 images.",
)

# The rate of a matrix product, in FLOP/s, on the machine on which limits in seconds were measured.
_LIMITS_RATE = 220e9
# Limits for 32 images in seconds, and in bytes. Those of the entire network are the reference's.
_MOST_SECONDS = {
    "float_whole": 1.01,
    "quantised_whole": 2.12,
    "float_frozen": 0.33,
    "quantised_frozen": 0.33,
}
_MOST_BYTES = {"float_whole": 3.6e9, "quantised_whole": 3.6e9}
_LEAST_IMAGES_PER_SECOND = {"input_pipeline": 300, "convert_images": 300}
# Limits of images/s as a multiple of another row.
_LEAST_TIMES = {
    "float_cached": (20, "float_frozen"),
    "quantised_cached": (20, "quantised_frozen"),
}

_WIDTH_OF_A_FILE = 120


def limits(name: str, measured: Mapping[str, Measured]) -> str:
    """Returns a measurement's limits, and whether they are met, as text.

    Args:
      name: the measurement's name.
      measured: name -> result of all measurements.
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
    """Prints a table of measurements, with a horizontal line on a terminal, else in plain columns.

    A sentence about the speed of the machine follows.

    Args:
      measured: name -> result, at least one; all with the same batch size.
      rates: name -> rate of a matrix product around that measurement, in FLOP/s.
      console: where to print; standard output by default.
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
        # Without a width, output to a file would be as narrow as a small terminal.
        plain = io.StringIO()
        rich.console.Console(file=plain, width=_WIDTH_OF_A_FILE).print(table)
        text = "\n".join(line.rstrip() for line in plain.getvalue().splitlines())
        console.print(rich.text.Text(text), soft_wrap=True)
    console.print(_scale(rates), soft_wrap=True)


def run(setting: Setting, names: Collection[str]) -> None:
    """Measures, and prints the machine and the results.

    Args:
      setting: the setting of the measurements.
      names: names of `MEASUREMENTS`.

    Raises:
      ValueError, OSError, ArithmeticError, tf.errors.OpError: see `training_speed.measure`.
    """
    print(training_speed.machine(), flush=True)
    measured, rates = {}, {}
    # In this process, since it would change the peak memory of a row's process.
    after = training_speed.matrix_product()
    for name in names:
        before = after
        print(f"Measuring {name} …", file=sys.stderr, flush=True)
        measured[name] = training_speed.measure(name, setting)
        after = training_speed.matrix_product()
        rates[name] = statistics.mean([before, after])
    show(measured, rates)


def main() -> None:
    """Takes the measurements that the flags select."""
    if _DATASET_DIR.value:
        # Report errors before minutes of other measurements.
        open_dataset(_DATASET_DIR.value, "train")
    setting = Setting(dataset_dir=_DATASET_DIR.value, steps=_STEPS.value)
    run(setting, [name for name in MEASUREMENTS if not _ONLY.value or name in _ONLY.value])


def _scale(rates: Mapping[str, float]) -> str:
    """A sentence with the rate for the limits and the rates of this machine."""
    least, most = (f"{rate / 1e9:.0f}" for rate in (min(rates.values()), max(rates.values())))
    reached = least if least == most else f"{least} to {most}"
    return (
        "The limits in seconds were measured on a machine on which a 4096 x 4096 matrix product "
        f"reached {_LIMITS_RATE / 1e9:.0f} GFLOP/s; here it reached {reached}. The column scaled "
        "is the median, multiplied by the rate here before and after the row, divided by that rate."
    )


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "missed"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= 0.1 else f"{1000 * seconds:.2f} ms"


if __name__ == "__main__":
    runner.run(main)
