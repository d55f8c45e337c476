"""Rules of operators that compute each output element from one element, or a vector, of the input.

An operator that keeps them has the shapes, options and scales that TensorFlow Lite's kernels
compute with.
"""

import functools
import math

import imprinting.schema.tflite as schema
from imprinting.tflite.node import ACTIVATIONS, BYTES, Kind, Node

# The kernels of ADD and SUB multiply quanta by 2 ** 20, so that both inputs have the same scale.
_SHIFT = 20
# Between a quantum of an input and one of an output, as kernels represent it: q * 2 ** n, n < 31.
_GREATEST_FACTOR = 2.0**29
# A softmax of bytes needs that beta * scale * 2 ** 26 is above 1.
_SOFTMAX_SHIFT = 26
_MOST_BETA = 1e3


def _unary(node: Node, types: tuple[str, ...] = ACTIVATIONS) -> None:
    node.require_activations(node.input(0), node.output, types=types)
    node.require_shape(node.input(0).shape)
    _require_factor(node)


def _leaky_relu(node: Node) -> None:
    _unary(node)
    node.require_range("alpha", node.options.alpha, -_MOST_BETA, _MOST_BETA)


def _prelu(node: Node) -> None:
    image, slopes = node.input(0), node.input(1)
    _unary(node)
    node.require_activations(image, slopes)
    node.require_static(slopes)
    node.require_shape(_broadcast(node))


def _softmax(node: Node) -> None:
    image, beta = node.input(0), node.options.beta
    _unary(node)
    node.require(1 <= len(image.shape) <= 4, "1 to 4 dimensions", image)
    node.require(0 < beta <= _MOST_BETA, f"beta above 0 and at most {_MOST_BETA:g}", beta)
    if image.type in BYTES:
        node.require(
            beta * image.scales[0] * 2**_SOFTMAX_SHIFT > 1,
            f"a scale above 2 ** -{_SOFTMAX_SHIFT} of {image.name}",
            image,
        )


def _l2_normalization(node: Node) -> None:
    _unary(node)
    node.require(1 <= len(node.output.shape) <= 4, "1 to 4 dimensions", node.output)
    node.require_fused(allowed=False)


def _binary(node: Node) -> None:
    node.require_activations(node.input(0), node.input(1), node.output)
    node.require_shape(_broadcast(node))


def _fused_binary(node: Node) -> None:
    _binary(node)
    node.require_fused()


def _sum(node: Node) -> None:
    """ADD and SUB."""
    _fused_binary(node)
    if node.output.type in BYTES:
        ratio = max(node.input(0).scales[0], node.input(1).scales[0]) / node.output.scales[0]
        node.require(
            2.0**-_SHIFT < ratio < 2.0 ** (_SHIFT - 1),
            f"scales of the inputs from 2 ** -{_SHIFT} to 2 ** {_SHIFT - 1} times the output's",
            f"{ratio:g} times",
        )


def _product(node: Node) -> None:
    _fused_binary(node)
    if node.output.type in BYTES:
        factor = node.input(0).scales[0] * node.input(1).scales[0] / node.output.scales[0]
        node.require(
            factor < _GREATEST_FACTOR, "scales that kernels can represent", f"a factor {factor:g}"
        )


def _quotient(node: Node) -> None:
    # The kernel for bytes divides by quanta, which may be 0.
    node.require_activations(node.output, types=("FLOAT32",))
    _fused_binary(node)


def _quantize(node: Node) -> None:
    node.require_activations(node.input(0), node.output, same=False)
    node.require(node.output.type in BYTES, "UINT8 or INT8 for the output", node.output)
    node.require_shape(node.input(0).shape)
    _require_factor(node)


def _dequantize(node: Node) -> None:
    source = node.input(0)
    node.require_shape(source.shape)
    node.require(node.output.type == "FLOAT32", "FLOAT32 for the output", node.output)
    if source.type == "FLOAT16":
        node.require_static(source)
    elif len(source.scales) > 1:
        node.require(source.type == "INT8", "INT8 with several scales", source)
        node.require_static(source)
        raw = node.tflite_model.subgraphs[0].tensors[source.index].quantization
        axis = raw.quantizedDimension
        node.require(
            0 <= axis < len(source.shape) and source.shape[axis] == len(source.scales),
            f"{len(source.scales)} channels in dimension {axis} of {source.name}",
            source,
        )
    else:
        node.require_activations(source, types=BYTES)


def _broadcast(node: Node) -> tuple[int, ...]:
    """The shape of a result whose inputs are repeated along dimensions of 1."""
    shapes = [node.input(i).shape for i in range(2)]
    if shapes[0] == shapes[1]:
        return shapes[0]
    length = max(map(len, shapes))
    node.require(length <= 4, "at most 4 dimensions of different shapes", length)
    padded = [(1,) * (length - len(shape)) + shape for shape in shapes]
    pairs = list(zip(*padded, strict=True))
    node.require(
        all(a == b or 1 in (a, b) for a, b in pairs),
        "inputs whose shapes fit",
        " and ".join(str(list(shape)) for shape in shapes),
    )
    return tuple(max(pair) for pair in pairs)


def _require_factor(node: Node) -> None:
    """Checks the ratio of two scales, which kernels represent by an integer and a shift."""
    if node.input(0).type in BYTES and node.output.type in BYTES:
        factor = node.input(0).scales[0] / node.output.scales[0]
        node.require(
            math.isfinite(factor) and factor < _GREATEST_FACTOR,
            f"scales whose ratio is below {_GREATEST_FACTOR:g}",
            factor,
        )


_FLOAT_OR_INT8 = ("FLOAT32", "INT8")

KINDS = {
    "ADD": Kind(5, schema.AddOptionsT, (2, 2), _sum),
    "SUB": Kind(5, schema.SubOptionsT, (2, 2), _sum),
    "MUL": Kind(7, schema.MulOptionsT, (2, 2), _product),
    "DIV": Kind(2, schema.DivOptionsT, (2, 2), _quotient),
    "MAXIMUM": Kind(4, None, (2, 2), _binary),
    "MINIMUM": Kind(4, None, (2, 2), _binary),
    "RELU": Kind(3, None, (1, 1), _unary),
    "RELU6": Kind(3, None, (1, 1), _unary),
    "RELU_N1_TO_1": Kind(1, None, (1, 1), _unary),
    "HARD_SWISH": Kind(1, None, (1, 1), _unary),
    "LOGISTIC": Kind(3, None, (1, 1), _unary),
    "TANH": Kind(3, None, (1, 1), _unary),
    "ELU": Kind(2, None, (1, 1), functools.partial(_unary, types=_FLOAT_OR_INT8)),
    "LEAKY_RELU": Kind(2, schema.LeakyReluOptionsT, (1, 1), _leaky_relu),
    "PRELU": Kind(1, None, (2, 2), _prelu),
    "SOFTMAX": Kind(3, schema.SoftmaxOptionsT, (1, 1), _softmax),
    "L2_NORMALIZATION": Kind(2, schema.L2NormOptionsT, (1, 1), _l2_normalization),
    "QUANTIZE": Kind(3, None, (1, 1), _quantize),
    "DEQUANTIZE": Kind(6, None, (1, 1), _dequantize),
}
