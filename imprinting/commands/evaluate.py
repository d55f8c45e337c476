"""Measures how many photos of class folders a classifier recognises.

  ./bazelw run evaluate -- --images_dir=DIR [--model=FILE.tflite] [--json]

DIR holds a folder for each class, with the name of a class of the model and its photos. Prints how
many photos are recognised, those of each class, and the classes that are most often taken for
others. The photos should be others than those that the classes were imprinted from.
"""

import json
import warnings

from absl import flags

from imprinting.base import labels, path_flags, program
from imprinting.base.progress_bar import ProgressBar
from imprinting.commands import model_path
from imprinting.inference import accuracy, photo_classifier
from imprinting.new_classes import photos
from imprinting.photos import class_folders

FLAGS = flags.FLAGS

model_path.define("The complete .tflite of a classifier.")
path_flags.define("images_dir", "", "Folder of class folders of photos.")
flags.DEFINE_boolean("json", False, "Print the figures as a JSON object.")
flags.DEFINE_boolean("skip_bad_images", False, "Skip photos that cannot be read.")


def main() -> None:
    """Classifies the photos, and prints the figures."""
    program.require("images_dir")
    warnings.filterwarnings("ignore", module="PIL")
    found = photos.find(FLAGS.images_dir)
    path = model_path.given()
    classifier = photo_classifier.read(path)
    known = {labels.normalised(name) for name in classifier.labels}
    others = [name for name in found.classes if labels.normalised(name) not in known]
    if others:
        raise ValueError(
            f"expected folders with names of classes of {path} in {found.folder}, got "
            f"{class_folders.shorten(others)}; `labels` prints the names of the classes"
        )
    with ProgressBar() as progress:
        answers, bad = classifier.classify(found.paths, top=1, on_progress=progress.show)
    photos.check(found, bad, skip=FLAGS.skip_bad_images)
    result = accuracy.of(
        [
            (labels.normalised(name), labels.normalised(answers[index][0].label))
            for name, images in found.readable(bad)
            for index in images
        ]
    )
    if FLAGS.json:
        print(json.dumps(_figures(result), ensure_ascii=False))
        return
    for count in result.classes:
        print(
            f"{count.right / count.total:6.1%}  {count.right:,} of {count.total:,}  {count.label}"
        )
    print(accuracy.text(result))
    if bad:
        print(f"Skipped: {class_folders.shorten(found.describe(bad))}.")


def _figures(result: accuracy.Accuracy) -> dict[str, object]:
    return {
        "right": result.right,
        "total": result.total,
        "accuracy": result.right / result.total,
        "classes": [count._asdict() for count in result.classes],
        "confusions": [confusion._asdict() for confusion in result.confusions],
    }


if __name__ == "__main__":
    program.run(main)
