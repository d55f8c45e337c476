"""Prints the most probable classes of photos, with their probabilities.

  ./bazelw run classify -- PHOTO...
  ./bazelw run classify -- --model=FILE.tflite PHOTO...

A PHOTO is a file, or a folder, which means all photos in it and in its folders. FILE.tflite is a
complete classifier, quantised or float, such as `./bazelw build frozen_tflite` or
`./bazelw run imprint` makes. Without --model, it is EfficientNet-Lite0, which the build makes.
"""

import sys
import warnings
from collections.abc import Sequence

from absl import flags

from imprinting.base import path_flags, program
from imprinting.base.progress_bar import ProgressBar
from imprinting.inference import answer_text, default_model, photo_paths
from imprinting.inference.photo_classifier import PhotoClassifier
from imprinting.photos import class_folders

FLAGS = flags.FLAGS

path_flags.define(
    "model", "", "The complete .tflite of a classifier. Default: the one that the build makes."
)
flags.DEFINE_integer("top", 5, "Number of classes to print for each photo, at least 1.")
flags.DEFINE_float(
    "threshold",
    0.0,
    "A photo is unknown if its best class has a lower probability; at least 0, and below 1.",
)


def main(paths: Sequence[str]) -> None:
    """Classifies photos, and prints the answers.

    Args:
      paths: photos and folders of photos.
    """
    if FLAGS.top < 1:
        raise ValueError(f"expected --top to be at least 1, got {FLAGS.top}")
    if not 0 <= FLAGS.threshold < 1:
        raise ValueError(
            f"expected --threshold to be at least 0 and below 1, got {FLAGS.threshold}"
        )
    found = photo_paths.find([path_flags.expand(path) for path in paths])
    # Warnings about damaged EXIF data, large images and the like, which users need not correct.
    warnings.filterwarnings("ignore", module="PIL")
    classifier = _classifier(FLAGS.model or default_model.path())
    with ProgressBar() as progress:
        answers, bad = classifier.classify(found.photos, top=FLAGS.top, on_progress=progress.show)
    blocks = [
        answer_text.block(photo, each, threshold=FLAGS.threshold)
        for photo, each in zip(found.photos, answers, strict=True)
        if each
    ]
    if found.ignored:
        blocks.append(
            "Ignored because they are hidden, left by a system or not images by name: "
            f"{len(found.ignored):,} ({class_folders.shorten(found.ignored)})."
        )
    if blocks:
        print("\n\n".join(blocks))
    _report([f"{found.photos[index]}: {why}" for index, why in sorted(bad.items())], len(answers))


def _classifier(path: str) -> PhotoClassifier:
    with open(path, "rb") as file:
        data = file.read()
    try:
        return PhotoClassifier(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _report(bad: Sequence[str], count: int) -> None:
    """Names the photos that cannot be read, after the answers for the others."""
    if not bad:
        return
    sys.stdout.flush()
    for photo in bad:
        print(class_folders.printable(photo), file=sys.stderr)
    raise ValueError(
        f"expected photos that can be read, got {len(bad):,} of {count:,} that cannot, named "
        "above; repair or leave them out"
    )


if __name__ == "__main__":
    program.run(main, takes_arguments=True)
