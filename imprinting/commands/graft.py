r"""Replaces the last layer of any classifier, so that new classes can be imprinted into it.

  ./bazelw run graft -- --model=CLASSIFIER.tflite --output=OUT.tflite [--images=PHOTOS]

CLASSIFIER.tflite is a quantised classifier of any origin, whose last layer is a convolution or a
fully connected layer on pooled features. Everything before that layer stays the same. OUT.tflite is
a classifier of the same classes, which `imprint`, `classify` and the on-device imprinting engines
accept: features, or an embedding of them, of unit length, are compared with a vector for each
class.

PHOTOS are photos like those that CLASSIFIER.tflite was made for, of all kinds of things, some
hundreds if possible: a folder, which may have folders in it, or files. They need no labels. The
photos tell what all photos have in common, which the embedding leaves out. Without them, OUT.tflite
can learn new classes, but not next to its old ones.
"""

import os
import time
import warnings

from absl import flags

from imprinting.base import atomic_files, labels, path_flags, program
from imprinting.base.photo_crop import Crop
from imprinting.base.progress_bar import ProgressBar
from imprinting.inference import photo_paths
from imprinting.new_classes import grafting
from imprinting.new_classes.grafting import Grafted
from imprinting.photos import class_folders

FLAGS = flags.FLAGS

path_flags.define("model", "", "The .tflite of a quantised classifier of any origin.")
path_flags.define("output", "", "The .tflite to write.")
path_flags.define_multi(
    "images",
    "Photo, or folder of photos, like those that the classifier was made for; may be repeated. At "
    f"least {grafting.LEAST_WHITENED}, better 500; of more than {grafting.MOST_PHOTOS:,}, so many "
    "are used, spread evenly.",
)
path_flags.define(
    "labels",
    "",
    "File of the names of all classes, one per line, or 0:NAME and so on. Default: the names that "
    "the classifier carries.",
)
flags.DEFINE_enum_class(
    "crop",
    None,
    Crop,
    "The part of a photo that the classifier takes: the middle, stretched to a square, or a square "
    "in the middle. Default: what its metadata says, else stretched.",
)
flags.DEFINE_boolean(
    "allow_lost_classes",
    False,
    "Write OUT even if less than half of the photos keep their most probable class. Otherwise that "
    "is an error.",
)
flags.DEFINE_boolean(
    "skip_bad_images",
    False,
    "Skip photos that cannot be read, and list them. Otherwise they are an error.",
)


def main() -> None:
    """Replaces the layer, writes the result, and prints what was done."""
    program.require("model", "output")
    atomic_files.check_place(FLAGS.output)
    # Warnings about damaged EXIF data, large images and the like, which users need not correct.
    warnings.filterwarnings("ignore", module="PIL")
    start = time.monotonic()
    names = labels.read(FLAGS.labels) if FLAGS.labels else None
    found = photo_paths.find(FLAGS.images).photos if FLAGS.images else ()
    with open(FLAGS.model, "rb") as file:
        data = file.read()
    with ProgressBar() as progress:
        try:
            grafted = grafting.graft(
                data,
                found,
                names,
                labels_source=FLAGS.labels,
                title=os.path.splitext(os.path.basename(FLAGS.model))[0],
                crop=FLAGS.crop,
                skip_bad_images=FLAGS.skip_bad_images,
                on_progress=progress.show,
            )
        except ValueError as error:
            raise ValueError(f"{FLAGS.model}: {error}") from error
    same = grafted.same
    if same is not None and same < grafting.LEAST_SAME and not FLAGS.allow_lost_classes:
        raise ValueError(
            f"expected photos of many different things that {FLAGS.model} knows, got ones of which "
            f"only {same:.1%} would keep their most probable class; name others with --images, or "
            "write the classifier anyway with --allow_lost_classes"
        )
    atomic_files.write_atomically(FLAGS.output, grafted.tflite)
    _report(grafted, seconds=time.monotonic() - start)


def _report(grafted: Grafted, *, seconds: float) -> None:
    """Prints what was written."""
    print(
        f"Wrote {FLAGS.output}: {len(grafted.tflite):,} bytes, {len(grafted.names):,} classes, "
        f"{grafted.num_features:,} features; scale factor {grafted.scale_factor:g}; "
        f"{seconds:.1f} s."
    )
    print(f"Embedding: {grafted.embedding}.")
    if grafted.same is not None:
        print(
            f"The most probable class is the same as before for {grafted.same:.1%} of the photos."
        )
    if not grafted.num_photos:
        print(
            "To imprint new classes next to the old ones, give photos with --images: without them, "
            "photos of old classes are recognised as new ones."
        )
    elif grafted.num_photos < grafting.LEAST_WHITENED:
        print(
            f"With at least {grafting.LEAST_WHITENED} photos, better 500, new classes next to the "
            "old ones are more accurate."
        )
    if grafted.unreadable:
        print(
            f"Skipped because they cannot be read: {len(grafted.unreadable):,} "
            f"({class_folders.shorten(grafted.unreadable)})."
        )
    if grafted.num_unnamed:
        print(
            f"{grafted.num_unnamed:,} classes of {FLAGS.model} have no names and are named by "
            "their numbers; give the names with --labels."
        )
    if grafted.input_range is not None:
        low, high = grafted.input_range
        print(
            f"Warning: for the pixels 0 and 255, the network takes the numbers {low:.3g} and "
            f"{high:.3g}, which are not among the usual ones (-1 and 1, 0 and 1, 0 and 255). If it "
            "was trained with another scaling for each colour, it will be less accurate."
        )


if __name__ == "__main__":
    program.run(main)
