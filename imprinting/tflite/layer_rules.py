"""Rules of operators with weights or windows: convolutions, fully connected layers, pooling.

An operator that keeps them has the shapes and options that TensorFlow Lite's kernels compute with.
"""

import math

import imprinting.schema.tflite as schema
from imprinting.tflite.model_graph import Tensor
from imprinting.tflite.node import BYTES, Kind, Node, elements

# The most of a stride, a dilation, and the height and width of a filter.
_MOST = 1024
# The most quanta of the output that a product of two quanta may be. XNNPACK refuses more only after
# it has begun, and TensorFlow Lite then frees memory twice.
_MOST_FACTOR = 256
# The type of the bias for each type of activations.
_BIAS = {"FLOAT32": "FLOAT32", "UINT8": "INT32", "INT8": "INT32"}


def _conv_2d(node: Node) -> None:
    image, weights = node.input(0), node.input(1)
    _require_layer(node, image, weights, channels=0)
    node.require_dimensions(image, 4)
    node.require_dimensions(weights, 4)
    channels, depth = image.shape[3], weights.shape[3]
    node.require(
        channels % depth == 0 and weights.shape[0] % (channels // depth) == 0,
        f"weights for {channels} channels in groups of equal size",
        weights,
    )
    _require_windows(node, weights.shape[1:3], weights.shape[0])


def _depthwise_conv_2d(node: Node) -> None:
    image, weights = node.input(0), node.input(1)
    _require_layer(node, image, weights, channels=3)
    node.require_dimensions(image, 4)
    node.require_dimensions(weights, 4)
    channels, multiplier = image.shape[3], node.options.depthMultiplier
    node.require(
        weights.shape[0] == 1 and weights.shape[3] == channels * multiplier,
        f"weights [1, h, w, {channels} * {multiplier}]",
        weights,
    )
    _require_windows(node, weights.shape[1:3], weights.shape[3])


def _fully_connected(node: Node) -> None:
    image, weights = node.input(0), node.input(1)
    _require_layer(node, image, weights, channels=0)
    node.require_dimensions(weights, 2)
    node.require(
        node.options.weightsFormat == schema.FullyConnectedOptionsWeightsFormat.DEFAULT,
        "weights in the default format",
        node.options.weightsFormat,
    )
    units, depth = weights.shape
    node.require(elements(image) % depth == 0, f"inputs of a multiple of {depth}", image)
    if node.options.keepNumDims:
        node.require(image.shape[-1:] == (depth,), f"{depth} channels of {image.name}", image)
        node.require_shape((*image.shape[:-1], units))
    else:
        node.require_shape((elements(image) // depth, units))


def _pool_2d(node: Node) -> None:
    image, options = node.input(0), node.options
    node.require_activations(image, node.output)
    node.require_dimensions(image, 4)
    node.require_fused()
    if image.type in BYTES:
        node.require(
            (image.scales, image.zero_points) == (node.output.scales, node.output.zero_points),
            f"the scale and zero point of {image.name} for {node.output.name}",
            node.output,
        )
    size = (options.filterHeight, options.filterWidth)
    for name, number in zip(("a filter's height", "a filter's width"), size, strict=True):
        node.require_range(name, number, 1, _MOST)
    _require_output(node, image, size, (1, 1), image.shape[3])


def _require_layer(node: Node, image: Tensor, weights: Tensor, *, channels: int) -> None:
    """Checks types, scales and bias; `channels` is the dimension of the weights' channels."""
    node.require_activations(image, node.output)
    node.require_static(weights)
    node.require_fused()
    # Weights of bytes may have float activations.
    is_hybrid = image.type == "FLOAT32" and weights.type == "INT8"
    node.require(
        is_hybrid or weights.type == image.type, f"{image.type} for {weights.name}", weights
    )
    node.require(channels < len(weights.shape), f"weights with dimension {channels}", weights)
    number = weights.shape[channels]
    if weights.type in BYTES:
        several = weights.type == "INT8" and len(weights.scales) == number
        node.require(
            several or len(weights.scales) == 1, f"one scale or {number} of {weights.name}", weights
        )
    if len(weights.scales) > 1:
        raw = node.tflite_model.subgraphs[0].tensors[weights.index].quantization
        node.require(
            raw.quantizedDimension == channels,
            f"scales along dimension {channels} of {weights.name}",
            raw.quantizedDimension,
        )
    if image.type in BYTES:
        factor = image.scales[0] * max(weights.scales) / node.output.scales[0]
        node.require(
            factor < _MOST_FACTOR, f"scales whose product is below {_MOST_FACTOR}", f"{factor:g}"
        )
    if (bias := node.operator.input(2)) is not None:
        node.require_static(bias)
        node.require(
            bias.type == _BIAS[image.type] and bias.shape == (number,),
            f"{_BIAS[image.type]} [{number}] for {bias.name}",
            bias,
        )
        node.require(
            image.type == "FLOAT32" or len(bias.scales) == len(weights.scales),
            f"{len(weights.scales)} scales of {bias.name}",
            bias,
        )


def _require_windows(node: Node, size: tuple[int, ...], channels: int) -> None:
    options = node.options
    for number in size:
        node.require_range("a filter's size", number, 1, _MOST)
    dilations = (options.dilationHFactor, options.dilationWFactor)
    for number in dilations:
        node.require_range("a dilation", number, 1, _MOST)
    _require_output(node, node.input(0), size, dilations, channels)


def _require_output(
    node: Node, image: Tensor, size: tuple[int, ...], dilations: tuple[int, int], channels: int
) -> None:
    """Checks the shape of an output, [n, h, w, channels], that is computed by moving windows."""
    options = node.options
    same = schema.Padding.SAME
    node.require(options.padding in (same, schema.Padding.VALID), "padding 0 or 1", options.padding)
    found = []
    strides = (options.strideH, options.strideW)
    for length, window, dilation, stride in zip(
        image.shape[1:3], size, dilations, strides, strict=True
    ):
        node.require_range("a stride", stride, 1, _MOST)
        lost = 0 if options.padding == same else (window - 1) * dilation
        node.require(length > lost, f"an input of more than {lost} pixels", image)
        found.append(-(-(length - lost) // stride))
    node.require_shape((image.shape[0], *found, channels))


def _conv_work(node: Node) -> int:
    return elements(node.output) * math.prod(node.input(1).shape[1:])


def _depthwise_work(node: Node) -> int:
    return elements(node.output) * math.prod(node.input(1).shape[1:3])


def _pool_work(node: Node) -> int:
    return elements(node.output) * node.options.filterHeight * node.options.filterWidth


def _columns(node: Node) -> int:
    """The bytes of all windows of an image, which some kernels write one after the other."""
    weights, item = node.input(1), 4 if node.input(0).type == "FLOAT32" else 1
    if weights.shape[1:3] == (1, 1):
        return 0
    return elements(node.output) // weights.shape[0] * math.prod(weights.shape[1:]) * item


KINDS = {
    "CONV_2D": Kind(8, schema.Conv2DOptionsT, (2, 3), _conv_2d, _conv_work, _columns),
    "DEPTHWISE_CONV_2D": Kind(
        7, schema.DepthwiseConv2DOptionsT, (2, 3), _depthwise_conv_2d, _depthwise_work
    ),
    "FULLY_CONNECTED": Kind(
        14,
        schema.FullyConnectedOptionsT,
        (2, 3),
        _fully_connected,
        lambda node: elements(node.input(0)) * node.input(1).shape[0],
    ),
    "AVERAGE_POOL_2D": Kind(3, schema.Pool2DOptionsT, (1, 1), _pool_2d, _pool_work),
    "MAX_POOL_2D": Kind(3, schema.Pool2DOptionsT, (1, 1), _pool_2d, _pool_work),
}
