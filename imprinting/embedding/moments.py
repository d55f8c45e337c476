"""Means and covariances of features, as running sums: memory does not grow with the photos."""

import dataclasses

import numpy as np

from imprinting.embedding import array_file


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """The first two moments of features, and of the features of each class.

      total = Moments.of(first_batch) + Moments.of(second_batch)

    Sums of squares are taken about the mean, and combined as in Chan, Golub and LeVeque, "Updating
    Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979, equation 2.1, so that
    no digits are lost if the mean is large compared with the deviations.

    Attributes:
      count: the number of samples.
      mean: float64 [d].
      scatter: float64 [d, d], the sum of (x - mean)(x - mean)' over the samples x.
      class_counts: int64 [k], the number of samples of each class; [0] without labels.
      class_means: float64 [k, d]; those of classes without samples are 0.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray
    class_counts: np.ndarray
    class_means: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, labels: np.ndarray | None = None) -> "Moments":
        """The moments of some samples.

        Args:
          features: float [n, d], n at least 1.
          labels: int [n], the number of each sample's class, from 0.

        Raises:
          ValueError: if a shape is another, a label is below 0, or a feature is NaN or infinite.
        """
        features = np.asarray(features, np.float64)
        if features.ndim != 2 or not features.size:
            raise ValueError(
                f"expected features [n, d] of at least one sample, got {list(features.shape)}"
            )
        wrong = np.flatnonzero(~np.isfinite(features).all(axis=1))
        if len(wrong):
            raise ValueError(
                f"expected finite features, got NaN or infinity in {len(wrong)} of {len(features)} "
                f"samples, first in sample {wrong[0]}"
            )
        mean = features.mean(axis=0)
        centred = features - mean
        counts, means = np.zeros(0, np.int64), np.zeros([0, features.shape[1]])
        if labels is not None:
            labels = np.asarray(labels)
            if labels.shape != features.shape[:1] or labels.min() < 0:
                raise ValueError(
                    f"expected labels [{len(features)}] of at least 0, got {list(labels.shape)} "
                    f"from {labels.min() if labels.size else 'none'}"
                )
            counts = np.bincount(labels)
            means = np.zeros([len(counts), features.shape[1]])
            np.add.at(means, labels, features)
            means /= np.maximum(counts, 1)[:, np.newaxis]
        return cls(len(features), mean, centred.T @ centred, counts, means)

    @property
    def depth(self) -> int:
        """The number of features."""
        return len(self.mean)

    @property
    def covariance(self) -> np.ndarray:
        """The samples' covariance, float64 [d, d], divided by their number."""
        return self.scatter / self.count

    @property
    def within(self) -> np.ndarray:
        """The pooled covariance within classes, float64 [d, d], divided by the number of samples.

        Raises:
          ValueError: if the samples had no labels.
        """
        if not len(self.class_counts):
            raise ValueError("expected moments of labelled samples, got some without labels")
        deviations = self.class_means - self.mean
        between = (deviations.T * self.class_counts) @ deviations
        return (self.scatter - between) / self.count

    def __add__(self, other: "Moments") -> "Moments":
        """The moments of the samples of both.

        Raises:
          ValueError: if the numbers of features differ, or only one has labels.
        """
        if self.depth != other.depth:
            raise ValueError(
                f"expected moments of as many features, got {self.depth} and {other.depth}"
            )
        if bool(len(self.class_counts)) != bool(len(other.class_counts)):
            raise ValueError("expected moments with labels or without, got one of each")
        count = self.count + other.count
        step = other.mean - self.mean
        classes = max(len(self.class_counts), len(other.class_counts))
        counts, sums = np.zeros(classes, np.int64), np.zeros([classes, self.depth])
        for part in (self, other):
            there = len(part.class_counts)
            counts[:there] += part.class_counts
            sums[:there] += part.class_means * part.class_counts[:, np.newaxis]
        return Moments(
            count,
            self.mean + step * (other.count / count),
            self.scatter
            + other.scatter
            + np.outer(step, step) * (self.count * other.count / count),
            counts,
            sums / np.maximum(counts, 1)[:, np.newaxis],
        )

    def save(self, path: str) -> None:
        """Writes the moments in NumPy's format (.npz), completely or not at all."""
        array_file.write(path, vars(self))

    @classmethod
    def load(cls, path: str) -> "Moments":
        """Reads what `save` wrote.

        Raises:
          OSError: if the file cannot be read.
          ValueError: if it holds something else.
        """
        arrays = array_file.read(path, [f.name for f in dataclasses.fields(cls)], what="moments")
        count = int(arrays.pop("count"))
        moments = cls(count=count, **arrays)
        d, k = moments.depth, len(moments.class_counts)
        shapes = (moments.scatter.shape, moments.class_means.shape)
        if shapes != ((d, d), (k, d)) or moments.count < 1:
            raise ValueError(f"expected moments in {path}, got arrays of shapes that do not fit")
        return moments
