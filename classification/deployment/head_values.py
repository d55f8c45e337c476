"""The head of a network of this project, without training: from a published last layer, or fitted.

With the moments of the features of photos of all kinds, the embedding whitens the features
(`linear_embedding`). Without them, it is the features minus their mean, computed from batch norm.
The mean matters most: features are never negative, so without it, embeddings of all images would be
similar, and so would all imprinted classes. The logits of the published classifier change only by a
number for each class, w . mean, which is left out like the biases. Its rows w become class vectors,
in the embedding's axes and of unit length.
"""

from typing import NamedTuple

import numpy as np

from classification.deployment import deployable
from classification.nets import networks, variable_names
from classification.nets.fake_quant import TFLITE_L2_NORM_RANGE
from classification.nets.model_config import ModelConfig
from imprinting.embedding import linear_embedding, probabilities
from imprinting.embedding.leading_moments import LeadingMoments
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.embedding.moments import Moments

# Numbers are rounded to so many decimal places, fewer than processors agree on.
_DIGITS = 4
# The greatest feature: that of Relu6.
_MAX_FEATURE = 6.0
# The range of the components of a whitened embedding, in standard deviations.
_DEVIATIONS = 6.0
# The range of the cosines between embeddings and class vectors. For EfficientNet-Lite0, 1,000
# photos of a sample of ImageNet and its 1,000 classes, they are from -0.22 to 0.51; clipping the
# few above 0.5 changes nothing. Imprinting replaces the range.
_COSINES = 0.5
_RANGE_MARGIN = 2.0
_HELD_OUT_MARGIN = 1.25
# For the 1,000 classes of ImageNet, the scale factors with the least cross entropy on the photos at
# even positions of a sample; tests/benchmarks/imagenet_sample.py measures them.
_SCALE_FACTORS = {
    "efficientnet_lite0": 47.0,
    "efficientnet_lite1": 44.5,
    "efficientnet_lite2": 40.0,
}


class Head(NamedTuple):
    """The layers after the features.

    Attributes:
      embedding: the embedding of features.
      reach: the least and the greatest component of embeddings, before they are normalised.
      class_vectors: float64 [classes, e], of unit length.
    """

    embedding: LinearEmbedding
    reach: tuple[float, float]
    class_vectors: np.ndarray


def make_head(
    rows: np.ndarray,
    mean: np.ndarray,
    *,
    size: int,
    moments: Moments | LeadingMoments | None = None,
) -> Head:
    """The head that says the same as a published last layer.

    Args:
      rows: the published kernel, float32 [channels, classes].
      mean: the mean of the features according to batch norm, float64 [channels].
      size: the number of components of the embedding, at least that of channels.
      moments: those of the features for photos of all kinds; None if there are none.

    Raises:
      ValueError: if the row of a class has the length 0, the moments are of other features, or
        there are more channels than components.
    """
    channels = len(mean)
    if channels > size:
        raise ValueError(
            f"expected a classifier on at most {size} channels, which the embedding has, got one "
            f"on {channels}"
        )
    empty = np.flatnonzero(~rows.any(axis=0))
    if len(empty):
        raise ValueError(
            "expected a classifier whose last layer has a direction for each class, got one of "
            f"zeros for class {empty[0]}"
        )
    # Batch norm's mean needs the error function, which differs in other C libraries.
    mean = mean.round(_DIGITS)
    features = LinearEmbedding(np.eye(channels), mean)
    embedding, reach = LinearEmbedding(np.eye(size, channels), mean), (-mean.max(), _MAX_FEATURE)
    if moments is not None:
        embedding, reach = _whitened(moments, size, channels)
    vectors = linear_embedding.map_functionals(rows.T.astype(np.float64), features, embedding)
    return Head(embedding, reach, vectors.round(_DIGITS))


def rounded(
    embedding: LinearEmbedding, covariance: np.ndarray
) -> tuple[LinearEmbedding, tuple[float, float]]:
    """An embedding with a kernel that other processors round to the same, and its range.

    Args:
      embedding: the embedding.
      covariance: of the features of all photos, float64 [d, d].

    Returns:
      The embedding, and the least and the greatest component that it may have: 6 standard
      deviations of the component that varies most.
    """
    kernel = embedding.kernel.round(_DIGITS)
    variances = ((kernel @ covariance) * kernel).sum(axis=1)
    reach = float(_DEVIATIONS * np.sqrt(variances.max()).round(_DIGITS))
    return LinearEmbedding(kernel, embedding.mean), (-reach, reach)


