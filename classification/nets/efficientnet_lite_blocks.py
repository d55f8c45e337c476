"""The layers of EfficientNet-Lite0 to Lite4, and the names of their variables.

Tan and Le, "EfficientNet", arXiv 1905.11946, table 1. The Lite variants, which Google published for
phones and Edge TPUs, have no squeeze-and-excitation, use Relu6 instead of swish, and do not scale
the first and the last layers. Variables have the names of Google's published checkpoints, as the
folder efficientnet of tensorflow/tpu builds them.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple

STEM_DEPTH = 32
HEAD_DEPTH = 1280

STEM, HEAD = "stem", "head"
BATCH_NORM = "tpu_batch_normalization"


@dataclasses.dataclass(frozen=True)
class Variant:
    """How a variant is scaled: arXiv 1905.11946, section 3.3.

    Attributes:
      name: its name, "efficientnet_lite0".
      width: factor of the numbers of channels, except those of stem and head.
      depth: factor of the numbers of blocks of the stages, except the first and the last.
      image_size: height and width of the images that it was published for.
    """

    name: str
    width: float
    depth: float
    image_size: int

    @property
    def scope(self) -> str:
        """What the names of its variables begin with."""
        return self.name.replace("_", "-")


class _Stage(NamedTuple):
    blocks: int
    kernel_size: int
    stride: int
    expansion: int
    depth: int


class Block(NamedTuple):
    """An inverted residual: Sandler et al., arXiv 1801.04381, section 3.3.

    Attributes:
      scope: its name.
      kernel_size: of the depthwise convolution.
      stride: of the depthwise convolution.
      expansion: factor of the input's channels for the depthwise convolution; 1 for no expansion.
      depth: channels of the result.
      is_residual: whether the input is added to the result.
    """

    scope: str
    kernel_size: int
    stride: int
    expansion: int
    depth: int
    is_residual: bool

    @property
    def layers(self) -> dict[str, tuple[str, str]]:
        """The scopes of convolution and batch norm of the layers expand, depthwise and project."""
        found = {} if self.expansion == 1 else {"expand": ("conv2d", BATCH_NORM)}
        found["depthwise"] = ("depthwise_conv2d", _numbered(BATCH_NORM, len(found)))
        found["project"] = (_numbered("conv2d", len(found) - 1), _numbered(BATCH_NORM, len(found)))
        return found


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)

VARIANTS = (
    Variant("efficientnet_lite0", 1.0, 1.0, 224),
    Variant("efficientnet_lite1", 1.0, 1.1, 240),
    Variant("efficientnet_lite2", 1.1, 1.2, 260),
    Variant("efficientnet_lite3", 1.2, 1.4, 280),
    Variant("efficientnet_lite4", 1.4, 1.8, 300),
)


def blocks(variant: Variant) -> Iterator[Block]:
    """The blocks of a variant, in order."""
    number, depth_before = 0, STEM_DEPTH
    for stage in _STAGES:
        is_end = stage in (_STAGES[0], _STAGES[-1])
        count = stage.blocks if is_end else math.ceil(stage.blocks * variant.depth)
        depth = _scaled(stage.depth, variant.width)
        for i in range(count):
            stride = stage.stride if i == 0 else 1
            yield Block(
                scope=f"blocks_{number}",
                kernel_size=stage.kernel_size,
                stride=stride,
                expansion=stage.expansion,
                depth=depth,
                is_residual=stride == 1 and depth == depth_before,
            )
            number, depth_before = number + 1, depth


def _scaled(depth: int, width: float) -> int:
    """A number of channels times a width: a multiple of 8, at least nine tenths of the product."""
    scaled = depth * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded
