"""Values that a model computes of its tensors' shapes, such as the new shape of a RESHAPE.

Converters write SHAPE, STRIDED_SLICE and PACK for a layer that makes features flat, since the batch
size was not known. With the shapes of a file they always compute the same numbers.
"""

import imprinting.schema.tflite as schema
from imprinting.tflite.node import Kind, Node


def _shape(node: Node) -> None:
    source, output = node.input(0), node.output
    node.require(
        output.type == "INT32" and node.options.outType == schema.TensorType.INT32,
        f"INT32 for {output.name}",
        output,
    )
    node.require_shape((len(source.shape),))
    node.set_constants(output, list(source.shape))


def _strided_slice(node: Node) -> None:
    source, options = node.input(0), node.options
    values = node.constants(source)
    node.require_dimensions(source, 1)
    masks = (options.beginMask, options.endMask, options.ellipsisMask, options.newAxisMask)
    node.require(
        not any(masks) and options.shrinkAxisMask == 1 and not options.offset,
        "one element that is taken out of a vector",
        f"masks {masks} and {options.shrinkAxisMask}",
    )
    limits = []
    for index in (1, 2, 3):
        tensor = node.input(index)
        node.require(tensor.type == "INT32", f"INT32 for {tensor.name}", tensor)
        node.require_shape((1,), tensor)
        limits += node.constants(tensor)
    begin, end, stride = limits
    node.require(
        0 <= begin < len(values) and (end, stride) == (begin + 1, 1),
        f"one of {len(values)} elements",
        limits,
    )
    node.require(node.output.type == source.type, f"{source.type} as output", node.output)
    node.require_shape(())
    node.set_constants(node.output, [values[begin]])


def _pack(node: Node) -> None:
    inputs = [node.input(index) for index in range(len(node.operator.inputs))]
    options = node.options
    node.require(
        options.axis == 0 and options.valuesCount == len(inputs),
        f"{len(inputs)} values along axis 0",
        f"{options.valuesCount} along axis {options.axis}",
    )
    values = []
    for tensor in (*inputs, node.output):
        node.require(tensor.type == "INT32", f"INT32 for {tensor.name}", tensor)
    for tensor in inputs:
        node.require_shape((), tensor)
        values += node.constants(tensor)
    node.require_shape((len(inputs),))
    node.set_constants(node.output, values)


KINDS = {
    "SHAPE": Kind(1, schema.ShapeOptionsT, (1, 1), _shape),
    "STRIDED_SLICE": Kind(8, schema.StridedSliceOptionsT, (4, 4), _strided_slice),
    "PACK": Kind(4, schema.PackOptionsT, (1, 100), _pack),
}
