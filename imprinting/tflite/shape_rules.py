"""Rules of operators that move, join or reduce elements: reshaping, padding, means.

What such an operator does is in the values of its constants, which are checked against its shapes.
"""

import math

import imprinting.schema.tflite as schema
from imprinting.tflite.node import ACTIVATIONS, BYTES, Kind, Node, elements

# The kernel of PAD supports fewer dimensions than others.
_MOST_PADDED = 4
# The most pixels that are added at a side.
_MOST_PADDING = 1 << 16


def _reshape(node: Node) -> None:
    source, output = node.input(0), node.output
    _require_same_values(node)
    options = node.options
    if len(node.operator.inputs) == 2:
        shape = node.input(1)
        node.require_dimensions(shape, 1)
        node.require(shape.type == "INT32", f"INT32 for {shape.name}", shape)
        wanted = node.constants(shape)
    else:
        node.require(options is not None, "a new shape", "none")
        wanted = [] if options.newShape is None else [int(n) for n in options.newShape]
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known > 0:
        wanted[wanted.index(-1)] = elements(source) // known
    node.require(
        elements(source) == elements(output), f"{elements(source)} elements of its output", output
    )
    node.require_shape(tuple(wanted))


def _squeeze(node: Node) -> None:
    source = node.input(0)
    _require_same_values(node)
    given = node.options.squeezeDims
    count = len(source.shape)
    axes = {node.axis(int(a), count) for a in (() if given is None else given)}
    axes = axes or {axis for axis in range(count) if source.shape[axis] == 1}
    node.require(all(source.shape[a] == 1 for a in axes), f"1 in dimensions {sorted(axes)}", source)
    node.require_shape(tuple(n for axis, n in enumerate(source.shape) if axis not in axes))


def _expand_dims(node: Node) -> None:
    source, axes = node.input(0), node.constants(node.input(1))
    _require_same_values(node)
    node.require(len(axes) == 1, "one axis", axes)
    axis = node.axis(axes[0], len(source.shape) + 1)
    node.require_shape((*source.shape[:axis], 1, *source.shape[axis:]))


def _transpose(node: Node) -> None:
    source, order = node.input(0), node.constants(node.input(1))
    _require_same_values(node)
    count = len(source.shape)
    node.require(node.input(1).type == "INT32", "INT32 for the order", node.input(1))
    node.require(sorted(order) == list(range(count)), f"an order of {count} dimensions", order)
    node.require_shape(tuple(source.shape[axis] for axis in order))


def _pad(node: Node) -> None:
    source, sides = node.input(0), node.input(1)
    _require_same_values(node)
    count = len(source.shape)
    node.require(1 <= count <= _MOST_PADDED, f"1 to {_MOST_PADDED} dimensions", source)
    node.require_shape((count, 2), sides)
    padding = node.constants(sides)
    for number in padding:
        node.require_range("a padding", number, 0, _MOST_PADDING)
    node.require_shape(
        tuple(n + padding[2 * axis] + padding[2 * axis + 1] for axis, n in enumerate(source.shape))
    )


def _concatenation(node: Node) -> None:
    inputs = [node.input(index) for index in range(len(node.operator.inputs))]
    node.require_activations(*inputs, node.output)
    node.require_fused(allowed=False)
    first = inputs[0].shape
    node.require(1 <= len(first) <= 4, "1 to 4 dimensions", inputs[0])
    axis = node.axis(node.options.axis, len(first))
    rest = first[:axis], first[axis + 1 :]
    for tensor in inputs:
        node.require(
            len(tensor.shape) == len(first)
            and (tensor.shape[:axis], tensor.shape[axis + 1 :]) == rest,
            f"the shape {list(first)} except in dimension {axis} of {tensor.name}",
            tensor,
        )
    node.require_shape((*rest[0], sum(tensor.shape[axis] for tensor in inputs), *rest[1]))


def _reduction(node: Node) -> None:
    source = node.input(0)
    node.require_activations(source, node.output)
    count = len(source.shape)
    node.require(1 <= count <= 4, "1 to 4 dimensions", source)
    node.require(
        node.input(1).type == "INT32" and len(node.input(1).shape) <= 1,
        "INT32 numbers of the dimensions",
        node.input(1),
    )
    axes = {node.axis(axis, count) for axis in node.constants(node.input(1))}
    node.require(bool(axes), "at least one dimension", "none")
    if node.options.keepDims:
        node.require_shape(tuple(1 if axis in axes else n for axis, n in enumerate(source.shape)))
    else:
        node.require_shape(tuple(n for axis, n in enumerate(source.shape) if axis not in axes))


def _require_same_values(node: Node) -> None:
    """Checks an operator whose outputs are elements of its first input."""
    source = node.input(0)
    node.require_activations(source, node.output, types=ACTIVATIONS)
    if source.type in BYTES:
        node.require(
            (source.scales, source.zero_points) == (node.output.scales, node.output.zero_points),
            f"the scale and zero point of {source.name} for {node.output.name}",
            node.output,
        )


KINDS = {
    "RESHAPE": Kind(1, schema.ReshapeOptionsT, (1, 2), _reshape),
    "SQUEEZE": Kind(2, schema.SqueezeOptionsT, (1, 1), _squeeze),
    "EXPAND_DIMS": Kind(1, None, (2, 2), _expand_dims),
    "TRANSPOSE": Kind(6, None, (2, 2), _transpose),
    "PAD": Kind(4, None, (2, 2), _pad),
    "CONCATENATION": Kind(4, schema.ConcatenationOptionsT, (1, 100), _concatenation),
    "MEAN": Kind(3, schema.ReducerOptionsT, (2, 2), _reduction),
    "SUM": Kind(2, schema.ReducerOptionsT, (2, 2), _reduction),
    "REDUCE_MAX": Kind(3, schema.ReducerOptionsT, (2, 2), _reduction),
}
