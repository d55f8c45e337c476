"""Evaluates a network with an L2-normalised embedding and last layer.

  ./bazelw run eval

evaluates the newest network below models/ on the images that were held out from its training. For
another network and other data:

  ./bazelw run eval -- --checkpoint_dir=DIR --dataset_dir=DIR

--output_dir=DIR writes a report: numbers as JSON and CSV, the confusion matrix and photos of the
most confused classes as PNG.

The `model.json` beside the checkpoints describes the network. If there is none, --network,
--image_size, --num_classes, --depth_multiplier and --quantize describe it. Every image counts once,
whatever the batch size.
"""

import contextlib
import os

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
from absl import flags

from classification.base import runner
from classification.data.dataset import Dataset, open_dataset
from classification.evaluation import class_counts, evaluator, report_files, terminal_table
from classification.nets import checkpoints, model_flags, networks
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from imprinting.base import atomic_files, path_flags
from imprinting.base.progress_bar import ProgressBar

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(model_flags)

flags.DEFINE_string(
    "master", "", "Address of the TensorFlow server to run on; '' means this process."
)
flags.DEFINE_integer("batch_size", 250, "Images to compute at once; it does not affect the result.")
flags.DEFINE_integer("num_examples", 50000, "Maximal number of images to evaluate.")
path_flags.define(
    "checkpoint_dir",
    "",
    "Folder of checkpoints, whose newest is evaluated, or a checkpoint's prefix. Default: "
    f"the newest network below {checkpoints.DEFAULT_ROOT}/.",
)
path_flags.define("eval_dir", "", "Folder for TensorBoard's summaries. Default: none are written.")
path_flags.define(
    "dataset_dir",
    "",
    "Folder of TFRecords in slim's form, as validation-*. Default: the data that the network was "
    "trained on, as its model.json says, or else handwritten digits.",
)
flags.DEFINE_string(
    "dataset_split_name",
    "validation",
    "Which images: validation (held out), train (trained on) or test.",
)
path_flags.define(
    "output_dir",
    "",
    "Folder for a report: numbers as JSON and CSV, the confusion matrix and photos of the most "
    "confused classes as PNG. An earlier report there is replaced. Default: none is written.",
)

_HELD_OUT = "validation"
_PURPOSES = {_HELD_OUT: "are held out from training", "train": "are trained on"}


def _describe(dataset: Dataset) -> str:
    """Says which images are evaluated, and whether these are all."""
    total = dataset.num_examples
    count = f"{total:,}"
    if 0 < FLAGS.num_examples < total:
        count = f"first {FLAGS.num_examples:,} of {total:,}"
    if dataset.name != "digits" or dataset.split not in _PURPOSES:
        of = "" if dataset.split == _HELD_OUT else f" of the split {dataset.split!r}"
        return f"the {count} images{of} in {dataset.source}"
    total = sum(open_dataset(None, split).num_examples for split in _PURPOSES)
    return f"digits: of {total:,} handwritten digits, the {count} that {_PURPOSES[dataset.split]}"


def main() -> None:
    """Evaluates, prints the result, and writes summaries and a report if asked to."""
    path = FLAGS.checkpoint_dir or checkpoints.newest_model()
    checkpoint = checkpoints.find(path)
    model = model_flags.resolve(checkpoint, model_flags.given(), say=print)
    dataset_dir = FLAGS.dataset_dir
    if model.dataset != "digits" and not FLAGS["dataset_dir"].present:
        dataset_dir = model.dataset
    dataset = open_dataset(dataset_dir, FLAGS.dataset_split_name)
    if FLAGS.eval_dir:
        os.makedirs(FLAGS.eval_dir, exist_ok=True)
    step = checkpoint.global_step
    at = "" if step is None else f" (step {step:,})"
    print(f"Evaluating {checkpoint}{at}, {model.network}, on {_describe(dataset)}.", flush=True)
    with contextlib.ExitStack() as stack:
        folder = None
        if FLAGS.output_dir:
            # Opened before the work, so that errors show at once.
            output = atomic_files.atomic_folder(FLAGS.output_dir, report_files.FILES)
            folder = stack.enter_context(output)
        _evaluate(checkpoint, model, dataset, folder)
    if FLAGS.output_dir:
        print(f"Wrote {', '.join(report_files.FILES)} in {FLAGS.output_dir}.")


def _evaluate(
    checkpoint: Checkpoint, model: ModelConfig, dataset: Dataset, folder: str | None
) -> None:
    """Evaluates, prints the result, and writes the report in a folder, if there is one."""
    with ProgressBar() as progress:
        result = evaluator.evaluate(
            checkpoint=checkpoint,
            model=model,
            dataset=dataset,
            batch_size=FLAGS.batch_size,
            num_examples=FLAGS.num_examples,
            master=FLAGS.master,
            on_progress=progress.show,
        )
    names = class_counts.class_names(model, dataset)
    terminal_table.show(result, names)
    if FLAGS.eval_dir:
        evaluator.write_summaries(FLAGS.eval_dir, result)
    if folder is None:
        return
    with ProgressBar() as progress:
        report_files.write(
            folder,
            result,
            names=names,
            checkpoint=checkpoint,
            dataset=dataset,
            image_size=model.image_size,
            batch_size=FLAGS.batch_size,
            crop=networks.get(model.network).crop,
            on_progress=progress.show,
        )


if __name__ == "__main__":
    runner.run(main)
