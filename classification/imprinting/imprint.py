"""Adds classes to a network from a few photos each, without training.

  ./bazelw run imprint -- --model=IN.tflite --images_dir=DIR --output=OUT.tflite
  ./bazelw run imprint -- --checkpoint=IN --images_dir=DIR --output=OUT

DIR holds a folder for each class, named after it, with its photos right in it. OUT has the
classes of DIR, in the order of their names; with --keep_classes, those of IN and then the new
ones. A class's vector is the mean of its photos' embeddings, brought to unit length (Qi, Brown
and Lowe, arXiv 1712.07136, section 3.2).

IN.tflite is a quantised classifier as `./bazelw build frozen_tflite` makes, whole, or one of any
maker that the on-device imprinting engines accept. All before its last layer stays as it is, byte
for byte. A class that was imprinted before, here or on a device, gets more examples where a folder
has its name. Classes without a name, as devices leave them, are named by their numbers; --labels
gives them others.

The checkpoint IN, one of this project's or a published MobileNet V1, becomes a folder OUT, for
`train --fine_tune_checkpoint=OUT` to start from (the paper's "imprinting + FT"), or for
`CHECKPOINT=OUT ./bazelw build frozen_tflite`.
"""

import os
import time
import warnings
from collections.abc import Sequence

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
from absl import flags

from classification.base import runner
from classification.base.progress_bar import ProgressBar
from classification.deployment import check_images, deployable, published_head
from classification.images import image_folder
from classification.imprinting import (
    checkpoint_imprinting,
    class_numbers,
    kept_classes,
    photos,
    tflite_embedder,
    unit_vectors,
)
from classification.imprinting.photos import Photos
from classification.nets import checkpoints, model_flags
from classification.nets.mobilenet_v1_l2norm import SCALE_FACTOR_START
from transforms.base import atomic_files, path_flags, program
from transforms.base import labels as label_files
from transforms.tflite import metadata, model_file
from transforms.tflite.imprinting import ImprintingEngine

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(model_flags)

path_flags.define("model", "", "The .tflite to start from: a quantised classifier.")
path_flags.define(
    "checkpoint",
    "",
    "Instead of --model: a folder of checkpoints, of which the newest is taken, or a prefix. "
    "Without model.json beside it, --image_size and the like tell what network it is.",
)
path_flags.define("images_dir", "", "Folder of class folders of photos.")
path_flags.define(
    "output", "", "The .tflite to write, which may be the one that is read; or the folder."
)
flags.DEFINE_boolean("keep_classes", False, "Keep the network's classes; new ones follow them.")
path_flags.define(
    "labels",
    "",
    "With --keep_classes: file of the names of all of IN's classes, one a line, or 0:NAME and so "
    "on. By default, those that it carries.",
)
flags.DEFINE_boolean(
    "allow_lost_classes",
    False,
    "With --keep_classes: write the network even where the kept classes would hardly be named any "
    "more. Otherwise that is an error, with the figures.",
)
flags.DEFINE_integer(
    "views",
    1,
    "Parts of each photo, at many places and scales, the whole one first, of whose embeddings the "
    "mean stands for the photo. Where there are one or two photos a class, 5 name more right.",
)
flags.DEFINE_boolean(
    "skip_bad_images",
    False,
    "Leave out photos that cannot be read, and list them. Otherwise they are an error.",
)

# Of the cosine between a class's vector and its quanta: with less, the embedding's own quanta
# are no longer the coarser ones.
_LEAST_COSINE = 0.995
_SCALE_FACTOR = "MobilenetV1/Logits/scale_factor"


def main() -> None:
    """Imprints, and prints what was written."""
    program.require(("model", "checkpoint"), "images_dir", "output")
    if FLAGS.model and FLAGS.checkpoint:
        raise ValueError("expected either --model or --checkpoint, got both")
    if FLAGS.labels and not FLAGS.keep_classes:
        raise ValueError(
            "expected --keep_classes with --labels, which name the classes that are kept; got "
            f"--labels={FLAGS.labels} alone"
        )
    described = model_flags.given()
    if FLAGS.model and described:
        raise ValueError(
            f"expected --{next(iter(described))} with --checkpoint alone: a .tflite tells what "
            "network it is"
        )
    if FLAGS.allow_lost_classes and not FLAGS.keep_classes:
        raise ValueError("expected --keep_classes with --allow_lost_classes, which is about these")
    if FLAGS.views < 1:
        raise ValueError(f"expected --views to be at least 1, got {FLAGS.views}")
    # About damaged EXIF data, large images and the like: nothing that users must mend.
    warnings.filterwarnings("ignore", module="PIL")
    if FLAGS.model:
        _imprint_model()
    else:
        _imprint_checkpoint()


