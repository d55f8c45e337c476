r"""Adds classes to a network from a few photos each, without training.

  ./bazelw run imprint -- --images_dir=DIR --output=OUT.tflite [--model=IN.tflite] [--keep_classes]
  ./bazelw run imprint -- --model=JOINED.tflite --embedder=EXTRACTOR.tflite \
      --images_dir=DIR --output=OUT.tflite

DIR holds a folder for each class, with the class's name and its photos. OUT has the classes of DIR
in the order of their names. With --keep_classes, it has the classes of IN first and then the new
ones. A class's vector is the mean of the embeddings of its photos, scaled to unit length (Qi, Brown
and Lowe, arXiv 1712.07136, section 3.2).

IN.tflite is a complete quantised classifier that the on-device imprinting engines accept, such as
this program or `./bazelw run graft` makes. Without --model, it is EfficientNet-Lite0 with the 1,000
classes of ImageNet, which comes with the program. Everything before the last layer is unchanged,
byte for byte, unless the embedding is fitted. If a folder has the name of a class that was
imprinted before, here or on a device, the class gets more examples. Devices leave classes without
names; these are named by their numbers, or by --labels.

JOINED.tflite is what `./bazelw run join_tflite` made from an extractor that is compiled for the
Edge TPU, and a head. Only the head changes. Without an Edge TPU on this machine, the embeddings are
computed by EXTRACTOR.tflite, the extractor before it was compiled. The head of a pair can be given
instead of JOINED.tflite, too.
"""

import time
import warnings

from absl import flags

from imprinting.base import atomic_files, labels, path_flags, program
from imprinting.base.progress_bar import ProgressBar
from imprinting.commands import model_path
from imprinting.new_classes import photos
from imprinting.new_classes.embedding_fit import FitEmbedding
from imprinting.new_classes.photo_imprinting import Imprinted, Options
from imprinting.new_classes.photos import Photos
from imprinting.new_classes.tflite_network import ImprintedTflite, TfliteNetwork
from imprinting.photos import class_folders
from imprinting.tflite import model_file, pairs

FLAGS = flags.FLAGS

model_path.define("The .tflite to start from: a quantised classifier.")
path_flags.define(
    "embedder",
    "",
    "With --model, if its extractor is compiled for the Edge TPU, or if it is only a head: the "
    "uncompiled extractor, which computes the embeddings. Default: an Edge TPU computes them.",
)
path_flags.define("images_dir", "", "Folder of class folders of photos.")
path_flags.define("output", "", "The .tflite to write, which may be the one that is read.")
flags.DEFINE_boolean("keep_classes", False, "Keep the network's classes, before the new ones.")
path_flags.define(
    "labels",
    "",
    "With --keep_classes: file of the names of all classes of IN, one per line, or 0:NAME and so "
    "on. Default: the names that IN carries.",
)
flags.DEFINE_boolean(
    "allow_lost_classes",
    False,
    "With --keep_classes: write the network even if the kept classes would hardly be recognised. "
    "Otherwise that is an error, which gives the figures.",
)
flags.DEFINE_enum_class(
    "fit_embedding",
    FitEmbedding.AUTO,
    FitEmbedding,
    "Whether the embedding is fitted to the photos: auto, if that makes new classes more accurate "
    "in cross-validation; always; or never, as on a device, which changes the last layer only.",
)
flags.DEFINE_boolean(
    "fit_scale_factor",
    True,
    "Choose the scale factor with which the classes of held-out photos are most likely, so that "
    "probabilities are meaningful. Otherwise it stays as it is.",
)
flags.DEFINE_integer(
    "views",
    None,
    "Parts of each photo, at many places and scales, the whole photo first, whose embeddings are "
    "averaged; at most 100. Default: 4 to 7 for fitting, the fewer the more photos there are; "
    "otherwise 1.",
)
flags.DEFINE_boolean(
    "skip_bad_images",
    False,
    "Skip photos that cannot be read, and list them. Otherwise they are an error.",
)

