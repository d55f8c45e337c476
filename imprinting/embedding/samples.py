"""Features of several views of photos of some classes."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

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
        bad = np.flatnonzero(~np.isfinite(self.features).all(axis=(1, 2)))
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
        return bool((self.features != self.features[first[self.classes], :1]).any())

    def folds(self, seed: int) -> list[np.ndarray]:
        """Parts of the photos to hold out, each photo in at most one, bool [n] each.

        Of each class with several photos, all are held out once, but never all at once. A class
        with a single photo is never held out. There are no folds if each class has one photo.
        """
        random = np.random.default_rng(seed)
        count = _FOLDS if len(self.classes) < _MANY_PHOTOS else _FOLDS_OF_MANY
        fold = np.full(len(self.classes), -1)
        for number in range(self.num_classes):
            photos = random.permutation(np.flatnonzero(self.classes == number))
            if len(photos) > 1:
                fold[photos] = np.arange(len(photos)) % min(count, len(photos))
        return [fold == part for part in range(count) if (fold == part).any()]

    def centred(self, points: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Points minus the mean of their class, [m, d], for all views of the photos.

        Args:
          points: of each view of each photo, float [n, v, d].
          chosen: the photos to use, bool [n].
        """
        centred = points[chosen].reshape(-1, points.shape[-1])
        labels = np.repeat(self.classes[chosen], points.shape[1])
        return centred - _means(centred, labels, self.num_classes)[labels]

    def within(self, points: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """The covariance of points within their classes, float64 [d, d]; see `centred`."""
        centred = self.centred(points, chosen)
        return (centred.T @ centred).astype(np.float64) / max(len(centred), 1)

    def class_vectors(self, embeddings: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """The vector of each class, of unit length, [k, e].

        A photo's embedding is the mean of those of its views, each of unit length, and a class's
        vector that of its photos. The result is 0 for a class without chosen photos.

        Args:
          embeddings: of each view of the chosen photos, float [m, v, e], of any length.
          chosen: which photos these are, bool [n], m of them.
        """
        photos = unit_vectors.unit(unit_vectors.unit(embeddings).mean(axis=1))
        return unit_vectors.unit(_means(photos, self.classes[chosen], self.num_classes))


def of_classes(features: np.ndarray, photos: Mapping[str, Sequence[int]]) -> Samples:
    """Samples of classes, which are numbered in the order in which they are given.

    Args:
      features: float32 [n, v, d].
      photos: the indices of each class's photos, by the class's name.
    """
    chosen = [index for indices in photos.values() for index in indices]
    counts = [len(indices) for indices in photos.values()]
    return Samples(features[chosen], np.repeat(np.arange(len(counts)), counts))


def _means(values: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """The mean of the values [n, d] with each label, [count, d]."""
    order = np.argsort(labels, kind="stable")
    numbers, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    means = np.zeros([count, values.shape[1]], values.dtype)
    sums = np.add.reduceat(values[order], starts, axis=0)
    means[numbers] = sums / counts[:, np.newaxis].astype(values.dtype)
    return means
