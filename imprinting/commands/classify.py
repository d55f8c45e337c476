"""Prints the most probable classes of photos, with their probabilities.

  ./bazelw run classify -- PHOTO...
  ./bazelw run classify -- --model=FILE.tflite PHOTO...
  ./bazelw run classify -- --model=FILE.tflite --camera=0

A PHOTO is a file, or a folder, which means all photos in it and in its folders, or -, which means
the files and folders that are named on standard input, one per line. If the photos of a folder are
in class folders, each named after a class of the model, the accuracy and the classes that are most
often taken for others are printed, too.

FILE.tflite is a complete classifier, quantised or float, such as `./bazelw run imprint` makes.
Without --model, it is EfficientNet-Lite0 with the 1,000 classes of ImageNet, which comes with the
program.
"""

import sys
import warnings
from collections.abc import Mapping, Sequence

from absl import flags

from imprinting.base import path_flags, program
from imprinting.base.labels import normalised
from imprinting.base.progress_bar import ProgressBar
from imprinting.commands import model_path
from imprinting.inference import accuracy, answer_text, camera, photo_classifier, photo_paths
from imprinting.inference.photo_classifier import Answer
from imprinting.photos import class_folders

FLAGS = flags.FLAGS

model_path.define("The complete .tflite of a classifier.")
flags.DEFINE_integer("top", 5, "Number of classes to print for each photo, at least 1.")
flags.DEFINE_float(
    "threshold",
    0.0,
    "A photo is unknown if its best class has a lower probability; at least 0, and below 1.",
)
flags.DEFINE_boolean(
    "json",
    False,
    'Print a line for each photo: {"photo": PATH, "known": BOOL, "answers": [{"label": NAME, '
    '"probability": P}, …]}.',
)
flags.DEFINE_boolean(
    "csv", False, "Print a table with the columns photo, known, rank, label and probability."
)
path_flags.define(
    "camera",
    "",
    "Instead of photos: the number of a camera, from 0, or a video file. The answer is printed "
    "for each frame, until Ctrl-C. This needs OpenCV: pip install opencv-python-headless.",
)


def main(paths: Sequence[str]) -> None:
    """Classifies photos, and prints the answers.

    Args:
      paths: photos and folders of photos.
    """
    _check_flags(paths)
    # Warnings about damaged EXIF data, large images and the like, which users need not correct.
    warnings.filterwarnings("ignore", module="PIL")
    if FLAGS.camera:
        classifier = photo_classifier.read(model_path.given())
        camera.show(classifier, FLAGS.camera, top=FLAGS.top, threshold=FLAGS.threshold)
        return
    named = photo_paths.with_listed(paths, sys.stdin)
    found = photo_paths.find([path_flags.expand(path) for path in named])
    classifier = photo_classifier.read(model_path.given())
    with ProgressBar() as progress:
        answers, bad = classifier.classify(found.photos, top=FLAGS.top, on_progress=progress.show)
    form = answer_text.json_lines if FLAGS.json else answer_text.csv_table
    if not (FLAGS.json or FLAGS.csv):
        form = answer_text.blocks
    shown = [pair for pair in zip(found.photos, answers, strict=True) if pair[1]]
    text = form(shown, threshold=FLAGS.threshold)
    if not (FLAGS.json or FLAGS.csv):
        text = "\n\n".join(filter(None, [text, *_remarks(found, dict(shown), classifier.labels)]))
    if text:
        print(text)
    _report([f"{found.photos[index]}: {why}" for index, why in sorted(bad.items())], len(answers))


def _check_flags(paths: Sequence[str]) -> None:
    if FLAGS.top < 1:
        raise ValueError(f"expected --top to be at least 1, got {FLAGS.top}")
    if not 0 <= FLAGS.threshold < 1:
        raise ValueError(
            f"expected --threshold to be at least 0 and below 1, got {FLAGS.threshold}"
        )
    if FLAGS.json and FLAGS.csv:
        raise ValueError("expected --json or --csv, got both")
    if FLAGS.camera and (paths or FLAGS.json or FLAGS.csv):
        raise ValueError("expected --camera without photos, --json and --csv, got it with them")


def _remarks(
    found: photo_paths.Found, shown: Mapping[str, Sequence[Answer]], labels: Sequence[str]
) -> list[str]:
    """What to say after the answers."""
    remarks = []
    known = {normalised(label) for label in labels}
    classes = [accuracy.class_of(photo, known) for photo in found.in_folders]
    pairs = [
        (name, normalised(shown[photo][0].label))
        for photo, name in zip(found.in_folders, classes, strict=True)
        if name is not None and photo in shown
    ]
    if pairs and None not in classes:
        remarks.append(accuracy.text(accuracy.of(pairs)))
    if found.ignored:
        remarks.append(
            "Ignored because they are hidden, left by a system or not images by name: "
            f"{len(found.ignored):,} ({class_folders.shorten(found.ignored)})."
        )
    return remarks


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
