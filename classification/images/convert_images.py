"""Converts a folder of images to a data set for training.

  ./bazelw run convert_images -- --images_dir=DIR --output_dir=OUT

DIR contains a folder for each class, with the class's name and its images. Then a fifth of each
class is held out for validation. Or DIR contains `train`, and `validation` or `test`, and these
contain the class folders; other usual names are accepted too (training, val, valid, testing, in
upper or lower case). If there are only `train` and `test`, then `test` becomes the validation
split, which is the one that eval reads. If there are all three, `eval --dataset_split_name=test`
reads `test`. If DIR contains only one folder around all this, as exporters often create, that
folder is used.

OUT gets TFRecords in slim's form, train-* and validation-* (and test-*), `labels.txt` with the
classes' names, numbered from 0 in the order of the names, and `dataset.json` with counts.
Equal images, flags and versions give equal bytes.

Images are JPEG, PNG, BMP, WebP or GIF files. A file that TensorFlow decodes as a viewer shows it
is not changed. From others, for example rotated by EXIF, in CMYK or transparent, a new file is
made of what a viewer shows: a PNG, or a JPEG of quality 95 if the old file is a JPEG or WebP. All
images are decoded once, to check them. Files that are not named like images are listed and
ignored.

Several tasks can convert one folder together, on as many machines as you like:

  ./bazelw run convert_images -- --images_dir=DIR --output_dir=OUT --task=I --num_tasks=N

with I from 0 to N - 1. Slurm, AWS Batch and Cloud Run set both numbers themselves, and Kubernetes
sets I. The tasks may run one after another, be killed, and be run again. OUT appears when all are
done, with the same bytes as without tasks. Until then, their files are in OUT.tasks-1.
"""

import functools
import shlex
import time
import warnings
from collections.abc import Collection
from typing import Any

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
from absl import flags

from classification.base import runner, task_flags
from classification.base.task_flags import Task
from classification.data.dataset_info import DatasetInfo
from classification.images import image_conversion, task_conversion
from classification.images.task_conversion import Converted
from imprinting.base import path_flags, program
from imprinting.base.progress_bar import ProgressBar
from imprinting.photos import image_folder

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(task_flags)

# The number of steps for fine-tuning the new layers: at least as many as for README's figures, and
# enough for this number of epochs.
_LEAST_STEPS, _EPOCHS, _MOST_STEPS = 1000, 10, 20_000
# The default of train.
_BATCH_SIZE = 64
# The features of an image have 4 KB.
_MOST_IN_MEMORY = 250_000

path_flags.define("images_dir", "", "Folder of class folders of images, or of splits of them.")
path_flags.define(
    "output_dir",
    "",
    "Folder for the data set: new, empty, or with an earlier data set, which is replaced.",
)
flags.DEFINE_float(
    "validation_fraction",
    image_folder.DEFAULT_FRACTION,
    "Fraction of each class to hold out for validation, if the images are not in splits.",
)
flags.DEFINE_integer(
    "seed", 0, "Determines which images are for validation, and the order of train."
)
flags.DEFINE_boolean(
    "skip_bad_images",
    False,
    "Leave out images that cannot be read, and list them. Otherwise they are an error.",
)


def main() -> None:
    """Converts, and prints what was written."""
    program.require("images_dir", "output_dir")
    # Warnings about damaged EXIF data, large images and so on, which users need not repair.
    warnings.filterwarnings("ignore", module="PIL")
    start = time.monotonic()
    task = task_flags.chosen(functools.partial(print, flush=True))
    with ProgressBar() as progress:
        options: dict[str, Any] = {
            "seed": FLAGS.seed,
            "skip_bad_images": FLAGS.skip_bad_images,
            "on_progress": progress.show,
            **program.given(["validation_fraction"]),
        }
        if task is None:
            info = image_conversion.convert(FLAGS.images_dir, FLAGS.output_dir, **options)
            done = Converted(_total(info), sum(map(len, info.splits.values())), 0, info)
        else:
            done = task_conversion.convert(FLAGS.images_dir, FLAGS.output_dir, task, **options)
    seconds = time.monotonic() - start
    if task is not None:
        _report_task(done, task)
    if done.info is not None:
        _report(done.info, "Wrote {}" if task is None else "{} is complete")
    if done.files:
        print(f"{done.images:,} images in {seconds:.1f} s, {done.images / seconds:,.0f} images/s.")
    if done.info is not None:
        print(_following(FLAGS.output_dir, done.info.num_examples("train")))


def _total(info: DatasetInfo) -> int:
    return sum(map(info.num_examples, info.splits)) + len(info.skipped)


def _report_task(done: Converted, task: Task) -> None:
    did = f"wrote {done.files:,} files" if done.files else "there was nothing to write"
    rest = "All tasks are done"
    if done.missing:
        rest = (
            f"Files of other tasks that are missing: {done.missing:,}. The task that writes the "
            f"last one completes {FLAGS.output_dir}"
        )
    print(f"Task {task.index} of {task.count}: {did}. {rest}.")


def _report(info: DatasetInfo, title: str) -> None:
    num_classes = len(info.class_counts["train"])
    parts = [
        f"{split} {info.num_examples(split):,} images in {len(shards)} files"
        for split, shards in info.splits.items()
    ]
    title = title.format(FLAGS.output_dir)
    print(f"{title}, {num_classes:,} classes: {'; '.join(parts)}.")
    if info.split_folders:
        folders = [f"{split} from {folder}" for split, folder in info.split_folders.items()]
        print(f"Splits: {', '.join(folders)}.")
    _list(
        "Skipped because they cannot be read",
        [f"{name}: {why}" for name, why in info.skipped.items()],
    )
    _list("Ignored because they are hidden, left by a system or not images by name", info.ignored)


def _following(output_dir: str, images: int) -> str:
    """A command for training on the data: fine-tuning, which is best for few photos."""
    steps = min(max(_LEAST_STEPS, _EPOCHS * images // _BATCH_SIZE), _MOST_STEPS)
    cache = "memory" if images <= _MOST_IN_MEMORY else "FEATURES"
    names = "OUT is a new folder"
    if cache == "FEATURES":
        names += ", FEATURES a folder for 5 KB per image"
    return (
        f"Next, in seconds to minutes ({names}):\n"
        f"  ./bazelw run train -- --dataset_dir={shlex.quote(output_dir)} --checkpoint_dir=OUT \\\n"
        f"      --quantize --freeze_base_model --cache_features={cache} \\\n"
        f"      --number_of_steps={steps} --eval_every={steps // 2}"
    )


def _list(title: str, names: Collection[str]) -> None:
    if names:
        print(f"{title}: {len(names):,} ({image_folder.shorten(names)}).")


if __name__ == "__main__":
    runner.run(main)
