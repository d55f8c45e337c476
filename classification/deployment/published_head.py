"""Turns a published classifier into a network of this project, without training.

For networks that can be calibrated, see calibrated_head.py. For MobileNet V1:

The logits of tf-slim's MobileNet V1 are w_k . x + b_k for pooled features x. Those of this
project's network are s cos(u_k, e) for an embedding e. The probabilities are the same if the logits
differ only by a number that all classes share. The class vectors u_k must have the same length; so
the lengths of the w_k, and the b_k, must be expressed in another way:

- If the features leave channels of the 1024-dimensional embedding free (depth multipliers below
  1), a constant in one of these channels carries the biases. The other free channels, in which
  embeddings are zero, bring all class vectors to the same length (as in Bachrach et al., "Speeding
  Up the Xbox Recommender System Using a Euclidean Transformation for Inner-Product Spaces", RecSys
  2014). Only the temperature of the softmax changes.
- If no channel is free, the same vector v is subtracted from all w_k, chosen such that the w_k - v
  have nearly the same length. All logits change by the same v . x. The biases, which are small, are
  lost.

In both cases, the embedding consists of the pooled features, so classes can be imprinted.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from classification.deployment import calibrated_head, check_images, deployable
from classification.nets import (
    factory,
    mobilenet_v1,
    networks,
    variable_names,
    variable_values,
)
from classification.nets.checkpoint import Checkpoint
from classification.nets.fake_quant import TFLITE_L2_NORM_RANGE
from classification.nets.model_config import ModelConfig
from transforms.base import pixel_scaling

_NETWORK = mobilenet_v1.NETWORK
_NAMES = _NETWORK.names
_EMBEDDING_SIZE = _NETWORK.embedding_size

_RELU6_RANGE = (0.0, 6.0)

# The weight of the penalty on the length of v in the least-squares problem for equal lengths. The
# longer v is, the closer together are the cosines, and the less well eight bits separate them.
# Between a quarter of this weight and four times it, top-1 of the published 1.0/224 changed by less
# than a point.
_RIDGE = 0.005

# Enough to measure lengths and cosines.
_CALIBRATION_IMAGES = 64
# The photographs show few of the classes. A photo has higher cosines with the classes that it
# shows.
_RANGE_MARGIN = 2.0


class Head(NamedTuple):
    """The layers on top of the pooled features.

    Attributes:
      kernel: that of the embedding's convolution, float32 [channels, 1024].
      biases: those of the embedding's convolution, float32 [1024].
      class_vectors: float32 [1024, num_classes], of unit length.
      length: the length of the class vectors before they were normalised.
    """

    kernel: np.ndarray
    biases: np.ndarray
    class_vectors: np.ndarray
    length: float


def is_published(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint holds a classifier as others published it, not one of this project.

    Raises:
      ValueError: if the checkpoint cannot be read.
    """
    shapes = checkpoint.shapes
    network = networks.of_variables(shapes)
    return (
        network is not None
        and network.published.kernel in shapes
        and network.names.class_vectors not in shapes
    )


def read_any_values(checkpoint: Checkpoint, model: ModelConfig) -> dict[str, np.ndarray]:
    """The values of a network of this project, or of a published classifier turned into one.

    Raises what `read_values` and `deployable.read_values` raise.
    """
    if not is_published(checkpoint):
        return deployable.read_values(checkpoint, model)
    network = networks.get(model.network)
    if network.calibrate is not None:
        return calibrated_head.read_values(checkpoint, model)
    if network is not _NETWORK:
        raise ValueError(
            f"expected a checkpoint of this project, got {checkpoint}: a published {network.title} "
            "cannot be used without training; fine-tune it first"
        )
    return read_values(checkpoint, model)


def read_values(checkpoint: Checkpoint, model: ModelConfig) -> dict[str, np.ndarray]:
    """The values of a published MobileNet V1 turned into a network of this project.

    The scale factor makes the probabilities as high as the published ones on average: it is the
    length of the class vectors times that of the features, which is measured on parts of the
    photographs that come with the build. The cosines' range is the one measured there, with a
    margin. All other ranges follow from it.

    Args:
      checkpoint: the checkpoint.
      model: the network to turn it into.

    Raises:
      ValueError: if the checkpoint cannot be read, lacks a variable of the base or has one
        in another shape, has another number of classes, or values that are not finite.
    """
    needed = deployable.variables(model)
    base = checkpoint.read_all(v for v in needed if not v.op.name.startswith(_NAMES.head))
    values = {variable.op.name: value for variable, value in base.items()}
    layer = _NETWORK.published
    published = checkpoint.read([layer.kernel, layer.biases])
    deployable.check_values(values | published, checkpoint)
    weights, biases = published[layer.kernel], published[layer.biases]
    if weights.shape[-1] != model.num_classes:
        raise ValueError(
            f"expected a classifier of {model.num_classes} classes, got one of "
            f"{weights.shape[-1]} in {checkpoint}; give the right --num_classes"
        )
    limits: tuple[float, ...] = _RELU6_RANGE
    if model.quantize:
        limits = tuple(
            float(values[name]) for name in variable_names.limits(_NETWORK.features_range)
        )
    head = make_head(weights[0, 0], biases, constant=limits[1])
    values |= _head_values(head, limits, _features(values, model))
    return {variable.op.name: values[variable.op.name] for variable in needed}


