"""The flag --model of programs that have a default model."""

from absl import flags

from imprinting.base import path_flags
from imprinting.inference import default_model

# A flag belongs to the program that defines it, not to this module.
flags.disclaim_key_flags()


def define(what: str) -> None:
    """Defines the flag; `what` is the sentence that says which model it names."""
    path_flags.define(
        "model",
        "",
        f"{what} Default: EfficientNet-Lite0 with the 1,000 classes of ImageNet, which comes with "
        "the program.",
    )


def given() -> str:
    """The path that the user gave with --model, otherwise that of the default model.

    Raises:
      ValueError: if the flag is there without a path, such as an empty variable of a shell.
      FileNotFoundError: if the default model is needed and missing.
    """
    flag = flags.FLAGS["model"]
    if flag.present and not flag.value:
        raise ValueError(
            "expected --model=FILE.tflite, got --model without a name; leave it out for the model "
            "that comes with the program"
        )
    return str(flag.value or default_model.path())
