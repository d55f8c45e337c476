"""A published classifier made into a network of this project, without training.

Slim's MobileNet V1 ends in logits w_k . x + b_k of the pooled features x; this project's
network in s cos(u_k, e) of an embedding e. Probabilities are the same where the second are
the first plus what is common to all classes. So the class vectors u_k must have one length,
and what their directions alone do not tell must be put elsewhere:

- Where the features leave channels of the 1024-dimensional embedding free (depth
  multipliers below 1), a constant in one of them carries the biases, and what the class
  vectors lack in length goes to the others, in which embeddings are zero (as in Bachrach et
  al., "Speeding Up the Xbox Recommender System Using a Euclidean Transformation for
  Inner-Product Spaces", RecSys 2014). All but the softmax's temperature is kept.
- Where none is free, a vector v is taken away from all w_k, which changes all logits by the
  same v . x, such that the w_k - v are of nearly one length. The biases, which are small,
  are lost.

In both the embedding's components are the pooled features, so that classes can be imprinted.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from classification.deployment import check_images, deployable
from classification.nets import factory, variable_names, variable_values
from classification.nets.checkpoint import Checkpoint
from classification.nets.fake_quant import TFLITE_L2_NORM_RANGE
from classification.nets.mobilenet_v1_l2norm import EMBEDDING_SIZE
from classification.nets.model_config import ModelConfig
from classification.nets.variable_names import (
    CLASS_BIASES,
    CLASS_VECTORS,
    CLASS_VECTORS_RANGE,
    COSINES_RANGE,
    EMBEDDING_BIASES,
    EMBEDDING_INPUT_RANGE,
    EMBEDDING_KERNEL,
    EMBEDDING_KERNEL_RANGE,
    EMBEDDING_RANGE,
    FEATURES_RANGE,
    HEAD,
    LOGITS_RANGE,
    PUBLISHED_LOGITS_BIASES,
    PUBLISHED_LOGITS_KERNEL,
    SCALE_FACTOR,
)
from transforms.base import pixel_scaling

_RELU6_RANGE = (0.0, 6.0)

# How much a long v costs, in the least squares for equal lengths: it leaves the cosines
# closer together, and eight bits tell them apart the less. Of the published 1.0/224, top-1
# moved by less than a point from a quarter of this to four times it.
_RIDGE = 0.005

# Enough to know lengths and cosines by.
_CALIBRATION_IMAGES = 64
# The photographs show few of the classes, and a class that is shown has a higher cosine.
_RANGE_MARGIN = 2.0


class Head(NamedTuple):
    """The layers on top of the pooled features.

    Attributes:
      kernel: of the embedding's convolution, float32 [channels, 1024].
      biases: its, float32 [1024].
      class_vectors: float32 [1024, num_classes], of unit length.
      length: that of the class vectors before, in the unit of published weights.
    """

    kernel: np.ndarray
    biases: np.ndarray
    class_vectors: np.ndarray
    length: float


def is_published(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint holds a classifier as slim builds it, and not this project's.

    Raises:
      ValueError: if the checkpoint cannot be read.
    """
    names = checkpoint.shapes
    return PUBLISHED_LOGITS_KERNEL in names and CLASS_VECTORS not in names


def read_any_values(checkpoint: Checkpoint, config: ModelConfig) -> dict[str, np.ndarray]:
    """The values of a network of this project, or of what a published classifier becomes.

    Raises what `read_values` and `deployable.read_values` raise.
    """
    source = read_values if is_published(checkpoint) else deployable.read_values
    return source(checkpoint, config)


def read_values(checkpoint: Checkpoint, config: ModelConfig) -> dict[str, np.ndarray]:
    """The network that a published classifier becomes, as `deployable.read_values` returns it.

    The scale factor is what makes the softmax as sure as the published one on average: the
    class vectors' length times that of the features, which is measured on parts of the
    photographs that come with the build. The cosines' range is that seen there, with a
    margin; all other ranges follow.

    Args:
      checkpoint: the checkpoint.
      config: the network to make of it.

    Raises:
      ValueError: if the checkpoint cannot be read, lacks a variable of the base or has one
        in another shape, has another number of classes, or values that are no numbers.
    """
    needed = deployable.variables(config)
    base = checkpoint.read_all(v for v in needed if not v.op.name.startswith(HEAD))
    values = {variable.op.name: value for variable, value in base.items()}
    published = checkpoint.read([PUBLISHED_LOGITS_KERNEL, PUBLISHED_LOGITS_BIASES])
    deployable.check_values(values | published, checkpoint)
    weights, biases = published[PUBLISHED_LOGITS_KERNEL], published[PUBLISHED_LOGITS_BIASES]
    if weights.shape[-1] != config.num_classes:
        raise ValueError(
            f"expected a classifier of {config.num_classes} classes, got one of "
            f"{weights.shape[-1]} in {checkpoint}; give the right --num_classes"
        )
    limits: tuple[float, ...] = _RELU6_RANGE
    if config.quantize:
        limits = tuple(float(values[name]) for name in variable_names.limits(FEATURES_RANGE))
    head = make_head(weights[0, 0], biases, constant=limits[1])
    values |= _head_values(head, limits, _features(values, config))
    return {variable.op.name: values[variable.op.name] for variable in needed}


