"""Turns the variables of a PyTorch EfficientNet-Lite into those of Google's published checkpoints.

PyTorch keeps a kernel as [outputs, inputs, height, width], and that of a depthwise convolution as
[channels, 1, height, width].
"""

from collections.abc import Iterator, Mapping

import numpy as np

from classification.nets import efficientnet_lite_blocks
from classification.nets.efficientnet_lite_blocks import (
    BATCH_NORM,
    HEAD,
    HEAD_DEPTH,
    STEM,
    STEM_DEPTH,
    VARIANTS,
    Variant,
)

# PyTorch's name -> that of TensorFlow.
_BATCH_NORM_PARTS = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
# PyTorch counts batches, which nothing uses.
_IGNORED = "num_batches_tracked"


def variables(state: Mapping[str, np.ndarray], variant: Variant) -> dict[str, np.ndarray]:
    """Returns the variables of a published classifier, float32, by name.

    Args:
      state: the arrays of a PyTorch file, by name.
      variant: the network that the file must be of.

    Raises:
      ValueError: if the file is of another network, lacks a variable, or has one more, or one of
        another shape or type, or with a value that is not finite.
    """
    expected = dict(_variables(variant, num_classes=_num_classes(state)))
    other = _other_variant(state, variant)
    if other is not None:
        raise ValueError(f"expected the weights of {variant.name}, got those of {other}")
    for name, (_, shape) in expected.items():
        array = state.get(name)
        if array is None:
            raise ValueError(f"expected the weights of {variant.name}, got none called {name}")
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(
                f"expected {name} of {variant.name} to be float32 {list(shape)}, got "
                f"{array.dtype} {list(array.shape)}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"expected finite values in {name}, got NaN or infinity")
    surplus = [n for n in state if n not in expected and not n.endswith("." + _IGNORED)]
    if surplus:
        raise ValueError(
            f"expected the weights of {variant.name} alone, got {len(surplus)} more, such as "
            f"{surplus[0]}"
        )
    return {
        f"{variant.scope}/{name}": np.ascontiguousarray(_transposed(name, state[source]))
        for source, (name, _) in expected.items()
    }


def _transposed(name: str, array: np.ndarray) -> np.ndarray:
    if name.endswith("/depthwise_kernel"):
        return array.transpose(2, 3, 0, 1)
    if name.endswith("/kernel"):
        return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
    return array


def _num_classes(state: Mapping[str, np.ndarray]) -> int:
    kernel = state.get("_fc.weight")
    return 0 if kernel is None or not kernel.ndim else len(kernel)


def _other_variant(state: Mapping[str, np.ndarray], variant: Variant) -> str | None:
    """The name of the network that a file is of, if it is another variant."""
    shapes = {name: array.shape for name, array in state.items() if not name.endswith(_IGNORED)}
    for other in VARIANTS:
        layers = dict(_variables(other, num_classes=_num_classes(state)))
        if {name: shape for name, (_, shape) in layers.items()} == shapes:
            return None if other == variant else other.name
    return None


def _variables(
    variant: Variant, *, num_classes: int
) -> Iterator[tuple[str, tuple[str, tuple[int, ...]]]]:
    """PyTorch's name of each variable, with TensorFlow's name and PyTorch's shape."""
    yield from _layer("_conv_stem", "_bn0", STEM, "conv2d", BATCH_NORM, (STEM_DEPTH, 3, 3, 3))
    before = STEM_DEPTH
    for number, block in enumerate(efficientnet_lite_blocks.blocks(variant)):
        depth, kernel = before * block.expansion, 2 * (block.kernel_size,)
        shapes = {
            "expand": (depth, before, 1, 1),
            "depthwise": (depth, 1, *kernel),
            "project": (block.depth, depth, 1, 1),
        }
        for layer, (scope, batch_norm) in block.layers.items():
            place = list(shapes).index(layer)
            prefix = f"_blocks.{number}."
            yield from _layer(
                f"{prefix}_{layer}_conv",
                f"{prefix}_bn{place}",
                block.scope,
                scope,
                batch_norm,
                shapes[layer],
            )
        before = block.depth
    yield from _layer("_conv_head", "_bn1", HEAD, "conv2d", BATCH_NORM, (HEAD_DEPTH, before, 1, 1))
    yield "_fc.weight", (f"{HEAD}/dense/kernel", (num_classes, HEAD_DEPTH))
    yield "_fc.bias", (f"{HEAD}/dense/bias", (num_classes,))


def _layer(
    kernel: str, norm: str, scope: str, layer: str, batch_norm: str, shape: tuple[int, ...]
) -> Iterator[tuple[str, tuple[str, tuple[int, ...]]]]:
    suffix = "depthwise_kernel" if layer.startswith("depthwise") else "kernel"
    yield f"{kernel}.weight", (f"{scope}/{layer}/{suffix}", shape)
    for part, name in _BATCH_NORM_PARTS.items():
        yield f"{norm}.{part}", (f"{scope}/{batch_norm}/{name}", shape[:1])
