"""Prints what MediaPipe Tasks sees in photos, as JSON: MODEL PHOTO... It needs mediapipe."""

import json
import sys

import mediapipe
from mediapipe.tasks.python import BaseOptions, vision


def main() -> None:
    """Prints the label of the best class of each photo."""
    path, *photos = sys.argv[1:]
    options = vision.ImageClassifierOptions(
        base_options=BaseOptions(model_asset_path=path), max_results=1
    )
    with vision.ImageClassifier.create_from_options(options) as classifier:
        found = [classifier.classify(mediapipe.Image.create_from_file(photo)) for photo in photos]
    print(json.dumps([answer.classifications[0].categories[0].category_name for answer in found]))


if __name__ == "__main__":
    main()