def describe(values: dict[str, np.ndarray]) -> str:
    """What `read_values` did, for people."""
    return (
        f"Head: made of a published classifier's last layer ({PUBLISHED_LOGITS_KERNEL}), without "
        f"training; scale factor {values[SCALE_FACTOR]:.1f}."
    )


def make_head(weights: np.ndarray, biases: np.ndarray, *, constant: float) -> Head:
    """The head whose logits are the published ones, but for what is common to all classes.

    With embeddings e = x kernel + biases, length e . u_k is w_k . x + b_k plus what does not
    depend on k: exactly where two channels of the embedding are free, nearly and without b_k
    elsewhere.

    Args:
      weights: float32 [channels, num_classes].
      biases: float32 [num_classes].
      constant: above 0; a component of every embedding that carries the biases.

    Raises:
      ValueError: if there are more channels than the embedding has.
    """
    channels, num_classes = weights.shape
    free = EMBEDDING_SIZE - channels
    if free < 0:
        raise ValueError(
            f"expected a classifier on at most {EMBEDDING_SIZE} channels, which the embedding has, "
            f"got one on {channels}"
        )
    vectors = np.zeros([EMBEDDING_SIZE, num_classes])
    vectors[:channels] = weights
    embedding_biases = np.zeros(EMBEDDING_SIZE, np.float32)
    if free >= 2:
        embedding_biases[channels] = constant
        vectors[channels] = (biases - biases.mean()) / constant
        squares = (vectors**2).sum(axis=0)
        # Spread over all that are free, since a large component would coarsen all others'
        # quantisation.
        vectors[channels + 1 :] = np.sqrt((squares.max() - squares) / (free - 1))
    else:
        vectors -= _centre(vectors)[:, np.newaxis]
    lengths = np.linalg.norm(vectors, axis=0)
    return Head(
        np.eye(channels, EMBEDDING_SIZE, dtype=np.float32),
        embedding_biases,
        (vectors / lengths).astype(np.float32),
        float(lengths.mean()),
    )


def _centre(vectors: np.ndarray) -> np.ndarray:
    """A point that vectors, float64 [channels, n], are nearly equally far from; [channels].

    |w - v|^2 is the same for all w where 2 w . v + r = |w|^2, with one r: least squares in v
    and r, v kept short.
    """
    channels, n = vectors.shape
    squares = (vectors**2).sum(axis=0)
    # The mean over all w takes r out.
    centred = 2.0 * (vectors - vectors.mean(axis=1, keepdims=True))
    matrix = centred @ centred.T + _RIDGE * n * squares.mean() * np.eye(channels)
    centre = np.linalg.solve(matrix, centred @ (squares - squares.mean()))
    # As in _rounded: solvers differ in the last digits.
    return centre.round(4)


def _head_values(
    head: Head, limits: tuple[float, ...], features: np.ndarray
) -> dict[str, np.ndarray]:
    """Values for all variables that a head may have.

    Args:
      head: its layers.
      limits: least and greatest value of a feature.
      features: those of some images, float32 [n, channels].
    """
    embedding = features @ head.kernel + head.biases
    lengths = np.linalg.norm(embedding, axis=1, keepdims=True)
    cosines = embedding / lengths @ head.class_vectors
    scale_factor = _rounded(head.length * lengths.mean())
    cosine_limits = tuple(_rounded(_RANGE_MARGIN * x) for x in (cosines.min(), cosines.max()))
    ranges = {
        EMBEDDING_KERNEL_RANGE: (0.0, 1.0),
        EMBEDDING_INPUT_RANGE: limits,
        EMBEDDING_RANGE: TFLITE_L2_NORM_RANGE,
        CLASS_VECTORS_RANGE: (head.class_vectors.min(), head.class_vectors.max()),
        COSINES_RANGE: cosine_limits,
        LOGITS_RANGE: tuple(scale_factor * x for x in cosine_limits),
    }
    values: dict[str, Any] = {
        EMBEDDING_KERNEL: head.kernel[np.newaxis, np.newaxis],
        EMBEDDING_BIASES: head.biases,
        CLASS_VECTORS: head.class_vectors[np.newaxis, np.newaxis],
        CLASS_BIASES: np.zeros(head.class_vectors.shape[1]),
        SCALE_FACTOR: scale_factor,
    }
    for name, (low, high) in ranges.items():
        least, greatest = variable_names.limits(name)
        values |= {least: min(low, 0.0), greatest: max(high, 0.0)}
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def _rounded(measured: float) -> float:
    """Three digits of it: what processors differ in does not show in a product's bytes."""
    return float(f"{measured:.3g}")


def _features(values: dict[str, np.ndarray], config: ModelConfig) -> np.ndarray:
    """Pooled features of parts of the photographs, float32 [n, channels]."""
    images = check_images.of_photographs(_CALIBRATION_IMAGES, image_size=config.image_size).images
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.constant(pixel_scaling.to_real(images))
        pooled = factory.build(inputs, config, embedding_only=True)["AvgPool_1a"]
        known = {v: values[v.op.name] for v in tf.global_variables() if v.op.name in values}
        variable_values.load(session, known)
        return session.run(pooled)[:, 0, 0, :]
