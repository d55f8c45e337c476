"""Linear discriminant analysis with imprinted classes: a head for labelled photos in closed form.

The embedding makes directions count less in which photos of the same class differ; its metric is
the covariance within the classes, regularised by a mixture with the identity (see
`linear_embedding`). A class's vector is the mean embedding of its photos, of unit length (Qi, Brown
and Lowe, arXiv 1712.07136, section 3.2). How much of the identity is best depends on the number of
photos and on the network, and is chosen by cross-validation (Hastie, Tibshirani and Friedman, "The
Elements of Statistical Learning", second edition, section 7.10).

Photos are given by the features of several views of each: float [n, v, d], the complete photo
first. Views count as samples of their class, and those of a photo have the same fold. The array may
be a file that is mapped to memory: it is read in pieces, so that memory does not grow with n.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from imprinting.embedding import linear_embedding, symmetric
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.embedding.moments import Moments

# Of the covariance within classes. Its complement is the ridge of a regularised discriminant
# analysis, lambda = (1 - w) / w: infinite, 1, 0.33, 0.1 and 0.03.
WEIGHTS = (0.0, 0.5, 0.75, 0.91, 0.97)
DEFAULT_WEIGHT = 0.91

_FOLDS = 5
# With so many photos, the standard error of an accuracy is below one percent.
_MOST_HELD_OUT = 4000
# Numbers of float64 in a piece of the features, 16 MB.
_PIECE = 1 << 21
# Features that vary less than this, compared with their squares, only do so by rounding errors.
_LEAST_VARIANCE = 1e-9
# Embeddings and sums of unit vectors that are shorter are only rounding errors.
_LEAST_LENGTH = 1e-9


class HeldOut(NamedTuple):
    """How classes of a part of the photos fit the others.

    Attributes:
      weight: the chosen one.
      accuracies: the fraction of photos for which the right class has the greatest cosine, in 0..1,
        by weight.
      cosines: float32 [h, classes], between photos that were held out and the class vectors of the
        other photos, with the chosen weight.
      labels: int64 [h], the classes of these photos.
    """

    weight: float
    accuracies: dict[float, float]
    cosines: np.ndarray
    labels: np.ndarray


def moments(features: np.ndarray, labels: np.ndarray) -> Moments:
    """The moments of all views, each a sample of its photo's class.

    Args:
      features: float [n, v, d], n at least 1.
      labels: int [n], from 0.

    Raises:
      ValueError: if all features are the same, or NaN or infinite; see also `Moments.of`.
    """
    found = _moments(features, labels, np.ones(len(labels), bool))
    assert found is not None
    if _is_constant(np.trace(found.scatter) / found.count, found):
        raise ValueError("expected photos that differ, got the same features for all of them")
    return found


def metric(samples: Moments, weight: float) -> np.ndarray:
    """The metric of the embedding, float64 [d, d], positive definite with a mean eigenvalue of 1.

    Args:
      samples: the moments of labelled features.
      weight: that of the covariance within classes, in 0..1, below 1. If no class has features that
        vary, the result is the identity.
    """
    return linear_embedding.mixture(np.eye(samples.depth), _within(samples), weight)


def folds(labels: np.ndarray) -> np.ndarray | None:
    """Divides photos for cross-validation, so that each class has photos in several folds.

    Args:
      labels: int [n], from 0.

    Returns:
      int64 [n], the number of each photo's fold; -1 for photos that are never held out: the only
      ones of their class, or if there are more than enough. None if most classes have only one
      photo, so that nothing can be said about them.
    """
    counts = np.bincount(labels)
    if 2 * (counts > 1).sum() < (counts > 0).sum():
        return None
    order = np.argsort(labels, kind="stable")
    starts = np.cumsum(counts) - counts
    found = np.empty(len(labels), np.int64)
    # The number of the photo in its class, and of the class, so that small classes fill all folds.
    found[order] = (np.arange(len(labels)) - starts[labels[order]] + labels[order]) % _FOLDS
    found[counts[labels] == 1] = -1
    candidates = np.flatnonzero(found >= 0)
    surplus = np.ones(len(candidates), bool)
    kept = min(len(candidates), _MOST_HELD_OUT)
    surplus[np.arange(kept) * len(candidates) // kept] = False
    found[candidates[surplus]] = -1
    return found


def cross_validate(
    features: np.ndarray,
    labels: np.ndarray,
    fold_of: np.ndarray,
    *,
    weights: tuple[float, ...] = WEIGHTS,
    on_progress: Callable[[int, int], None] | None = None,
) -> HeldOut:
    """Chooses the weight with which photos that were held out are classified best.

    In the axes of the eigenvectors of a fold's covariance within classes, the embeddings for all
    weights differ only by a factor of each component. So a fold needs one decomposition.

    Memory: twice [weights, classes, d] of float64 and [weights, 4000, classes] of float32, and a
    few [d, d] for each fold.

    Args:
      features: float [n, v, d].
      labels: int [n], from 0.
      fold_of: what `folds` returned.
      weights: those to try, each in 0..1 and below 1.
      on_progress: called with the number of folds done and the total number.

    Returns:
      The weight that is nearest to the default, out of those whose accuracy is within one standard
      error of the greatest (Hastie, Tibshirani and Friedman, section 7.10).
    """
    numbers = np.unique(fold_of)
    parts = {number: _moments(features, labels, fold_of == number) for number in numbers}
    used = [number for number in numbers if number >= 0]
    cosines, known = [], []
    for done, number in enumerate(used, 1):
        others = [part for other, part in parts.items() if other != number and part is not None]
        total = others[0]
        for part in others[1:]:
            total = total + part
        held_out = np.flatnonzero(fold_of == number)
        cosines.append(_fold_cosines(features, labels, fold_of != number, held_out, total, weights))
        known.append(labels[held_out])
        if on_progress is not None:
            on_progress(done, len(used))
    every, right = np.concatenate(cosines, axis=1), np.concatenate(known).astype(np.int64)
    accuracies = [float(mean) for mean in (every.argmax(axis=2) == right).mean(axis=1)]
    greatest = max(accuracies)
    least = greatest - np.sqrt(greatest * (1 - greatest) / len(right))
    best = min(
        (number for number, accuracy in enumerate(accuracies) if accuracy >= least),
        key=lambda number: abs(weights[number] - DEFAULT_WEIGHT),
    )
    return HeldOut(weights[best], dict(zip(weights, accuracies, strict=True)), every[best], right)


def class_vectors(
    embedding: LinearEmbedding, features: np.ndarray, labels: np.ndarray, *, classes: int
) -> np.ndarray:
    """Imprints all classes; each photo has the same weight.

    Args:
      embedding: that of the features.
      features: float [n, v, d].
      labels: int [n], in 0..classes - 1.
      classes: the number of classes.

    Returns:
      float64 [classes, e] of unit length; 0 for a class whose photos have nothing in common, or
      that has none.
    """
    sums = np.zeros([classes, len(embedding.kernel)])
    for begin, piece in _pieces(features):
        # As one matrix: NumPy multiplies stacks of small matrices one by one.
        views = embedding.of(piece.reshape(-1, piece.shape[-1]))
        photos = _unit(_unit(views).reshape(*piece.shape[:2], -1).sum(axis=1))
        np.add.at(sums, labels[begin : begin + len(piece)], photos)
    return _unit(sums)


def _fold_cosines(
    features: np.ndarray,
    labels: np.ndarray,
    in_training: np.ndarray,
    held_out: np.ndarray,
    samples: Moments,
    weights: tuple[float, ...],
) -> np.ndarray:
    """Cosines of complete photos with the vectors of the other photos' classes, for all weights.

    Args:
      features: float [n, v, d].
      labels: int [n].
      in_training: bool [n], the other photos.
      held_out: int [h], the photos.
      samples: the moments of the other photos.
      weights: those of the covariance within classes.

    Returns:
      float32 [weights, h, classes].
    """
    values, axes = symmetric.eigh(_within(samples))
    mean_value = values.mean()
    values = np.maximum(values / mean_value, 0) if mean_value > 0 else np.ones_like(values)
    scales = np.stack([1 / np.sqrt(1 - weight + weight * values) for weight in weights])
    sums = np.zeros([len(weights), labels.max() + 1, samples.depth])
    for begin, piece in _pieces(features):
        chosen = in_training[begin : begin + len(piece)]
        own = labels[begin : begin + len(piece)][chosen]
        flat = (piece[chosen].reshape(-1, samples.depth) - samples.mean) @ axes
        inverses = 1 / np.maximum(np.sqrt((flat * flat) @ (scales * scales).T), 1e-12)
        views = flat.reshape(-1, *piece.shape[1:])
        for number, scale in enumerate(scales):
            inverse = inverses[:, number].reshape(views.shape[:2])
            photos = np.einsum("nvd,nv->nd", views, inverse) * scale
            np.add.at(sums[number], own, _unit(photos))
    vectors = _unit(sums)
    found = np.empty([len(weights), len(held_out), sums.shape[1]], np.float32)
    for begin in range(0, len(held_out), step := max(1, _PIECE // samples.depth)):
        some = held_out[begin : begin + step]
        views = (features[some, 0].astype(np.float64) - samples.mean) @ axes
        for number, scale in enumerate(scales):
            found[number, begin : begin + step] = _unit(views * scale) @ vectors[number].T
    return found


def _moments(features: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> Moments | None:
    """The moments of the views of some photos; None for no photos."""
    total: Moments | None = None
    for begin, piece in _pieces(features):
        here = chosen[begin : begin + len(piece)]
        if not here.any():
            continue
        samples = piece[here].reshape(-1, piece.shape[-1])
        own = np.repeat(labels[begin : begin + len(piece)][here], piece.shape[1])
        part = Moments.of(samples, own)
        total = part if total is None else total + part
    return total


def _within(samples: Moments) -> np.ndarray:
    """The covariance within classes; exactly 0 if it is only rounding error."""
    within = samples.within
    return np.zeros_like(within) if _is_constant(np.trace(within), samples) else within


def _is_constant(variance: float, samples: Moments) -> bool:
    squares = np.trace(samples.scatter) / samples.count + samples.mean @ samples.mean
    return bool(variance <= _LEAST_VARIANCE * squares)


def _pieces(features: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Some photos at a time in float64, with the number of the first."""
    photos = max(1, _PIECE // (features.shape[1] * features.shape[2]))
    for begin in range(0, len(features), photos):
        yield begin, features[begin : begin + photos].astype(np.float64)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors, scaled to unit length; 0 for those that are only rounding error."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(lengths > _LEAST_LENGTH, vectors / np.maximum(lengths, _LEAST_LENGTH), 0.0)
