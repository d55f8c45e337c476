"""Small models for tests, made without a converter: a classifier for each kind of operator."""

import math
from collections.abc import Callable
from typing import Any

import imprinting.schema.tflite as schema
from imprinting.tflite.model_graph import Model
from imprinting.tflite.model_testing import SCALE, Builder

SIZE = 8
CLASSES = 5
TYPES = ("FLOAT32", "UINT8", "INT8")
_CHANNELS = 3


def _conv_2d(b: Builder, x: int) -> int:
    options = schema.Conv2DOptionsT(
        padding=schema.Padding.VALID, strideH=2, strideW=1, dilationHFactor=1, dilationWFactor=1
    )
    return b.add("CONV_2D", [x, *b.weights(4, 3, 3, _CHANNELS, channels=0)], [1, 3, 6, 4], options)


def _conv_2d_in_groups(b: Builder, x: int) -> int:
    options = schema.Conv2DOptionsT(strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    weights = b.weights(6, 3, 3, 1, channels=0)
    return b.add("CONV_2D", [x, *weights], [1, SIZE, SIZE, 6], options)


def _conv_2d_of_bytes(b: Builder, x: int) -> int:
    """Weights of INT8 with activations of FLOAT32."""
    options = schema.Conv2DOptionsT(strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    weights = b.constant(4, 3, 3, _CHANNELS, kind="INT8"), b.constant(4)
    return b.add("CONV_2D", [x, *weights], [1, SIZE, SIZE, 4], options)


def _depthwise_conv_2d(b: Builder, x: int) -> int:
    options = schema.DepthwiseConv2DOptionsT(
        padding=schema.Padding.SAME,
        strideH=1,
        strideW=1,
        depthMultiplier=2,
        dilationHFactor=2,
        dilationWFactor=1,
    )
    weights = b.weights(1, 3, 3, 2 * _CHANNELS, channels=3)
    return b.add("DEPTHWISE_CONV_2D", [x, *weights], [1, SIZE, SIZE, 2 * _CHANNELS], options)


def _fully_connected(b: Builder, x: int) -> int:
    weights = b.weights(4, _CHANNELS, channels=0)
    options = schema.FullyConnectedOptionsT(keepNumDims=True)
    return b.add("FULLY_CONNECTED", [x, *weights], [1, SIZE, SIZE, 4], options)


def _pool(name: str) -> Callable[[Builder, int], int]:
    def add(b: Builder, x: int) -> int:
        options = schema.Pool2DOptionsT(
            padding=schema.Padding.VALID, strideH=2, strideW=2, filterHeight=2, filterWidth=3
        )
        return b.add(name, [x], [1, 4, 3, _CHANNELS], options)

    return add


def _unary(name: str, options: Any = None) -> Callable[[Builder, int], int]:
    return lambda b, x: b.add(name, [x], b.shape(x), options)


def _binary(name: str, options: Any = None) -> Callable[[Builder, int], int]:
    return lambda b, x: b.add(name, [x, b.constant(1, 1, _CHANNELS)], b.shape(x), options)


def _reduction(name: str) -> Callable[[Builder, int], int]:
    return lambda b, x: b.add(
        name, [x, b.numbers(1, 2)], [1, _CHANNELS], schema.ReducerOptionsT(keepDims=False)
    )


def _reshape(b: Builder, x: int) -> int:
    return b.add(
        "RESHAPE", [x, b.numbers(1, -1, _CHANNELS)], [1, SIZE * SIZE, 3], schema.ReshapeOptionsT()
    )


def _shape(b: Builder, x: int) -> int:
    """Makes an image flat, in a shape that is computed of its own."""
    size = math.prod(b.shape(x)[1:])
    options = schema.ShapeOptionsT(outType=schema.TensorType.INT32)
    shape = b.add("SHAPE", [x], b.tensor([4], "INT32"), options)
    first = b.add(
        "STRIDED_SLICE",
        [shape, b.numbers(0), b.numbers(1), b.numbers(1)],
        b.tensor([], "INT32"),
        schema.StridedSliceOptionsT(shrinkAxisMask=1),
    )
    count = b.tensor([], "INT32", values=size)
    wanted = b.add(
        "PACK", [first, count], b.tensor([2], "INT32"), schema.PackOptionsT(valuesCount=2, axis=0)
    )
    return b.add("RESHAPE", [x, wanted], [1, size], schema.ReshapeOptionsT())


def _squeeze(b: Builder, x: int) -> int:
    return b.add("SQUEEZE", [x], [SIZE, SIZE, _CHANNELS], schema.SqueezeOptionsT(squeezeDims=[0]))


def _transpose_of_6(b: Builder, x: int) -> int:
    x = b.add("RESHAPE", [x, b.numbers(2, 4, 2, 4, 1, 3)], [2, 4, 2, 4, 1, 3])
    return b.add("TRANSPOSE", [x, b.numbers(5, 4, 3, 2, 1, 0)], [3, 1, 4, 2, 4, 2])


def _dequantize(b: Builder, x: int) -> int:
    if b.type == "FLOAT32":
        half = b.tensor([_CHANNELS], "FLOAT16", values=[1, 2, 3])
        factors = b.add("DEQUANTIZE", [half], [_CHANNELS])
        return b.add("MUL", [x, factors], b.shape(x), schema.MulOptionsT())
    real = b.add("DEQUANTIZE", [x], b.tensor(b.shape(x), "FLOAT32"))
    return b.add("QUANTIZE", [real], b.shape(x))


def _concatenation(b: Builder, x: int) -> int:
    return b.add("CONCATENATION", [x, x], [1, SIZE, SIZE, 6], schema.ConcatenationOptionsT(axis=-1))


def _pad(b: Builder, x: int) -> int:
    sides = b.tensor([4, 2], "INT32", values=[[0, 0], [1, 0], [2, 1], [0, 0]])
    return b.add("PAD", [x, sides], [1, SIZE + 1, SIZE + 3, _CHANNELS])


# What adds an operator of each kind after an image [1, 8, 8, 3]; a kind may have several.
EXAMPLES: dict[str, Callable[[Builder, int], int]] = {
    "CONV_2D": _conv_2d,
    "CONV_2D in groups": _conv_2d_in_groups,
    "CONV_2D of bytes": _conv_2d_of_bytes,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _pool("AVERAGE_POOL_2D"),
    "MAX_POOL_2D": _pool("MAX_POOL_2D"),
    "ADD": _binary("ADD", schema.AddOptionsT()),
    "SUB": _binary("SUB", schema.SubOptionsT()),
    "MUL": _binary("MUL", schema.MulOptionsT()),
    "DIV": _binary("DIV", schema.DivOptionsT()),
    "MAXIMUM": _binary("MAXIMUM"),
    "MINIMUM": _binary("MINIMUM"),
    "RELU": _unary("RELU"),
    "RELU6": _unary("RELU6"),
    "RELU_N1_TO_1": _unary("RELU_N1_TO_1"),
    "HARD_SWISH": _unary("HARD_SWISH"),
    "LOGISTIC": _unary("LOGISTIC"),
    "TANH": _unary("TANH"),
    "ELU": _unary("ELU"),
    "LEAKY_RELU": _unary("LEAKY_RELU", schema.LeakyReluOptionsT(alpha=0.25)),
    "PRELU": _binary("PRELU"),
    "SOFTMAX": _unary("SOFTMAX", schema.SoftmaxOptionsT(beta=1.0)),
    "L2_NORMALIZATION": _unary("L2_NORMALIZATION", schema.L2NormOptionsT()),
    "QUANTIZE": lambda b, x: b.add("QUANTIZE", [x], b.tensor(b.shape(x), scale=SCALE * 2)),
    "DEQUANTIZE": _dequantize,
    "RESHAPE": _reshape,
    "SHAPE": _shape,
    "STRIDED_SLICE": _shape,
    "PACK": _shape,
    "SQUEEZE": _squeeze,
    "EXPAND_DIMS": lambda b, x: b.add("EXPAND_DIMS", [x, b.numbers(-2)], [1, SIZE, SIZE, 1, 3]),
    "TRANSPOSE": lambda b, x: b.add("TRANSPOSE", [x, b.numbers(0, 3, 1, 2)], [1, 3, SIZE, SIZE]),
    "TRANSPOSE of 6": _transpose_of_6,
    "PAD": _pad,
    "CONCATENATION": _concatenation,
    "MEAN": _reduction("MEAN"),
    "SUM": _reduction("SUM"),
    "REDUCE_MAX": _reduction("REDUCE_MAX"),
}
# Combinations that the kernels do not have.
_MISSING = {
    ("QUANTIZE", "FLOAT32"),
    ("ELU", "UINT8"),
    ("DIV", "UINT8"),
    ("DIV", "INT8"),
    ("CONV_2D in groups", "UINT8"),
    ("CONV_2D of bytes", "UINT8"),
    ("CONV_2D of bytes", "INT8"),
}


def cases() -> list[tuple[str, str]]:
    """The kinds of operators with the types of activations that they support."""
    return [(name, kind) for name in EXAMPLES for kind in TYPES if (name, kind) not in _MISSING]


def classifier(name: str, kind: str) -> Model:
    """A classifier [1, 8, 8, 3] -> [1, 5] that begins with an operator.

    Its input is FLOAT32, or UINT8 for activations of INT8, too, as in products.

    Args:
      name: the operator's kind, out of `EXAMPLES`.
      kind: the type of its activations, out of `TYPES`.
    """
    b = Builder(kind)
    image_type = "FLOAT32" if kind == "FLOAT32" else "UINT8"
    image = x = b.tensor([1, SIZE, SIZE, _CHANNELS], image_type)
    if kind == "INT8":
        x = b.add("QUANTIZE", [image], b.shape(image))
    x = EXAMPLES[name](b, x)
    count = math.prod(b.shape(x))
    old = b.graph.tensors[x].quantization
    flat = b.tensor([1, count])
    b.graph.tensors[flat].quantization = old
    b.add("RESHAPE", [x, b.numbers(1, count)], flat, schema.ReshapeOptionsT())
    weights = b.constant(CLASSES, count)
    x = b.add("FULLY_CONNECTED", [flat, weights], [1, CLASSES], schema.FullyConnectedOptionsT())
    x = b.add("SOFTMAX", [x], [1, CLASSES], schema.SoftmaxOptionsT(beta=1.0))
    if kind == "INT8":
        x = b.add("QUANTIZE", [x], b.tensor([1, CLASSES], "UINT8", scale=1 / 256, zero=0))
    b.graph.inputs, b.graph.outputs = [image], [x]
    return b.model
