"""The flags that tell what a network is, for programs that take it from its `model.json`."""

from typing import Any

from absl import flags

from classification.nets import checkpoints, fake_quant, model_config, variable_names
from classification.nets.model_config import ModelConfig
from transforms.base import program

flags.DEFINE_integer("image_size", 224, "Height and width of the input in pixels.")
flags.DEFINE_integer(
    "num_classes", 1001, "Classes of the network; 0, for export, ends it at the embedding."
)
flags.DEFINE_float("depth_multiplier", 1.0, "Of the channels of the base's layers.")
flags.DEFINE_bool(
    "quantize", False, "Whether the network is a quantised one. Default: what the checkpoint is."
)
flags.DEFINE_bool(
    "learned_embedding_range",
    False,
    "Whether a quantised network takes its embedding's range from the checkpoint, as the "
    "reference does, instead of -1..127/128. Default: what a checkpoint without model.json has.",
)

_NAMES = (
    "image_size",
    "num_classes",
    "depth_multiplier",
    "quantize",
    "learned_embedding_range",
)


def given() -> dict[str, Any]:
    """Those of the flags that were set by hand."""
    return program.given(_NAMES)


def resolve(path: str, values: dict[str, Any]) -> ModelConfig:
    """The network of a checkpoint, as its `model.json` and the user's flags tell.

    Where there is no `model.json`, the checkpoint tells whether the network is quantised, and how
    its embedding is: what is found there is printed.

    Args:
      path: a checkpoint, or a folder of them, as `checkpoints.find` takes.
      values: attributes of the network that the user has set by hand.

    Raises:
      FileNotFoundError: if there is no checkpoint.
      ValueError: if a flag contradicts `model.json` or the checkpoint, these contradict each
        other, or a file cannot be read.
    """
    checkpoint = checkpoints.find(path)
    folder = checkpoint.folder
    known = model_config.read(folder)
    quantised = checkpoint.is_quantised
    if known is None and "quantize" not in values and quantised:
        values = values | {"quantize": True}
        print(
            f"No {model_config.FILE_NAME} in {folder}: the network is quantised, since the "
            "checkpoint holds quantisation ranges.",
            flush=True,
        )
    if known is None and values.get("quantize") and "learned_embedding_range" not in values:
        names = variable_names.limits(variable_names.EMBEDDING_RANGE)
        limits = [checkpoint.scalar(name) for name in names]
        # A network of the fixed range may lack the variables, but never has other values there.
        if None not in limits and tuple(limits) != fake_quant.TFLITE_L2_NORM_RANGE:
            values = values | {"learned_embedding_range": True}
            print(
                f"No {model_config.FILE_NAME} in {folder}: the embedding's range is that of the "
                f"checkpoint, {limits[0]:.4g}..{limits[1]:.4g}, as --learned_embedding_range says.",
                flush=True,
            )
    config = model_config.resolve(known, values, source=folder)
    # The other way round, it is the ranges that are missed, by whoever needs them.
    if quantised and not config.quantize:
        source = "--quantize=false" if known is None else model_config.FILE_NAME
        raise ValueError(
            f"expected a float network's checkpoint, as {source} says, got {checkpoint}, which "
            "holds quantisation ranges; "
            + (
                "leave --quantize out"
                if known is None
                else "each has a folder of its own: name that of the checkpoint's training"
            )
        )
    return config
