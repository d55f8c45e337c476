"""Makes a data set to train on from a folder of images.

  ./bazelw run convert_images -- --images_dir=DIR --output_dir=OUT

DIR holds a folder for each class, named after it, with its images right in it; a fifth of each
class is then held out for validation. Or DIR holds `train` and `validation` or `test`, and these
hold the class folders; other usual names will do (training, val, valid, testing, in any case).
Where `test` is the only one beside `train`, it becomes the validation split, which is what eval
reads; where there are three, `eval --dataset_split_name=test` reads it. Where DIR holds nothing
but one folder around all this, as exporters often make, that is taken.

OUT gets TFRecords in slim's form, train-* and validation-* (and test-*), `labels.txt` with the
classes' names, numbered from 0 in the order of their names, and `dataset.json` with counts.
Equal images, flags and versions give equal bytes.

Images are JPEG, PNG, BMP, WebP or GIF. What TensorFlow shows as a viewer does is stored as it
is; what EXIF turns, CMYK, transparency and the like is stored as it looks, as PNG, or as JPEG
of quality 95 if it came from a JPEG or WebP file. All are decoded once, to prove that they can
be. Files whose names do not end as images' do are listed and ignored.
"""

import shlex
import time
import warnings
from collections.abc import Collection

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
from absl import flags

from classification.base import runner
from classification.base.progress_bar import ProgressBar
from classification.data.dataset_info import DatasetInfo
from classification.images import image_conversion, image_folder
from transforms.base import path_flags, program

FLAGS = flags.FLAGS

# Of fine-tuning the new layers: as few as README's figures are of, and, of more images, as many as
# go through all of them this often.
_LEAST_STEPS, _EPOCHS, _MOST_STEPS = 1000, 10, 20_000
# Of train, where nothing is said.
_BATCH_SIZE = 64
# Features of an image are 4 KB.
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
    "Part of each class that is held out for validation, where the images are not in splits.",
)
flags.DEFINE_integer(
    "seed", 0, "From which the choice of images for validation and the order in train follow."
)
flags.DEFINE_boolean(
    "skip_bad_images",
    False,
    "Leave out images that cannot be read, and list them. Otherwise they are an error.",
)


def main() -> None:
    """Converts, and prints what was written."""
    program.require("images_dir", "output_dir")
    # About damaged EXIF data, large images and the like: nothing that users must mend.
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
    _list("Left out, since unreadable", [f"{name}: {why}" for name, why in info.skipped.items()])
    _list("Ignored, since hidden, left by a system or not named as images are", info.ignored)
    print(f"{total:,} images in {seconds:.1f} s, {total / seconds:,.0f} images/s.")
    print(_following(output_dir, info.num_examples("train")))


def _following(output_dir: str, images: int) -> str:
    """The command that suits the data: few photos are best learned on top of what is known."""
    steps = min(max(_LEAST_STEPS, _EPOCHS * images // _BATCH_SIZE), _MOST_STEPS)
    cache = "memory" if images <= _MOST_IN_MEMORY else "FEATURES"
    told = "CKPT is the prefix of a published MobileNet V1's checkpoint, OUT a new folder"
    if cache == "FEATURES":
        told += ", FEATURES one for 4 KB an image"
    return (
        f"Next, in seconds to minutes ({told}):\n"
        f"  ./bazelw run train -- --dataset_dir={shlex.quote(output_dir)} --checkpoint_dir=OUT \\\n"
        "      --quantize --fine_tune_checkpoint=CKPT --freeze_base_model \\\n"
        f"      --cache_features={cache} --number_of_steps={steps} --eval_every={steps // 2}"
    )


def _list(title: str, names: Collection[str]) -> None:
    if names:
        print(f"{title}: {len(names):,} ({image_folder.shorten(names)}).")


if __name__ == "__main__":
    runner.run(main)
