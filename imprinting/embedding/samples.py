"""Features of several views of photos of some classes.

Arrays may be files that are mapped to memory (see `large_arrays`): they are read in pieces, so that
what memory holds does not grow with the photos, but for 8 bytes each for a few numbers.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from imprinting.base import large_arrays
from imprinting.embedding import unit_vectors

# Photos are divided into so many parts, each of which is held out once. With many photos, two parts
# give the same choice in less time.
_FOLDS = 5
_FOLDS_OF_MANY = 2
_MANY_PHOTOS = 500


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """Features of photos.

    Attributes:
      features: float32 [n, v, d], of v views of each of n photos; the first is the photo itself.
      classes: int [n], the number of each photo's class, from 0, each at least once.
    """

    features: np.ndarray
    classes: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.features)
        if self.features.ndim != 3 or not self.features.size or self.classes.shape != (n,):
            raise ValueError(
                f"expected features [n, v, d] of at least one photo and classes [n], got "
                f"{list(self.features.shape)} and {list(self.classes.shape)}"
            )
        finite = [np.isfinite(some).all(axis=(1, 2)) for some, _ in self.pieces(self.features)]
        bad = np.flatnonzero(~np.concatenate(finite))
        if len(bad):
            raise ValueError(
                f"expected finite features, got NaN or infinity for {len(bad)} of {n} photos, the "
                f"first of which is photo {bad[0]}"
            )
        if self.classes.min() < 0 or not np.bincount(self.classes).all():
            raise ValueError("expected photos of each class from 0 on, got none of some")

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return int(self.classes.max()) + 1

    @property
    def photos_per_class(self) -> float:
        """The mean number of photos of a class."""
        return len(self.classes) / self.num_classes

    @property
    def varies(self) -> bool:
        """Whether some photos of a class, or views of a photo, differ."""
        first = np.unique(self.classes, return_index=True)[1]
        firsts = self.features[first, :1]
        return any(
            bool((some != firsts[classes]).any()) for some, classes in self.pieces(self.features)
        )

    def pieces(
        self, points: np.ndarray, chosen: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Some photos at a time: their points [m, v, d], and their classes [m].

        Args:
          points: of each view of each photo, float [n, v, d].
          chosen: the photos to use, bool [n]; None for all.
        """
        for piece in large_arrays.pieces(len(points), points[0].nbytes):
            rows = slice(None) if chosen is None else chosen[piece]
            yield points[piece][rows], self.classes[piece][rows]

    def folds(self, seed: int, most: int | None = None) -> list[np.ndarray]:
        """Parts of the photos to hold out, each photo in at most one, bool [n] each.

        Of each class with several photos, all are held out once, but never all at once. A class
        with a single photo is never held out. There are no folds if each class has one photo.

        Args:
          seed: determines the parts.
          most: of more photos, so many are held out, spread evenly; None for all.
        """
        random = np.random.default_rng(seed)
        count = _FOLDS if len(self.classes) < _MANY_PHOTOS else _FOLDS_OF_MANY
        fold = np.full(len(self.classes), -1)
        for number in range(self.num_classes):
            photos = random.permutation(np.flatnonzero(self.classes == number))
            if len(photos) > 1:
                fold[photos] = np.arange(len(photos)) % min(count, len(photos))
        candidates = np.flatnonzero(fold >= 0)
        if most is not None and len(candidates) > most:
            kept = candidates[np.arange(most) * len(candidates) // most]
            fold[np.setdiff1d(candidates, kept)] = -1
        return [fold == part for part in range(count) if (fold == part).any()]

    def centred(self, points: np.ndarray, chosen: np.ndarray) -> Iterator[np.ndarray]:
        """Points minus the mean of their class, [m, d] at a time, for all views of the photos.

        Args:
          points: of each view of each photo, float [n, v, d].
          chosen: the photos to use, bool [n].
        """
        means = _Means(self.num_classes)
        for some, classes in self.pieces(points, chosen):
            means.add(some.reshape(-1, some.shape[2]), np.repeat(classes, some.shape[1]))
        found = means.found()
        for some, classes in self.pieces(points, chosen):
            yield some.reshape(-1, some.shape[2]) - found[np.repeat(classes, some.shape[1])]

    def within(self, points: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """The covariance of points within their classes, float64 [d, d]; see `centred`."""
        total, count = np.zeros([points.shape[2]] * 2), 0
        for centred in self.centred(points, chosen):
            total += centred.T @ centred
            count += len(centred)
        return total / max(count, 1)

    def class_vectors(self, embeddings: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """The vector of each class, of unit length, [k, e]; see `ClassVectors`.

        Args:
          embeddings: of each view of the chosen photos, float [m, v, e], of any length.
          chosen: which photos these are, bool [n], m of them.
        """
        vectors = ClassVectors(self.num_classes)
        classes = self.classes[chosen]
        for piece in large_arrays.pieces(len(embeddings), embeddings[0].nbytes):
            vectors.add(embeddings[piece], classes[piece])
        return vectors.found()


class ClassVectors:
    """The vectors of classes, of photos that are added some at a time.

    A photo's embedding is the mean of those of its views, each of unit length, and a class's vector
    that of its photos.
    """

    def __init__(self, count: int) -> None:
        """Begins without photos.

        Args:
          count: the number of classes.
        """
        self._means = _Means(count)

    def add(self, embeddings: np.ndarray, classes: np.ndarray) -> None:
        """Adds photos.

        Args:
          embeddings: of each view of each photo, float [m, v, e], of any length.
          classes: int [m].
        """
        photos = unit_vectors.unit(unit_vectors.unit(embeddings).mean(axis=1))
        self._means.add(photos, classes)

    def found(self) -> np.ndarray:
        """The vectors, of unit length, [k, e]; 0 for a class without photos."""
        return unit_vectors.unit(self._means.found())


def of_classes(features: np.ndarray, photos: Mapping[str, Sequence[int]]) -> Samples:
    """Samples of classes, which are numbered in the order in which they are given.

    Args:
      features: float32 [n, v, d].
      photos: the indices of each class's photos, by the class's name.
    """
    counts = [len(indices) for indices in photos.values()]
    chosen = np.concatenate([np.asarray(indices, np.int64) for indices in photos.values()])
    classes = np.repeat(np.arange(len(counts)), counts)
    return Samples(large_arrays.take(features, chosen), classes)


class _Means:
    """The means of the vectors with each label, which are added some at a time."""

    def __init__(self, count: int) -> None:
        self._sums: np.ndarray | None = None
        self._counts = np.zeros(count, np.int64)

    def add(self, values: np.ndarray, labels: np.ndarray) -> None:
        """Adds vectors [n, d] with the labels [n]."""
        if self._sums is None:
            self._sums = np.zeros([len(self._counts), values.shape[1]], values.dtype)
        if not len(labels):
            return
        order = np.argsort(labels, kind="stable")
        numbers, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
        self._sums[numbers] += np.add.reduceat(values[order], starts, axis=0)
        self._counts[numbers] += counts

    def found(self) -> np.ndarray:
        """The means, [count, d]; 0 for a label without vectors."""
        assert self._sums is not None
        return self._sums / np.maximum(self._counts, 1)[:, np.newaxis].astype(self._sums.dtype)
