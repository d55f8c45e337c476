"""Fits an embedding to new classes, so that photos of one class become more similar.

The embedding of a network defines a metric G on its features, for instance their covariance over
photos of all kinds. Photos of new classes tell how features vary within a class: Sw. The fitted
metric is (1 - w) G + w Sw, where both have the same trace in coordinates in which G is the
identity: a regularised linear discriminant analysis (see linear_embedding.py). With several views
of each photo as samples, Sw can be estimated even from one photo of each class.

The weight w is chosen by cross-validation from a few that cost kept classes little.

What memory holds does not grow with the photos; see `samples`. If there are more than 64 MB of
features, a function of them as large is in a file.
"""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from imprinting.base import large_arrays
from imprinting.embedding import linear_embedding, symmetric, unit_vectors
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.embedding.samples import ClassVectors, Samples

# With kept classes, for fewer classes than these, and for more. For 66 classes, 0.2 cost no
# accuracy on ImageNet's photos, 0.3 half a point and 0.5 one to two; for three classes, 0.1 cost
# nothing, 0.2 one point and 0.3 two.
_MANY_CLASSES = 20
_WEIGHTS = (0.05, 0.1), (0.1, 0.2)
_WEIGHTS_OF_NEW_CLASSES_ALONE = (0.1, 0.3, 0.5, 0.7, 0.9)
# The range of the components of an embedding, in standard deviations.
_DEVIATIONS = 6.0
# An embedding whose metric has a greater ratio of eigenvalues ignores some features, so that no
# metric can be computed from it exactly enough.
_MAX_CONDITION = 1e5
_SEED = 0
# With so many photos, the standard error of an accuracy is below one percent.
_MOST_HELD_OUT = 4000
# Below this fraction of the greatest eigenvalue, that of a covariance is only rounding error.
_LEAST_EIGENVALUE = 1e-6


class Kept(NamedTuple):
    """The classes that a network keeps.

    Attributes:
      vectors: their vectors, float [c, e]; c may be 0.
      imprinted: bool [c], which of them were imprinted and not trained.
    """

    vectors: np.ndarray
    imprinted: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """How much to fit.

    Attributes:
      weight: w, in 0..1; 0 means that the embedding stays as it is.
      before: the fraction of photos that are recognised without a fit, in cross-validation; None
        if there are too few photos for that.
      after: the same with the chosen weight.
      cosines: those of the photos, each held out once, with all classes, kept ones first, float32
        [n, classes].
      labels: int [n], the column of each photo's class in `cosines`.
    """

    weight: float
    before: float | None
    after: float | None
    cosines: np.ndarray
    labels: np.ndarray


