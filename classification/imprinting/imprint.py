"""Adds classes to a deployed model from a few photos each, without training.

  ./bazelw run imprint -- --model=IN.tflite --images_dir=DIR --output=OUT.tflite

DIR holds a folder for each class, named after it, with its photos right in it. IN is a
quantised classifier as `./bazelw build frozen_tflite` makes, whole, or one of any maker that the
on-device imprinting engines accept. OUT has the classes of DIR, in the order of their names; with
--keep_classes, those of IN and then the new ones. A class that was imprinted before, here or on a
device, gets more examples where a folder has its name. Classes without a name, as devices leave
them, are named by their numbers; --labels gives them others.

A class's vector is the mean of its photos' embeddings, brought to unit length (Qi, Brown and Lowe,
arXiv 1712.07136, section 3.2). All before the last layer stays as it is, byte for byte.
"""

import os
import time
import warnings
from collections.abc import Sequence

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
from absl import flags

from classification import files, program
from classification.data import image_folder
from classification.data.image_folder import ClassFolders
from classification.imprinting import class_numbers, embedder
from classification.progress_bar import ProgressBar
from transforms.tflite import metadata, model_file
from transforms.tflite.imprinting import ImprintingEngine

FLAGS = flags.FLAGS

flags.DEFINE_string("model", "", "The .tflite to start from: a quantised classifier.")
flags.DEFINE_string("images_dir", "", "Folder of class folders of photos.")
flags.DEFINE_string("output", "", "The .tflite to write; may be the one that is read.")
flags.DEFINE_boolean("keep_classes", False, "Keep the model's classes; new ones follow them.")
flags.DEFINE_string(
    "labels",
    "",
    "File of the names of IN's classes, one a line. By default, those that it carries.",
)
flags.DEFINE_boolean(
    "skip_bad_images",
    False,
    "Leave out photos that cannot be read, and list them. Otherwise they are an error.",
)

# Of the cosine between a class's vector and its quanta: with less, the embedding's own quanta
# are no longer the coarser ones.
_LEAST_COSINE = 0.995


def main() -> None:
    """Imprints, and prints what was written."""
    for name in ("model", "images_dir", "output"):
        if not FLAGS[name].value:
            raise ValueError(f"expected a path as --{name}, got none; --help tells what of")
    # About damaged EXIF data, large images and the like: nothing that users must mend.
    warnings.filterwarnings("ignore", module="PIL")
    start = time.monotonic()
    with open(FLAGS.model, "rb") as file:
        data = file.read()
    try:
        model = model_file.parse(data)
        engine = ImprintingEngine(model, keep_classes=FLAGS.keep_classes)
        kept, unnamed = _labels(data, engine.num_classes)
    except ValueError as error:
        raise ValueError(f"{FLAGS.model}: {error}") from error
    folders = image_folder.scan_classes(FLAGS.images_dir)
    numbers = class_numbers.assign(folders.images, engine, kept)
    names = [*kept, *(name for name, number in numbers.items() if number >= len(kept))]
    files.check_place(FLAGS.output)
    photos = [image for images in folders.images.values() for image in images]
    with ProgressBar() as progress:
        embeddings, bad = embedder.embed(
            model,
            [os.path.join(FLAGS.images_dir, photo) for photo in photos],
            on_progress=progress.show,
        )
    described = [f"{photos[index]}: {why}" for index, why in sorted(bad.items())]
    if bad and not FLAGS.skip_bad_images:
        raise ValueError(
            f"expected photos that can be read in {FLAGS.images_dir}, got {len(bad)} that cannot "
            f"({image_folder.shorten(described)}) among {len(photos)}; mend or remove them, or "
            "leave them out by --skip_bad_images"
        )
    if bad:
        image_folder.scan_classes(FLAGS.images_dir, without=[photos[index] for index in bad])
    _imprint(engine, folders, numbers, embeddings, bad)
    imprinted = engine.build()
    files.write_whole(FLAGS.output, metadata.attach(imprinted.model, names))
    _report(
        kept=len(kept),
        new=engine.num_classes - len(kept),
        photos=len(photos) - len(bad),
        bad=described,
        ignored=folders.ignored,
        seconds=time.monotonic() - start,
    )
    _warn(names, imprinted.cosines)
    if unnamed:
        print(f"{unnamed} classes of {FLAGS.model} have no names: their numbers stand for these.")


def _labels(data: bytes, num_classes: int) -> tuple[list[str], int]:
    """The names of the classes that are kept, and of how many the number stands for it."""
    if not num_classes:
        return [], 0
    if FLAGS.labels:
        labels = metadata.read_labels(FLAGS.labels)
    else:
        # An engine on a device leaves the description of the labels, and not their file.
        labels = metadata.labels_of(data, must_be_there=False) or ()
    if len(labels) > num_classes or "" in map(str.strip, labels):
        raise ValueError(
            f"expected names of at most its {num_classes} classes, got {len(labels)}"
            f"{', empty ones among them' if '' in map(str.strip, labels) else ''}; give others by "
            "--labels"
        )
    names = [*labels, *map(str, range(len(labels), num_classes))]
    return names, num_classes - len(labels)


def _imprint(
    engine: ImprintingEngine,
    folders: ClassFolders,
    numbers: dict[str, int],
    embeddings: np.ndarray,
    bad: dict[int, str],
) -> None:
    begin = 0
    for name, images in folders.images.items():
        end = begin + len(images)
        good = [index for index in range(begin, end) if index not in bad]
        try:
            engine.add(numbers[name], embeddings[good, 0])
        except ValueError as error:
            folder = os.path.join(FLAGS.images_dir, name)
            raise ValueError(f"the photos of {folder} cannot be imprinted: {error}") from error
        begin = end


def _report(
    *,
    kept: int,
    new: int,
    photos: int,
    bad: Sequence[str],
    ignored: Sequence[str],
    seconds: float,
) -> None:
    print(f"Wrote {FLAGS.output}: {kept:,} classes kept, {new:,} new, by {photos:,} photos.")
    if bad:
        print(f"Left out, since unreadable: {len(bad):,} ({image_folder.shorten(bad)}).")
    if ignored:
        print(
            f"Ignored, since not named as images are: {len(ignored):,} "
            f"({image_folder.shorten(ignored)})."
        )
    print(f"{seconds:.1f} s, {photos / seconds:,.0f} photos/s.")


def _warn(names: Sequence[str], cosines: np.ndarray) -> None:
    low = [
        f"{name} ({cosine:.3f})"
        for name, cosine in zip(names, cosines, strict=True)
        if cosine < _LEAST_COSINE
    ]
    if low:
        print(
            f"Warning: the range of the last layer's kernel, which is that of the classes it was "
            f"trained with, does not suit the vectors of {len(low)} classes: what is kept of them "
            f"is near them by the cosines {image_folder.shorten(low)} only."
        )


if __name__ == "__main__":
    program.run(main)