def describe(values: dict[str, np.ndarray], model: ModelConfig) -> str:
    """What `read_any_values` did with a published classifier, for the user."""
    network = networks.get(model.network)
    return (
        f"Head: made of a published classifier's last layer ({network.published.kernel}), without "
        f"training; scale factor {values[network.names.scale_factor]:.1f}."
    )


def make_head(weights: np.ndarray, biases: np.ndarray, *, constant: float) -> Head:
    """The head whose logits are the published ones, up to a number that all classes share.

    With embeddings e = x kernel + biases, length e . u_k is w_k . x + b_k plus a number that does
    not depend on k. This is exact if two channels of the embedding are free; otherwise it is an
    approximation, without b_k.

    Args:
      weights: float32 [channels, num_classes].
      biases: float32 [num_classes].
      constant: above 0; the component of every embedding that carries the biases.

    Raises:
      ValueError: if there are more channels than the embedding has.
    """
    channels, num_classes = weights.shape
    free = _EMBEDDING_SIZE - channels
    if free < 0:
        raise ValueError(
            f"expected a classifier on at most {_EMBEDDING_SIZE} channels, which the embedding "
            f"has, got one on {channels}"
        )
    vectors = np.zeros([_EMBEDDING_SIZE, num_classes])
    vectors[:channels] = weights
    embedding_biases = np.zeros(_EMBEDDING_SIZE, np.float32)
    if free >= 2:
        embedding_biases[channels] = constant
        vectors[channels] = (biases - biases.mean()) / constant
        squares = (vectors**2).sum(axis=0)
        # Spread over all free channels, since a large component would make the quantisation of
        # all others coarser.
        vectors[channels + 1 :] = np.sqrt((squares.max() - squares) / (free - 1))
    else:
        vectors -= _centre(vectors)[:, np.newaxis]
    lengths = np.linalg.norm(vectors, axis=0)
    return Head(
        np.eye(channels, _EMBEDDING_SIZE, dtype=np.float32),
        embedding_biases,
        (vectors / lengths).astype(np.float32),
        float(lengths.mean()),
    )


def _centre(vectors: np.ndarray) -> np.ndarray:
    """A point at nearly the same distance from all vectors w, float64 [channels, n]; [channels].

    |w - v|^2 is the same for all w if 2 w . v + r = |w|^2 with one number r for all w. The result
    is that of least squares in v and r, with a penalty on the length of v.
    """
    channels, n = vectors.shape
    squares = (vectors**2).sum(axis=0)
    # Subtracting the mean over all w eliminates r.
    centred = 2.0 * (vectors - vectors.mean(axis=1, keepdims=True))
    matrix = centred @ centred.T + _RIDGE * n * squares.mean() * np.eye(channels)
    centre = np.linalg.solve(matrix, centred @ (squares - squares.mean()))
    # Solvers differ in the last digits; see _rounded.
    return centre.round(4)


def _head_values(
    head: Head, limits: tuple[float, ...], features: np.ndarray
) -> dict[str, np.ndarray]:
    """Values of all variables that a head may have.

    Args:
      head: the layers.
      limits: the least and the greatest value of a feature.
      features: float32 [n, channels], of some images.
    """
    embedding = features @ head.kernel + head.biases
    lengths = np.linalg.norm(embedding, axis=1, keepdims=True)
    cosines = embedding / lengths @ head.class_vectors
    scale_factor = _rounded(head.length * lengths.mean())
    cosine_limits = tuple(_rounded(_RANGE_MARGIN * x) for x in (cosines.min(), cosines.max()))
    ranges = {
        _NAMES.embedding_kernel_range: (0.0, 1.0),
        _NAMES.embedding_input_range: limits,
        _NAMES.embedding_range: TFLITE_L2_NORM_RANGE,
        _NAMES.class_vectors_range: (head.class_vectors.min(), head.class_vectors.max()),
        _NAMES.cosines_range: cosine_limits,
        _NAMES.logits_range: tuple(scale_factor * x for x in cosine_limits),
    }
    values: dict[str, Any] = {
        _NAMES.embedding_kernel: head.kernel[np.newaxis, np.newaxis],
        _NAMES.embedding_biases: head.biases,
        _NAMES.class_vectors: head.class_vectors[np.newaxis, np.newaxis],
        _NAMES.class_biases: np.zeros(head.class_vectors.shape[1]),
        _NAMES.scale_factor: scale_factor,
    }
    for name, (low, high) in ranges.items():
        least, greatest = variable_names.limits(name)
        values |= {least: min(low, 0.0), greatest: max(high, 0.0)}
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def _rounded(measured: float) -> float:
    """Three digits of a number, so that processors with different rounding give the same bytes."""
    return float(f"{measured:.3g}")


def _features(values: dict[str, np.ndarray], model: ModelConfig) -> np.ndarray:
    """Pooled features of parts of the photographs, float32 [n, channels]."""
    images = check_images.of_photographs(_CALIBRATION_IMAGES, image_size=model.image_size).images
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.constant(pixel_scaling.to_real(images))
        pooled = factory.build(inputs, model, embedding_only=True)["AvgPool_1a"]
        known = {v: values[v.op.name] for v in tf.global_variables() if v.op.name in values}
        variable_values.load(session, known)
        return session.run(pooled)[:, 0, 0, :]