class Fitter:
    """Fits an embedding to photos of new classes."""

    def __init__(self, samples: Samples, embedding: LinearEmbedding, kept: Kept):
        """Prepares the fit.

        Args:
          samples: the features of photos of new classes.
          embedding: that of the network.
          kept: its classes, with which the new ones compete.

        Raises:
          ValueError: if the embedding does not keep all features apart.
        """
        values, vectors = symmetric.eigh(embedding.kernel.T @ embedding.kernel)
        if not values[0] * _MAX_CONDITION > values[-1]:
            raise ValueError(
                "expected an embedding that keeps all features apart, got one that nearly ignores "
                "some"
            )
        self._samples = samples
        self._embedding = embedding
        self._imprinted = kept.imprinted
        # In these coordinates, the network's metric is the identity.
        self._to_points = (vectors * np.sqrt(values)) @ vectors.T
        mean, to_points = (a.astype(np.float32) for a in (embedding.mean, self._to_points))
        (self._points,) = large_arrays.gather(
            [(features - mean) @ to_points] for features, _ in samples.pieces(samples.features)
        )
        to_rows = embedding.kernel @ ((vectors / np.sqrt(values)) @ vectors.T)
        self._rows = kept.vectors.astype(np.float32) @ to_rows.astype(np.float32)

    def choose(self, weights: tuple[float, ...] | None = None) -> Choice:
        """Chooses the weight.

        Args:
          weights: the weights to choose from; None for the usual ones.
        """
        samples, kept = self._samples, len(self._rows)
        usual = _WEIGHTS[samples.num_classes >= _MANY_CLASSES]
        if weights is None:
            weights = usual if kept else _WEIGHTS_OF_NEW_CLASSES_ALONE
        if not samples.folds(_SEED, most=_MOST_HELD_OUT):
            weight = usual[-1] if samples.varies else 0.0
            none = np.zeros([0, kept + samples.num_classes], np.float32)
            return Choice(weight, None, None, none, np.zeros(0, np.int64))
        cosines_of, photos = self.held_out((0.0, *weights), most=_MOST_HELD_OUT)
        labels = kept + samples.classes[photos]
        right = {w: float((c.argmax(axis=1) == labels).mean()) for w, c in cosines_of.items()}
        best = max(right.values())
        chosen = max(weight for weight, accuracy in right.items() if accuracy == best)
        if right[0.0] == best:
            chosen = 0.0
        return Choice(chosen, right[0.0], right[chosen], cosines_of[chosen], labels)

    def held_out(
        self, weights: tuple[float, ...], *, most: int | None = None
    ) -> tuple[dict[float, np.ndarray], np.ndarray]:
        """Cosines of photos with classes and embeddings that were made without them.

        Args:
          weights: the weights w to try.
          most: how many photos to hold out, if there are more; None for all. Memory grows with
            their number: by four bytes for each weight and class.

        Returns:
          For each weight, float32 [n, classes], with kept classes first; and the numbers of the n
          photos, int [n]. The only photo of a class is not among them.
        """
        samples = self._samples
        held: dict[float, list[np.ndarray]] = {weight: [] for weight in weights}
        folds = samples.folds(_SEED, most)
        with symmetric.one_thread():
            for fold in folds:
                self._hold_out(fold, held)
        photos = np.concatenate([np.zeros(0, np.int64), *map(np.flatnonzero, folds)])
        none = np.zeros([0, len(self._rows) + samples.num_classes], np.float32)
        return {w: np.concatenate([none, *parts]) for w, parts in held.items()}, photos

    def _hold_out(self, fold: np.ndarray, held: dict[float, list[np.ndarray]]) -> None:
        """Adds the cosines of the photos of a fold, bool [n], for each weight."""
        samples = self._samples
        views, depth = self._points.shape[1:]
        metric = _Metric(samples.centred(self._points, ~fold), int((~fold).sum()) * views, depth)
        scales = {weight: metric.scales(weight) for weight in held}
        learned = {weight: ClassVectors(samples.num_classes) for weight in held}
        for points, classes in samples.pieces(self._points, ~fold):
            along = metric.along(points)
            for weight, scale in scales.items():
                learned[weight].add(along / scale, classes)
        rows, tests = metric.along(self._rows), metric.along(self._points[fold, 0])
        for weight, cosines in held.items():
            scale = scales[weight]
            kept = rows * np.where(self._imprinted[:, np.newaxis], 1 / scale, scale)
            vectors = np.concatenate([unit_vectors.unit(kept), learned[weight].found()])
            cosines.append(unit_vectors.unit(tests / scale) @ vectors.T)

    def fit(self, weight: float) -> LinearEmbedding:
        """The embedding of the fitted metric, in axes that are rotated at random.

        Args:
          weight: w, in 0..1.
        """
        everything = np.ones(len(self._points), bool)
        within = self._samples.within(self._points, everything)
        metric = linear_embedding.mixture(np.eye(len(within)), within, weight)
        inner = LinearEmbedding.of_metric(
            metric, np.zeros(len(within)), size=len(self._embedding.kernel)
        )
        return LinearEmbedding(inner.kernel @ self._to_points, self._embedding.mean)

    def reach(self, fitted: LinearEmbedding) -> float:
        """The range that components of a fitted embedding need: six standard deviations.

        The variance is that of the new photos or of photos of all kinds, whichever is greater. The
        latter are assumed to be as far from the mean as the new ones in the old embedding.
        """
        samples, depth = self._samples, self._points.shape[-1]
        new = _mean_square(fitted.of(some[:, 0]) for some, _ in samples.pieces(samples.features))
        old = _mean_square(some[:, 0] for some, _ in samples.pieces(self._points))
        new, old = new / depth, old / depth
        kernel = np.linalg.solve(self._to_points, fitted.kernel.T)
        return float(_DEVIATIONS * np.sqrt(max(new, old * (kernel**2).sum() / depth)))


def _mean_square(pieces: Iterable[np.ndarray]) -> float:
    """The mean of the squared lengths of vectors, [m, d] at a time."""
    squares = [(piece.astype(np.float64) ** 2).sum(axis=1) for piece in pieces]
    return float(np.concatenate(squares).mean())


class _Metric:
    """Metrics (1 - w) I + w Sw for all w, in the axes of the eigenvectors of Sw."""

    def __init__(self, pieces: Iterable[np.ndarray], count: int, depth: int):
        """Takes points whose covariance is Sw, which is scaled to a mean eigenvalue of 1.

        Args:
          pieces: the points, float [m, d] at a time.
          count: the number of all points.
          depth: d.
        """
        if count < depth:
            centred = np.concatenate(list(pieces)).astype(np.float64)
            # There are at most n eigenvectors whose eigenvalues are not 0, and those of a matrix
            # [n, n] lead to them. Any other axes that are orthogonal complete them.
            values, vectors = symmetric.eigh(centred @ centred.T)
            chosen = values > _LEAST_EIGENVALUE * max(float(values[-1]), 1e-30)
            found = centred.T @ vectors[:, chosen] / np.sqrt(values[chosen])
            axes = np.linalg.qr(found, mode="complete")[0]
            axes[:, : found.shape[1]] = found
            values = np.append(values[chosen], np.zeros(depth - found.shape[1]))
        else:
            scatter = np.zeros([depth, depth])
            for piece in pieces:
                centred = piece.astype(np.float64)
                scatter += centred.T @ centred
            values, axes = symmetric.eigh(scatter)
        self._values = np.maximum(values, 0) / max(float(values.mean()), 1e-30)
        self._axes = axes.astype(np.float32)

    def along(self, points: np.ndarray) -> np.ndarray:
        """Points [..., d] in the axes, [..., d]."""
        return points @ self._axes

    def scales(self, weight: float) -> np.ndarray:
        """The square roots of the metric's eigenvalues, float32 [d]."""
        return np.sqrt((1 - weight) + weight * self._values).astype(np.float32)