# Below this cosine between a class's vector and its quantised form, the kernel's quanta are coarser
# than the embedding's.
_LEAST_COSINE = 0.995


def main() -> None:
    """Imprints, and prints what was written."""
    program.require("images_dir", "output")
    if FLAGS.embedder and not FLAGS.model:
        raise ValueError(
            "expected --embedder only with --model, a file with a compiled extractor or a head, "
            "got it without"
        )
    how = options()
    start = time.monotonic()
    path = model_path.given()
    atomic_files.check_not_read(FLAGS.output, [FLAGS.embedder])
    network = _network(path, how)
    found = photos.find(FLAGS.images_dir)
    with ProgressBar() as progress:
        imprinted = network.imprint(found, progress.show)
    imprinted.write(FLAGS.output)
    report(found, imprinted, seconds=time.monotonic() - start)
    _warn(imprinted)
    if network.is_old:
        print(pairs.OLD)
    if network.num_unnamed:
        print(
            f"{network.num_unnamed} classes of {path} have no names and are named by their numbers."
        )


def options() -> Options:
    """How to imprint, as the flags say."""
    # Warnings about damaged EXIF data, large images and the like, which users need not correct.
    warnings.filterwarnings("ignore", module="PIL")
    if FLAGS.labels and not FLAGS.keep_classes:
        raise ValueError(
            "expected --keep_classes with --labels, which name the classes that are kept; got only "
            f"--labels={FLAGS.labels}"
        )
    return Options(
        keep_classes=FLAGS.keep_classes,
        allow_lost_classes=FLAGS.allow_lost_classes,
        fit_embedding=FLAGS.fit_embedding,
        fit_scale_factor=FLAGS.fit_scale_factor,
        views=FLAGS.views,
        skip_bad_images=FLAGS.skip_bad_images,
    )


def report(found: Photos, imprinted: Imprinted, *, seconds: float) -> None:
    """Prints what was written.

    Args:
      found: the photos.
      imprinted: the result.
      seconds: how long it took.
    """
    count = imprinted.num_photos
    print(
        f"Wrote {FLAGS.output}: {imprinted.num_kept:,} classes kept, "
        f"{len(imprinted.names) - imprinted.num_kept:,} new, from {count:,} "
        f"photo{'s' * (count != 1)}."
    )
    for title, names in (
        ("Skipped because they cannot be read", imprinted.unreadable),
        ("Ignored because they are hidden, left by a system or not images by name", found.ignored),
    ):
        if names:
            print(f"{title}: {len(names):,} ({class_folders.shorten(names)}).")
    for text in (imprinted.fit, imprinted.comparison):
        if text:
            print(text)
    rate = f", {count / seconds:,.0f} photos/s" if count >= seconds else ""
    print(f"{seconds:.1f} s{rate}.")


def _network(path: str, how: Options) -> TfliteNetwork:
    with open(path, "rb") as file:
        data = file.read()
    embedder = model_file.read(FLAGS.embedder) if FLAGS.embedder else None
    names = labels.read(FLAGS.labels) if FLAGS.labels else None
    try:
        network = TfliteNetwork(data, how, names, labels_source=FLAGS.labels, embedder=embedder)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    atomic_files.check_place(FLAGS.output)
    return network


def _warn(imprinted: ImprintedTflite) -> None:
    low = [
        f"{name} ({cosine:.3f})"
        for name, cosine in zip(imprinted.names, imprinted.cosines, strict=True)
        if cosine < _LEAST_COSINE
    ]
    if low:
        print(
            f"Warning: the range of the last layer's kernel, which is unchanged, does not suit the "
            f"vectors of {len(low)} classes: the cosines between these and their quantised forms "
            f"are only {class_folders.shorten(low)}."
        )


if __name__ == "__main__":
    program.run(main)
