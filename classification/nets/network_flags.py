"""Flags that describe a network, which `--help` shows without loading TensorFlow."""

from typing import Any

from absl import flags

from imprinting.base import program

flags.DEFINE_string(
    "network",
    "mobilenet_v1",
    "The network: mobilenet_v1, efficientnet_lite0, efficientnet_lite1, efficientnet_lite2, "
    "efficientnet_lite3 or efficientnet_lite4. By default, this is read from its files, if there "
    "are any.",
)
flags.DEFINE_integer(
    "image_size",
    224,
    "Height and width of the input, in pixels. By default, this is read from its files, or it is "
    "what the network was published for.",
)
flags.DEFINE_integer(
    "num_classes",
    1001,
    "Number of classes; in export, 0 ends the network at the embedding. By default, this is read "
    "from its files, or it is that of the published network.",
)
flags.DEFINE_float("depth_multiplier", 1.0, "Multiplies the channels of the base's layers.")
flags.DEFINE_bool(
    "quantize", False, "Whether the network is quantised. By default, this is read from its files."
)
flags.DEFINE_bool(
    "learned_embedding_range",
    False,
    "Whether a quantised network reads its embedding's range from the checkpoint, as the "
    "reference does, instead of using -1..127/128. By default, this is read from its files.",
)

_NAMES = (
    "network",
    "image_size",
    "num_classes",
    "depth_multiplier",
    "quantize",
    "learned_embedding_range",
)


def given() -> dict[str, Any]:
    """The flags that the user has set, by name."""
    return program.given(_NAMES)
