"""A head for labelled photos in closed form: an embedding by discriminant analysis, and classes.

See `discriminant` for the method. The scale factor is the likeliest one for photos that are held
out in cross-validation (see `probabilities`).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from classification.deployment import head_values
from classification.deployment.head_values import Calibration
from classification.nets import networks
from classification.nets.model_config import ModelConfig
from imprinting.embedding import discriminant, probabilities
from imprinting.embedding.discriminant import HeldOut
from imprinting.embedding.linear_embedding import LinearEmbedding

# If no photo can be held out, since most classes have only one. The factor is the likeliest one for
# other photos of 66 kinds of groceries, after a fit to one photo of each.
_DEFAULT_CALIBRATION = Calibration(scale_factor=17.0, reach=1.0)
# The greatest scale factor. With few classes that never are confused, any is likelier than a
# smaller one.
_GREATEST_SCALE_FACTOR = 100.0
# Photos of which probabilities are computed at once.
_CHUNK = 256


class Fitted(NamedTuple):
    """A head.

    Attributes:
      values: those of all variables that a head may have, float32, by name.
      weight: that of the covariance within classes; see `discriminant.metric`.
      scale_factor: the factor of the cosines.
      held_out: what cross-validation found; None if most classes have only one photo.
      calibration_error: of the photos held out, in 0..1; None if there are none.
    """

    values: dict[str, np.ndarray]
    weight: float
    scale_factor: float
    held_out: HeldOut | None
    calibration_error: float | None


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    model: ModelConfig,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Fits a head to photos.

    Args:
      features: float [n, v, d], of v views of each photo; see `discriminant`.
      labels: int [n], in 0..classes - 1. Each class has at least one photo.
      names: those of the classes, for errors.
      model: the network.
      on_progress: called with the number of cross-validation's folds done and the total number.

    Raises:
      ValueError: if there is only one class, a class has no photos, the photos of a class have
        nothing in common, all features are the same, or NaN or infinite, or there are more features
        than components of the embedding.
    """
    check_counts(np.bincount(labels, minlength=len(names)), names)
    samples = discriminant.moments(features, labels)
    weight, calibration, error = discriminant.DEFAULT_WEIGHT, _DEFAULT_CALIBRATION, None
    held_out: HeldOut | None = None
    fold_of = discriminant.folds(labels)
    if fold_of is not None:
        held_out = discriminant.cross_validate(features, labels, fold_of, on_progress=on_progress)
        weight = held_out.weight
        scale_factor = probabilities.likeliest_scale_factor(
            held_out.cosines, held_out.labels, greatest=_GREATEST_SCALE_FACTOR
        )
        calibration = head_values.held_out_calibration(scale_factor, held_out.cosines)
        error = _calibration_error(held_out, scale_factor)
    embedding, reach = head_values.rounded(
        LinearEmbedding.of_metric(
            discriminant.metric(samples, weight),
            samples.mean,
            size=networks.get(model.network).embedding_size,
        ),
        samples.covariance,
    )
    vectors = discriminant.class_vectors(embedding, features, labels, classes=len(names))
    empty = np.flatnonzero(~vectors.any(axis=1))
    if len(empty):
        raise ValueError(
            "expected photos of a class that have something in common, got photos of "
            f"{names[empty[0]]} that have nothing in common"
        )
    head = head_values.imprinted(embedding, reach, vectors)
    values = head_values.values(head, model, calibration)
    return Fitted(values, weight, calibration.scale_factor, held_out, error)


def check_counts(counts: np.ndarray, names: Sequence[str]) -> None:
    """Raises a ValueError if there is only one class, or one without photos.

    Args:
      counts: int [classes], the number of photos of each class.
      names: those of the classes.
    """
    if len(names) < 2:
        raise ValueError(f"expected photos of at least two classes, got only {names[0]}")
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        shown = ", ".join(names[number] for number in empty[:5])
        more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
        raise ValueError(
            f"expected photos of each of {len(names)} classes, got none of {shown}{more}; add "
            "some, or convert the photos without these classes"
        )


def _calibration_error(held_out: HeldOut, scale_factor: float) -> float:
    best = np.concatenate(
        [
            _greatest_probabilities(scale_factor * held_out.cosines[begin : begin + _CHUNK])
            for begin in range(0, len(held_out.labels), _CHUNK)
        ]
    )
    right = held_out.cosines.argmax(axis=1) == held_out.labels
    return probabilities.calibration_error(best, right)


def _greatest_probabilities(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return 1 / shifted.sum(axis=1)
