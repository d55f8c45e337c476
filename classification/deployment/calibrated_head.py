"""Makes a network of this project from a published base and its last layer, without any image.

Quantisation ranges are computed from batch norm (`Network.calibrate`), and so is the mean of the
features. The embedding is the features minus their mean: features are never negative, so without
this, embeddings of all images would be similar, and so would all imprinted classes. The logits of
the published classifier change only by a number for each class, w . mean, which is left out like
the biases. Its rows w become class vectors of unit length.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from classification.deployment import deployable
from classification.nets import networks, variable_names
from classification.nets.checkpoint import Checkpoint
from classification.nets.fake_quant import TFLITE_L2_NORM_RANGE
from classification.nets.model_config import ModelConfig

# The greatest feature: that of Relu6.
_MAX_FEATURE = 6.0
# The range of the cosines between embeddings and class vectors. For the 1,000 photos of a sample of
# ImageNet and its 1,000 classes they are from -0.21 to 0.52, and clipping the few above 0.5 changes
# nothing. Imprinting replaces the range.
_COSINES = 0.5
# The scale factor for other networks than those below.
_SCALE_FACTOR = 46.0
# For the 1,000 classes of ImageNet, the scale factors with the least cross entropy on the photos at
# even positions of a sample; tests/benchmarks/imagenet_sample.py measures them.
_SCALE_FACTORS = {
    "efficientnet_lite0": 46.0,
    "efficientnet_lite1": 43.5,
    "efficientnet_lite2": 36.0,
}


def read_values(checkpoint: Checkpoint, model: ModelConfig) -> dict[str, np.ndarray]:
    """The values of a published classifier turned into a network of this project.

    Args:
      checkpoint: the published classifier.
      model: the network to turn it into.

    Raises:
      ValueError: if the checkpoint cannot be read, lacks a variable of the base or has one in
        another shape, has another number of classes, or values that are not finite.
    """
    network = networks.get(model.network)
    needed = deployable.variables(dataclasses.replace(model, quantize=False))
    base = checkpoint.read_all(v for v in needed if not v.op.name.startswith(network.names.head))
    values = {variable.op.name: value for variable, value in base.items()}
    kernel = checkpoint.read([network.published.kernel])
    deployable.check_values(values | kernel, checkpoint)
    rows = kernel[network.published.kernel]
    if rows.shape[-1] != model.num_classes:
        raise ValueError(
            f"expected a classifier of {model.num_classes} classes, got one of {rows.shape[-1]} in "
            f"{checkpoint}; give the right --num_classes"
        )
    return make_values(values, rows, model)


def make_values(
    base: Mapping[str, np.ndarray], rows: np.ndarray, model: ModelConfig
) -> dict[str, np.ndarray]:
    """The values of all variables of a network with a published base and last layer.

    Args:
      base: the values of the base's variables in a float network, float32, by name. Others are
        ignored.
      rows: the kernel of the published last layer, float32 [channels, classes].
      model: the network.

    Raises:
      ValueError: if the row of a class has the length 0.
    """
    network = networks.get(model.network)
    assert network.calibrate is not None
    names, calibration = network.names, network.calibrate(base)
    # Four digits, since the error function has other last digits in other C libraries.
    mean = calibration.mean_features.round(4)
    rows = rows.astype(np.float64)
    lengths = np.sqrt((rows * rows).sum(axis=0))
    if not lengths.all():
        raise ValueError(
            "expected a classifier whose last layer has a direction for each class, got one of "
            f"zeros for class {int(lengths.argmin())}"
        )
    vectors = rows / lengths
    scale_factor = _SCALE_FACTORS.get(model.network, _SCALE_FACTOR)
    room = deployable.KERNEL_ROOM
    channels = len(mean)
    ranges: dict[str, tuple[np.typing.ArrayLike, np.typing.ArrayLike]] = {
        **calibration.ranges,
        names.embedding_kernel_range: (-np.ones(channels), np.ones(channels)),
        names.embedding_input_range: (-mean.max(), _MAX_FEATURE - mean.min()),
        names.embedding_range: TFLITE_L2_NORM_RANGE,
        names.class_vectors_range: (min(vectors.min(), -room), max(vectors.max(), room)),
        names.cosines_range: (-_COSINES, _COSINES),
        names.logits_range: (-scale_factor * _COSINES, scale_factor * _COSINES),
    }
    values: dict[str, np.typing.ArrayLike] = {
        **base,
        names.embedding_kernel: np.eye(channels)[np.newaxis, np.newaxis],
        names.embedding_biases: -mean,
        names.class_vectors: vectors[np.newaxis, np.newaxis],
        names.class_biases: np.zeros(vectors.shape[1]),
        names.scale_factor: scale_factor,
    }
    for name, limits in ranges.items():
        values |= dict(zip(variable_names.limits(name), limits, strict=True))
    needed = [variable.op.name for variable in deployable.variables(model)]
    return {name: np.asarray(values[name], np.float32) for name in needed}