def _imprint_model() -> None:
    start = time.monotonic()
    with open(FLAGS.model, "rb") as file:
        data = file.read()
    given = _read_labels(FLAGS.labels) if FLAGS.labels else None
    try:
        model = model_file.parse(data)
        engine = ImprintingEngine(model, keep_classes=FLAGS.keep_classes)
        kept, unnamed = _labels(given, data, engine.num_classes)
        metadata.check(model, data)
    except ValueError as error:
        raise ValueError(f"{FLAGS.model}: {error}") from error
    found = photos.find(FLAGS.images_dir)
    numbers = class_numbers.assign(found.classes, engine, kept)
    names = [*kept, *(name for name, number in numbers.items() if number >= len(kept))]
    atomic_files.check_place(FLAGS.output)
    with ProgressBar() as progress:
        vectors, bad = tflite_embedder.embed(
            model, found.paths, views=FLAGS.views, on_progress=progress.show
        )
    photos.check(found, bad, skip=FLAGS.skip_bad_images)
    new = {name: unit_vectors.mean(vectors[images]) for name, images in found.readable(bad)}
    told = ""
    kept_vectors = engine.trained_vectors()
    if len(kept_vectors):
        others, _ = tflite_embedder.embed(
            model, check_images.photographs(), views=kept_classes.PARTS
        )
        told = _compare(kept_vectors, new, others)
    for name, embeddings in new.items():
        try:
            engine.add(numbers[name], embeddings)
        except ValueError as error:
            folder = os.path.join(found.folder, name)
            raise ValueError(f"the photos of {folder} cannot be imprinted: {error}") from error
    imprinted = engine.build()
    atomic_files.write_atomically(FLAGS.output, metadata.extend(imprinted.model, names, data=data))
    _report(found, bad, len(kept), engine.num_classes, told, seconds=time.monotonic() - start)
    _warn(names, imprinted.cosines)
    if unnamed:
        print(f"{unnamed} classes of {FLAGS.model} have no names: their numbers stand for these.")


def _imprint_checkpoint() -> None:
    start = time.monotonic()
    checkpoint, folder = checkpoints.find(FLAGS.checkpoint), checkpoints.folder(FLAGS.checkpoint)
    config = model_flags.resolve(FLAGS.checkpoint, model_flags.given())
    labels: tuple[str, ...] = tuple(map(str, range(config.num_classes)))
    if FLAGS.keep_classes:
        labels, _ = deployable.find_labels(FLAGS.labels, folder, config, flag="labels")
    config = deployable.portable(config, labels)
    found = photos.find(FLAGS.images_dir)
    if FLAGS.keep_classes:
        checkpoint_imprinting.check_new(found.classes, labels)
    atomic_files.check_replaceable(FLAGS.output, deployable.FILE_NAMES)
    published = published_head.is_published(checkpoint)
    values = (published_head if published else deployable).read_values(checkpoint, config)
    if published and not FLAGS.keep_classes:
        # What suits the classes that it had, far more of them, is no measure for others.
        values[_SCALE_FACTOR] = np.float32(SCALE_FACTOR_START)
    with ProgressBar() as progress:
        embeddings, bad = checkpoint_imprinting.embed(
            values, config, found.paths, views=FLAGS.views, on_progress=progress.show
        )
    photos.check(found, bad, skip=FLAGS.skip_bad_images)
    new = {name: unit_vectors.mean(embeddings[images]) for name, images in found.readable(bad)}
    told = ""
    if FLAGS.keep_classes:
        others, _ = checkpoint_imprinting.embed(
            values, config, check_images.photographs(), views=kept_classes.PARTS
        )
        told = _compare(checkpoint_imprinting.class_vectors(values), new, others)
    values, config = checkpoint_imprinting.imprint(
        values, config, labels, new, keep_classes=FLAGS.keep_classes
    )
    deployable.write(FLAGS.output, config, values)
    kept = len(labels) if FLAGS.keep_classes else 0
    _report(found, bad, kept, config.num_classes, told, seconds=time.monotonic() - start)


def _read_labels(path: str) -> tuple[str, ...]:
    with open(path, "rb") as file:
        return label_files.parse(file.read(), path)


def _labels(given: Sequence[str] | None, data: bytes, num_classes: int) -> tuple[list[str], int]:
    """The names of the classes that are kept, and of how many the number stands for it."""
    if not num_classes:
        return [], 0
    if given is not None:
        label_files.check_count(given, num_classes, FLAGS.labels)
        return list(given), 0
    # An engine on a device leaves the description of the labels, and not their file.
    labels = metadata.labels_of(data, must_be_there=False) or ()
    if len(labels) > num_classes or "" in map(str.strip, labels):
        raise ValueError(
            f"expected names of at most its {num_classes} classes, got {len(labels)}"
            f"{', empty ones among them' if '' in map(str.strip, labels) else ''}; give others by "
            "--labels"
        )
    return [*labels, *map(str, range(len(labels), num_classes))], num_classes - len(labels)


def _compare(kept: np.ndarray, new: dict[str, np.ndarray], others: np.ndarray) -> str:
    """Checks that kept classes can be named beside new ones; returns what to say of it."""
    cosines = kept_classes.compare(kept, list(new.values()), others.reshape(-1, kept.shape[1]))
    return kept_classes.check(cosines, allowed=FLAGS.allow_lost_classes)


def _report(
    found: Photos, bad: dict[int, str], kept: int, num_classes: int, told: str, *, seconds: float
) -> None:
    count = len(found.names) - len(bad)
    print(
        f"Wrote {FLAGS.output}: {kept:,} classes kept, {num_classes - kept:,} new, by {count:,} "
        "photos."
    )
    for title, names in (
        ("Left out, since unreadable", found.describe(bad)),
        ("Ignored, since hidden, left by a system or not named as images are", found.ignored),
    ):
        if names:
            print(f"{title}: {len(names):,} ({image_folder.shorten(names)}).")
    if told:
        print(told)
    print(f"{seconds:.1f} s, {count / seconds:,.0f} photos/s.")


def _warn(names: Sequence[str], cosines: np.ndarray) -> None:
    low = [
        f"{name} ({cosine:.3f})"
        for name, cosine in zip(names, cosines, strict=True)
        if cosine < _LEAST_COSINE
    ]
    if low:
        print(
            f"Warning: the range of the last layer's kernel, which is left as it was, does not "
            f"suit the vectors of {len(low)} classes: what is kept of them is near them by the "
            f"cosines {image_folder.shorten(low)} only."
        )


if __name__ == "__main__":
    runner.run(main)
