"""Finds the .tflite that comes with the project, for users who name no other."""

import pathlib

_NAME = "imagenet.tflite"


def path() -> str:
    """The path of the complete .tflite with the 1,000 classes of ImageNet.

    Raises:
      FileNotFoundError: if it is missing.
    """
    # Links are not followed, because Bazel's lead out of the folder.
    found = pathlib.Path(__file__).absolute().parent / _NAME
    if not found.is_file():
        raise FileNotFoundError(
            f"expected the model that comes with the project at {found}, got no such file; name "
            "a .tflite with --model, install the package again, or start the program with "
            "./bazelw run"
        )
    return str(found)
