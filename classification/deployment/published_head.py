"""Turns a published classifier into a network of this project, without training.

Its last layer becomes class vectors of unit length (see head_values.py), so that classes can be
imprinted next to its own. The biases are left out.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from classification.deployment import check_images, deployable, features, head_values
from classification.nets import networks, variable_names
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from imprinting.embedding.leading_moments import LeadingMoments
from imprinting.embedding.moments import Moments

# With fewer photos, whitening is worse than the mean that batch norm gives.
LEAST_PHOTOS = 60
# Enough to compare probabilities.
_PARTS = 64
_BATCH_SIZE = 32


class Published(NamedTuple):
    """A published classifier as a network of this project.

    Attributes:
      values: those of the variables, by name.
      description: what was done, for the user.
    """

    values: dict[str, np.ndarray]
    description: str


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

    Raises what `read` and `deployable.read_values` raise.
    """
    if is_published(checkpoint):
        return read(checkpoint, model).values
    return deployable.read_values(checkpoint, model)


def read(checkpoint: Checkpoint, model: ModelConfig, images: np.ndarray | None = None) -> Published:
    """A published classifier turned into a network of this project.

    For the networks whose published scale factors were measured, the scale factor is the measured
    one. For others, probabilities are as high as the published ones on average over the images.

    Args:
      checkpoint: the published classifier.
      model: the network to turn it into.
      images: photos of all kinds, uint8 [n, size, size, 3]; from `LEAST_PHOTOS` on, the embedding
        is whitened by their features. None means parts of the photographs that come with the build,
        which are too few for that.

    Raises:
      ValueError: if the checkpoint cannot be read, lacks a variable of the base or has one in
        another shape, has another number of classes, or values that are not finite.
    """
    network = networks.get(model.network)
    if network.calibrate is None:
        raise ValueError(
            f"expected a checkpoint of this project, got {checkpoint}: a published {network.title} "
            "cannot be used without training; fine-tune it first"
        )
    values, rows, biases = _read_layers(checkpoint, model)
    mean = _calibrate(values, model)
    count = 0 if images is None else len(images)
    if images is None:
        images = check_images.of_photographs(
            _PARTS, image_size=model.image_size, crop=network.crop
        ).images
    computed = np.concatenate([*features.of_images(values, model, _batches(images))])
    moments = Moments.of(computed) if count >= LEAST_PHOTOS else None
    head = head_values.make_head(rows, mean, size=network.embedding_size, moments=moments)
    calibration = head_values.known_calibration(model)
    if calibration is None:
        calibration = head_values.calibrate(head, computed, computed @ rows + biases)
    values |= head_values.values(head, model, calibration)
    return Published(
        _needed(values, model),
        f"Head: made of a published classifier's last layer ({network.published.kernel}), without "
        f"training; scale factor {calibration.scale_factor:.1f}.\n{_describe(count)}",
    )


def make_values(
    base: Mapping[str, np.ndarray],
    rows: np.ndarray,
    model: ModelConfig,
    moments: LeadingMoments | None,
) -> dict[str, np.ndarray]:
    """The same from the values of a published classifier, for a network with a known scale factor.

    Args:
      base: the values of the base's variables, float32, by name, without ranges. Others are
        ignored.
      rows: the kernel of the last layer, float32 [channels, classes].
      model: the network to turn it into.
      moments: those of the features of photos of all kinds; None if there are none.

    Raises:
      ValueError: if the row of a class has the length 0, or the moments are of other features.
    """
    values = {**base}
    mean = _calibrate(values, model)
    size = networks.get(model.network).embedding_size
    head = head_values.make_head(rows, mean, size=size, moments=moments)
    calibration = head_values.known_calibration(model)
    assert calibration is not None
    return _needed(values | head_values.values(head, model, calibration), model)


def _calibrate(values: dict[str, np.ndarray], model: ModelConfig) -> np.ndarray:
    """Adds the base's ranges to its values; returns the mean of the features."""
    calibrate = networks.get(model.network).calibrate
    assert calibrate is not None
    calibration = calibrate(values)
    for name, limits in calibration.ranges.items():
        values |= dict(zip(variable_names.limits(name), limits, strict=True))
    return calibration.mean_features


def _needed(values: Mapping[str, np.ndarray], model: ModelConfig) -> dict[str, np.ndarray]:
    names = [variable.op.name for variable in deployable.variables(model)]
    return {name: np.asarray(values[name], np.float32) for name in names}


def _describe(count: int) -> str:
    if count >= LEAST_PHOTOS:
        return f"Embedding: features whitened by those of {count:,} photos."
    given = f"; {count} photos are too few for more" if count else ""
    return (
        f"Embedding: features minus their mean, computed from batch norm{given}. With 500 photos "
        "of all kinds of things (IMAGES=FILES for the build), features are whitened: of ImageNet's "
        "photos, a published MobileNet V1 then recognises 80 % instead of 76 %, and next to 66 "
        "imprinted classes 77 % instead of 67 %."
    )


def _read_layers(
    checkpoint: Checkpoint, model: ModelConfig
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """The values of the base, and kernel [channels, classes] and biases of the last layer."""
    network = networks.get(model.network)
    layer = network.published
    needed = deployable.variables(
        model if layer.has_ranges else dataclasses.replace(model, quantize=False)
    )
    base = checkpoint.read_all(v for v in needed if not v.op.name.startswith(network.names.head))
    values = {variable.op.name: value for variable, value in base.items()}
    read_layer = checkpoint.read([layer.kernel, layer.biases])
    deployable.check_values(values | read_layer, checkpoint)
    rows = read_layer[layer.kernel]
    rows = rows.reshape(-1, rows.shape[-1])
    if rows.shape[-1] != model.num_classes:
        raise ValueError(
            f"expected a classifier of {model.num_classes} classes, got one of {rows.shape[-1]} in "
            f"{checkpoint}; give the right --num_classes"
        )
    return values, rows, read_layer[layer.biases]


def _batches(images: np.ndarray) -> Iterator[np.ndarray]:
    for begin in range(0, len(images), _BATCH_SIZE):
        yield images[begin : begin + _BATCH_SIZE]