def imprinted(
    embedding: LinearEmbedding,
    reach: tuple[float, float],
    class_vectors: np.ndarray,
) -> Head:
    """The head of an embedding and classes that were imprinted in it.

    Args:
      embedding: the embedding, as `rounded` returns it.
      reach: the same.
      class_vectors: float64 [classes, e], of unit length.
    """
    return Head(embedding, reach, class_vectors.round(_DIGITS))


class Calibration(NamedTuple):
    """What the head needs to know of the cosines between embeddings and class vectors.

    Attributes:
      scale_factor: the factor of the cosines.
      reach: the greatest absolute value that cosines may have.
    """

    scale_factor: float
    reach: float


def held_out_calibration(scale_factor: float, cosines: np.ndarray) -> Calibration:
    """That for classes whose photos are known.

    Args:
      scale_factor: the factor.
      cosines: float [h, classes], between photos that were held out and the class vectors. Other
        photos may have greater ones, but then there is no doubt about their class.

    Returns:
      The factor, and a range of cosines with a margin of a quarter.
    """
    reach = min(1.0, _HELD_OUT_MARGIN * float(np.abs(cosines).max()))
    return Calibration(scale_factor, _three_digits(reach))


def known_calibration(model: ModelConfig) -> Calibration | None:
    """That for the 1,000 classes of ImageNet; None if it was not measured for the network."""
    scale_factor = _SCALE_FACTORS.get(model.network)
    return None if scale_factor is None else Calibration(scale_factor, _COSINES)


def calibrate(head: Head, features: np.ndarray, logits: np.ndarray) -> Calibration:
    """Measures the calibration with some images, which may show none of the classes.

    Args:
      head: the layers.
      features: of the images, float [n, channels].
      logits: those of the published classifier for the same images, float [n, classes].

    Returns:
      The factor, in 1..100, with which the highest probabilities of the images are on average as
      high as those of the classifier; and twice the greatest cosine, since an image that shows a
      class has a greater one. Three digits, since processors differ in the others.
    """
    embeddings = head.embedding.of(features)
    embeddings /= np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    cosines = embeddings @ head.class_vectors.T
    reach = min(1.0, _RANGE_MARGIN * float(np.abs(cosines).max()))
    return Calibration(probabilities.as_confident(cosines, logits), _three_digits(reach))


def values(head: Head, model: ModelConfig, calibration: Calibration) -> dict[str, np.ndarray]:
    """The values of all variables that a head may have, with its ranges, float32, by name.

    Args:
      head: the layers.
      model: the network.
      calibration: the scale factor and the range of the cosines.
    """
    scale_factor, reach = calibration
    network = networks.get(model.network)
    names, room = network.names, deployable.KERNEL_ROOM
    embedding, vectors = head.embedding, head.class_vectors
    magnitudes = np.abs(embedding.kernel).max(axis=1)
    # An output that is always 0 still needs a range.
    magnitudes = np.where(magnitudes > 0, magnitudes, 1.0)
    if not network.per_channel:
        magnitudes = magnitudes.max()
    ranges = {
        names.embedding_kernel_range: (-magnitudes, magnitudes),
        names.embedding_input_range: head.reach,
        names.embedding_range: TFLITE_L2_NORM_RANGE,
        names.class_vectors_range: (min(vectors.min(), -room), max(vectors.max(), room)),
        names.cosines_range: (-reach, reach),
        names.logits_range: (-scale_factor * reach, scale_factor * reach),
    }
    found = {
        names.embedding_kernel: embedding.kernel.T[np.newaxis, np.newaxis],
        names.embedding_biases: (-embedding.kernel @ embedding.mean).round(_DIGITS),
        names.class_vectors: vectors.T[np.newaxis, np.newaxis],
        names.class_biases: np.zeros(len(vectors)),
        names.scale_factor: scale_factor,
    }
    for name, limits in ranges.items():
        found |= dict(zip(variable_names.limits(name), limits, strict=True))
    return {name: np.asarray(value, np.float32) for name, value in found.items()}


def _whitened(
    moments: Moments | LeadingMoments, size: int, channels: int
) -> tuple[LinearEmbedding, tuple[float, float]]:
    """The embedding that whitens features, and the range of its components."""
    mean = moments.mean.astype(np.float64)
    if len(mean) != channels:
        raise ValueError(f"expected moments of {channels} features, got those of {len(mean)}")
    metric = linear_embedding.whitened(moments.covariance, getattr(moments, "count", None))
    return rounded(LinearEmbedding.of_metric(metric, mean, size=size), moments.covariance)


def _three_digits(measured: float) -> float:
    return float(f"{measured:.3g}")
