"""Prints what TensorFlow Lite's Task Library sees in photos, as JSON: MODEL PHOTO...

It needs tflite-support.
"""

import json
import sys

from tflite_support.task import core, processor, vision


def main() -> None:
    """Prints the label of the best class of each photo."""
    path, *photos = sys.argv[1:]
    classifier = vision.ImageClassifier.create_from_options(
        vision.ImageClassifierOptions(
            base_options=core.BaseOptions(file_name=path),
            classification_options=processor.ClassificationOptions(max_results=1),
        )
    )
    found = [classifier.classify(vision.TensorImage.create_from_file(photo)) for photo in photos]
    print(json.dumps([answer.classifications[0].categories[0].category_name for answer in found]))


if __name__ == "__main__":
    main()
