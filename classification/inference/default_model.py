"""Finds the .tflite that the build makes, for programs whose user names no other."""

import pathlib

_NAME = "imagenet_tflite.tflite"


def default_model_path() -> str:
    """The path of the complete .tflite with the 1,000 classes of ImageNet.

    Raises:
      FileNotFoundError: if it is not among the program's runfiles.
    """
    # With Bazel, this file is RUNFILES/WORKSPACE/classification/inference/default_model.py. Links
    # are not followed, because they lead out of the runfiles.
    path = pathlib.Path(__file__).absolute().parents[2] / _NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"expected the build's {_NAME} at {path}, where Bazel puts it, got no such file; name "
            "a .tflite with --model, or start the program with ./bazelw run"
        )
    return str(path)
