r"""Adds classes to a network from a few photos each, without training.

  ./bazelw run imprint -- --images_dir=DIR --output=OUT.tflite [--model=IN.tflite] [--keep_classes]
  ./bazelw run imprint -- --model=JOINED.tflite --embedder=EXTRACTOR.tflite \
      --images_dir=DIR --output=OUT.tflite
  ./bazelw run imprint -- --checkpoint=IN --images_dir=DIR --output=OUT

DIR holds a folder for each class, with the class's name and its photos. OUT has the classes of DIR
in the order of their names. With --keep_classes, it has the classes of IN first and then the new
ones. A class's vector is the mean of the embeddings of its photos, scaled to unit length (Qi, Brown
and Lowe, arXiv 1712.07136, section 3.2).

IN.tflite is a complete quantised classifier that the on-device imprinting engines accept, such as
the one that `./bazelw build frozen_tflite` makes. Without --model, it is EfficientNet-Lite0 with
the 1,000 classes of ImageNet, which the build makes. Everything before the last layer is unchanged,
byte for byte. If a folder has the name of a class that was imprinted before, here or on
a device, the class gets more examples. Devices leave classes without names; these are named by
their numbers, or by --labels.

JOINED.tflite is what join_tflite made from an extractor that is compiled for the Edge TPU, and a
head. Only the head changes. Without an Edge TPU on this machine, the embeddings are computed by
EXTRACTOR.tflite, the extractor before it was compiled. The head of a pair can be given instead of
JOINED.tflite, too.

The checkpoint IN, one of this project or a published classifier, becomes a folder OUT. Continue
with `train --fine_tune_checkpoint=OUT` (the paper's "imprinting + FT") or with
`CHECKPOINT=OUT ./bazelw build frozen_tflite`.
"""

import time
import warnings

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
from absl import flags

from classification.base import runner
from classification.base.progress_bar import ProgressBar
from classification.data import records
from classification.deployment import deployable
from classification.images import image_folder
from classification.imprinting import photos
from classification.imprinting.checkpoint_network import CheckpointNetwork
from classification.imprinting.embedding_fit import FitEmbedding
from classification.imprinting.photo_imprinting import Imprinted, Options
from classification.imprinting.photos import Photos
from classification.imprinting.tflite_network import ImprintedTflite, TfliteNetwork
from classification.inference import default_model
from classification.nets import checkpoints, model_flags
from transforms.base import atomic_files, path_flags, program
from transforms.tflite import model_file, pairs

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(model_flags)

path_flags.define(
    "model",
    "",
    "The .tflite to start from: a quantised classifier. Default: the one that the build makes, "
    "with the 1,000 classes of ImageNet.",
)
path_flags.define(
    "embedder",
    "",
    "With --model, if its extractor is compiled for the Edge TPU, or if it is only a head: the "
    "uncompiled extractor, which computes the embeddings. Default: an Edge TPU computes them.",
)
path_flags.define(
    "checkpoint",
    "",
    "Instead of --model: a folder of checkpoints, whose newest is used, or a checkpoint's prefix. "
    "If there is no model.json beside it, --image_size and the like say what network it is.",
)
path_flags.define("images_dir", "", "Folder of class folders of photos.")
path_flags.define(
    "output", "", "The .tflite to write, which may be the one that is read; or the folder to write."
)
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
    "averaged. Default: 4 to 7 for fitting, the fewer the more photos there are; otherwise 1.",
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
    options = _options()
    # Warnings about damaged EXIF data, large images and the like, which users need not correct.
    warnings.filterwarnings("ignore", module="PIL")
    start = time.monotonic()
    path = FLAGS.model or ("" if FLAGS.checkpoint else default_model.default_model_path())
    network = _tflite(path, options) if path else _checkpoint(options)
    found = photos.find(FLAGS.images_dir)
    with ProgressBar() as progress:
        imprinted = network.imprint(found, progress.show)
    imprinted.write(FLAGS.output)
    _report(found, imprinted, seconds=time.monotonic() - start)
    if isinstance(network, TfliteNetwork) and network.is_old:
        print(pairs.OLD)
    if isinstance(network, TfliteNetwork) and network.num_unnamed:
        print(
            f"{network.num_unnamed} classes of {path} have no names and are named by their numbers."
        )


def _options() -> Options:
    """How to imprint, as the flags say."""
    if FLAGS.model and FLAGS.checkpoint:
        raise ValueError("expected either --model or --checkpoint, got both")
    if FLAGS.embedder and not FLAGS.model:
        raise ValueError(
            "expected --embedder only with --model, a file with a compiled extractor or a head, "
            "got it without"
        )
    if FLAGS.labels and not FLAGS.keep_classes:
        raise ValueError(
            "expected --keep_classes with --labels, which name the classes that are kept; got only "
            f"--labels={FLAGS.labels}"
        )
    described = model_flags.given()
    if described and not FLAGS.checkpoint:
        raise ValueError(
            f"expected --{next(iter(described))} only with --checkpoint, got it without: a .tflite "
            "says what network it is"
        )
    return Options(
        keep_classes=FLAGS.keep_classes,
        allow_lost_classes=FLAGS.allow_lost_classes,
        fit_embedding=FLAGS.fit_embedding,
        fit_scale_factor=FLAGS.fit_scale_factor,
        views=FLAGS.views,
        skip_bad_images=FLAGS.skip_bad_images,
    )


def _tflite(path: str, options: Options) -> TfliteNetwork:
    with open(path, "rb") as file:
        data = file.read()
    embedder = model_file.read(FLAGS.embedder) if FLAGS.embedder else None
    labels = records.read_label_file(FLAGS.labels) if FLAGS.labels else None
    try:
        network = TfliteNetwork(
            data, options, labels, labels_source=FLAGS.labels, embedder=embedder
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    atomic_files.check_place(FLAGS.output)
    return network


def _checkpoint(options: Options) -> CheckpointNetwork:
    checkpoint = checkpoints.find(FLAGS.checkpoint)
    model = model_flags.resolve(checkpoint, model_flags.given(), say=print)
    network = CheckpointNetwork(checkpoint, model, options, labels_file=FLAGS.labels)
    atomic_files.check_replaceable(FLAGS.output, deployable.FILE_NAMES)
    return network


def _report(found: Photos, imprinted: Imprinted, *, seconds: float) -> None:
    count = imprinted.num_photos
    print(
        f"Wrote {FLAGS.output}: {imprinted.num_kept:,} classes kept, "
        f"{len(imprinted.names) - imprinted.num_kept:,} new, from {count:,} photos."
    )
    for title, names in (
        ("Skipped because they cannot be read", imprinted.unreadable),
        ("Ignored because they are hidden, left by a system or not images by name", found.ignored),
    ):
        if names:
            print(f"{title}: {len(names):,} ({image_folder.shorten(names)}).")
    for text in (imprinted.fit, imprinted.comparison):
        if text:
            print(text)
    print(f"{seconds:.1f} s, {count / seconds:,.0f} photos/s.")
    if isinstance(imprinted, ImprintedTflite):
        _warn(imprinted)


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
            f"are only {image_folder.shorten(low)}."
        )


if __name__ == "__main__":
    runner.run(main)
