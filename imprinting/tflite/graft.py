"""Attaches to a classifier's body the head that the on-device imprinting engines accept.

The head begins with the embedding, a 1x1 convolution of the features, which may be left out. The
embedding is normalised by an L2_NORMALIZATION and multiplied by the class vectors, in a CONV_2D.
The cosines are multiplied by the scale factor, and a SOFTMAX gives the probabilities; see
`product_rules`.
"""

import dataclasses
import math

import numpy as np

import imprinting.schema.tflite as schema
from imprinting.base.pixel_scaling import INT8_OFFSET
from imprinting.tflite import class_vectors, embedding_layer, product_rules
from imprinting.tflite.last_layer import Cut
from imprinting.tflite.model_builder import ModelBuilder
from imprinting.tflite.model_graph import Model, Tensor

# The least range of the components of class vectors is -0.5 to 0.5, as in the products of the
# build. With few components, those of classes that are imprinted later may be greater: 6 standard
# deviations of a component of a random unit vector.
_LEAST_ROOM = 0.5
_DEVIATIONS = 6.0
_LEVELS = 127
# The greatest scale factor that a fit may choose later.
_GREATEST_FACTOR = 100.0


@dataclasses.dataclass(frozen=True, eq=False)
class Embedding:
    """The embedding K x + b of features x, before it is scaled to unit length.

    Attributes:
      kernel: K, float [e, d].
      biases: b, float [e].
      reach: the range of its components is -reach..reach.
    """

    kernel: np.ndarray
    biases: np.ndarray
    reach: float


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """What follows the features.

    Attributes:
      embedding: the embedding; None if it is the features themselves.
      class_vectors: float [classes, e], of unit length.
      scale_factor: the factor of the cosines, above 0.
      reach: the range of the cosines is -reach..reach, at most 1.
    """

    embedding: Embedding | None
    class_vectors: np.ndarray
    scale_factor: float
    reach: float


def attach(cut: Cut, head: Head) -> Model:
    """Returns the classifier with another head, without metadata.

    Args:
      cut: a classifier without its last layer.
      head: the head.

    Raises:
      ValueError: if the head has numbers that are not finite, or of other features, or if the body
        breaks rules of the products; the error lists them.
    """
    depth = cut.features.shape[3]
    size = depth if head.embedding is None else len(head.embedding.kernel)
    classes = len(head.class_vectors)
    if head.class_vectors.shape != (classes, size):
        raise ValueError(
            f"expected class vectors of {size} components, got {list(head.class_vectors.shape)}"
        )
    if not (0 < head.scale_factor < math.inf and 0 < head.reach <= 1):
        raise ValueError(
            "expected a finite scale factor above 0, and cosines in a range of at most 1, got "
            f"{head.scale_factor} and {head.reach}"
        )
    builder = ModelBuilder(cut.body)
    embedding = cut.features.index
    (scale,), (zero_point,) = cut.features.scales, cut.features.zero_points
    if head.embedding is not None:
        embedding, scale, zero_point = _add_layer(builder, cut.features, size)
    if cut.features.type == "INT8":
        shape, zero_point = [1, 1, 1, size], zero_point + INT8_OFFSET
        shifted = builder.activation("embedding/uint8", np.uint8, shape, scale, zero_point)
        builder.quantize(embedding, shifted)
        embedding = shifted
    output = _add_tail(builder, embedding, head, size)
    grafted = builder.build(inputs=[cut.image.index], outputs=[output])
    if head.embedding is not None:
        layer = head.embedding
        grafted = embedding_layer.replaced(grafted, layer.kernel, layer.biases, reach=layer.reach)
    grafted = class_vectors.replaced(grafted, head.class_vectors)
    violations = product_rules.check(grafted, quantised=True)
    if violations:
        raise ValueError(
            "\n  ".join(
                [
                    "expected a classifier whose layers are all quantised to eight bits, got one "
                    f"that breaks {len(violations)} of the rules of on-device imprinting:",
                    *map(str, violations),
                ]
            )
        )
    return grafted


def _add_layer(builder: ModelBuilder, features: Tensor, size: int) -> tuple[int, float, int]:
    """Adds a 1x1 convolution of zeros, which is replaced later.

    Returns:
      The index of its result, and its scale and zero point.
    """
    is_uint8 = features.type == "UINT8"
    kind, zero = (np.uint8, 128) if is_uint8 else (np.int8, 0)
    # Kernels of uint8 have one scale, those of int8 one for each channel.
    scales = [1.0] * (1 if is_uint8 else size)
    kernel = np.full([size, 1, 1, features.shape[3]], zero, kind)
    inputs = [
        features.index,
        builder.constant("embedding/kernel", kernel, scales, zero),
        builder.constant("embedding/biases", np.zeros([size], np.int32), scales),
    ]
    output = builder.activation("embedding", kind, [1, 1, 1, size], 1.0, zero)
    options = _convolution()
    builder.operator("CONV_2D", inputs, [output], options, version=1 if is_uint8 else 3)
    return output, 1.0, zero


def _add_tail(builder: ModelBuilder, embedding: int, head: Head, size: int) -> int:
    """Adds all that follows the embedding, with class vectors of zeros, which are replaced later.

    Returns:
      The index of the output.
    """
    classes = len(head.class_vectors)
    unit = product_rules.EMBEDDING_SCALE
    normalised = builder.activation(
        "embedding/unit", np.uint8, [1, 1, 1, size], unit, product_rules.EMBEDDING_ZERO_POINT
    )
    builder.operator("L2_NORMALIZATION", [embedding], [normalised], schema.L2NormOptionsT())

    greatest = np.abs(head.class_vectors).max()
    room = max(_LEAST_ROOM, min(1.0, _DEVIATIONS / math.sqrt(size)), float(greatest))
    vectors = np.full([classes, 1, 1, size], 128, np.uint8)
    step = 2 * head.reach / 255
    factor_quantum = max(1, min(255, math.floor(255 * head.scale_factor / _GREATEST_FACTOR)))
    factor_scale = head.scale_factor / factor_quantum
    inputs = [
        normalised,
        builder.constant("classes/vectors", vectors, [room / _LEVELS], 128),
        builder.constant("classes/biases", np.zeros([classes], np.int32), [unit * room / _LEVELS]),
    ]
    cosines = builder.activation("cosines", np.uint8, [1, 1, 1, classes], step, 128)
    builder.operator("CONV_2D", inputs, [cosines], _convolution())

    factor = builder.constant("scale_factor", np.array(factor_quantum, np.uint8), [factor_scale])
    scale = step * head.scale_factor
    scaled = builder.activation("scaled", np.uint8, [1, 1, 1, classes], scale, 128)
    builder.operator("MUL", [cosines, factor], [scaled], schema.MulOptionsT())

    shape = builder.constant("logits/shape", np.array([1, classes], np.int32))
    logits = builder.activation("logits", np.uint8, [1, classes], scale, 128)
    builder.operator("RESHAPE", [scaled, shape], [logits])

    output = builder.activation("probabilities", np.uint8, [1, classes], 1 / 256, 0)
    builder.operator("SOFTMAX", [logits], [output], schema.SoftmaxOptionsT(beta=1.0))
    return output


def _convolution() -> schema.Conv2DOptionsT:
    return schema.Conv2DOptionsT(
        padding=schema.Padding.SAME,
        strideH=1,
        strideW=1,
        dilationHFactor=1,
        dilationWFactor=1,
        fusedActivationFunction=schema.ActivationFunctionType.NONE,
    )
