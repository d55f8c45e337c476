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
"""

import shlex
import time
import warnings
from collections.abc import Collection

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
from absl import flags

from classification.base import runner
from classification.data.dataset_info import DatasetInfo
from classification.images import image_conversion
from imprinting.base import path_flags, program
from imprinting.base.progress_bar import ProgressBar
from imprinting.photos import image_folder

FLAGS = flags.FLAGS

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
    with ProgressBar() as progress:
        info = image_conversion.convert(
            FLAGS.images_dir,
            FLAGS.output_dir,
            seed=FLAGS.seed,
            skip_bad_images=FLAGS.skip_bad_images,
            on_progress=progress.show,
            **program.given(["validation_fraction"]),
        )
    _report(info, seconds=time.monotonic() - start)


def _report(info: DatasetInfo, *, seconds: float) -> None:
    output_dir = FLAGS.output_dir
    num_classes = len(info.class_counts["train"])
    parts = [
        f"{split} {info.num_examples(split):,} images in {len(shards)} files"
        for split, shards in info.splits.items()
    ]
    total = sum(map(info.num_examples, info.splits)) + len(info.skipped)
    print(f"Wrote {output_dir}, {num_classes:,} classes: {'; '.join(parts)}.")
    if info.split_folders:
        folders = [f"{split} from {folder}" for split, folder in info.split_folders.items()]
        print(f"Splits: {', '.join(folders)}.")
    _list(
        "Skipped because they cannot be read",
        [f"{name}: {why}" for name, why in info.skipped.items()],
    )
    _list("Ignored because they are hidden, left by a system or not images by name", info.ignored)
    print(f"{total:,} images in {seconds:.1f} s, {total / seconds:,.0f} images/s.")
    print(_following(output_dir, info.num_examples("train")))


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
