"""Evaluates a MobileNet V1 with an L2-normalised embedding and last layer.

  ./bazelw run eval

evaluates the newest network below models/ on the images that were held out when it was
trained. Another network, and other data:

  ./bazelw run eval -- --checkpoint_dir=DIR --dataset_dir=DIR

What the network is, stands in the `model.json` beside its checkpoints; where there is
none, --image_size, --num_classes, --depth_multiplier and --quantize tell. Every image
counts once, whatever the batch size.
"""

import os
import sys
import time
from types import TracebackType

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import rich.console
import rich.progress
from absl import flags

from classification import checkpoints, evaluation, network_flags, program
from classification.data.dataset import Dataset, open_dataset

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(network_flags)

flags.DEFINE_string("master", "", "Address of the TensorFlow server to run on; '': this process.")
flags.DEFINE_integer("batch_size", 250, "Images to compute at once; no part of the result.")
flags.DEFINE_integer("num_examples", 50000, "Images to evaluate at most.")
flags.DEFINE_string(
    "checkpoint_dir",
    "",
    "Folder of checkpoints, of which the newest is evaluated, or a checkpoint's prefix. Default: "
    f"the newest network below {checkpoints.DEFAULT_ROOT}/.",
)
flags.DEFINE_string(
    "eval_dir", "", "Folder for TensorBoard's summaries. Default: none are written."
)
flags.DEFINE_string(
    "dataset_dir",
    "",
    "Folder of TFRecords in slim's form, validation-*. Default: the data that the network was "
    "trained on, as its model.json tells, else handwritten digits.",
)

_SECONDS_BETWEEN_LINES = 10


class _Progress:
    """A bar on a terminal, elsewhere a plain line now and then; on stderr."""

    def __init__(self) -> None:
        console = rich.console.Console(stderr=True)
        self._bar = rich.progress.Progress(
            *rich.progress.Progress.get_default_columns(),
            rich.progress.MofNCompleteColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("images", total=None)
        self._last_line = time.monotonic()

    def __enter__(self) -> "_Progress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)
        now = time.monotonic()
        if self._bar.disable and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            print(f"{done} of {total} images", file=sys.stderr, flush=True)


def _describe(dataset: Dataset) -> str:
    """Which images are evaluated, and that it is not all of them if so."""
    total = dataset.num_examples
    count = f"{total:,}"
    if 0 < FLAGS.num_examples < total:
        count = f"first {FLAGS.num_examples:,} of {total:,}"
    if dataset.name != "digits":
        return f"the {count} images in {dataset.source}"
    total += open_dataset(None, "train").num_examples
    return f"digits: of {total:,} handwritten digits, the {count} that are held out from training"


def main() -> None:
    """Evaluates, and prints the result."""
    path = FLAGS.checkpoint_dir or checkpoints.newest_model()
    checkpoint = checkpoints.find(path)
    config = network_flags.resolve(path, network_flags.given())
    dataset_dir = FLAGS.dataset_dir
    if config.dataset != "digits" and not FLAGS["dataset_dir"].present:
        dataset_dir = config.dataset
    dataset = open_dataset(dataset_dir, "validation")
    if FLAGS.eval_dir:
        os.makedirs(FLAGS.eval_dir, exist_ok=True)
    step = checkpoints.global_step(checkpoint)
    at = "" if step is None else f" (step {step:,})"
    print(f"Evaluating {checkpoint}{at} on {_describe(dataset)}.", flush=True)
    with _Progress() as progress:
        result = evaluation.evaluate(
            checkpoint=checkpoint,
            config=config,
            dataset=dataset,
            batch_size=FLAGS.batch_size,
            num_examples=FLAGS.num_examples,
            master=FLAGS.master,
            on_progress=progress.show,
        )
    for name, part, count in (
        ("Accuracy", result.accuracy, result.num_correct),
        ("Recall at 5", result.recall_at_5, result.num_in_top_5),
    ):
        print(f"{name}: {100 * part:.2f} % ({count:,} of {result.num_examples:,} images)")
    if FLAGS.eval_dir:
        evaluation.write_summaries(FLAGS.eval_dir, result)


if __name__ == "__main__":
    program.run(main)
