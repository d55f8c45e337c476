"""The moments of many features in a small file: their mean, and the directions of most variance."""

import dataclasses

import numpy as np

from imprinting.embedding import array_file, symmetric
from imprinting.embedding.moments import Moments


@dataclasses.dataclass(frozen=True, eq=False)
class LeadingMoments:
    """A mean, and a covariance D'D + r I.

    Tipping and Bishop, "Probabilistic Principal Component Analysis", 1999, section 3.2.

    Attributes:
      mean: float16 [d].
      directions: float16 [k, d]: eigenvectors of the covariance, of the length sqrt(l - r) for an
        eigenvalue l, the greatest first.
      residual: float32 [], r: the mean of the other eigenvalues.
    """

    mean: np.ndarray
    directions: np.ndarray
    residual: np.ndarray

    @classmethod
    def of(cls, moments: Moments, count: int) -> "LeadingMoments":
        """The leading moments.

        Args:
          moments: those of all features.
          count: the number of directions, from 1 up to one less than that of features.

        Raises:
          ValueError: if `count` is out of range.
        """
        if not 1 <= count < moments.depth:
            raise ValueError(
                f"expected 1..{moments.depth - 1} directions of {moments.depth} features, got "
                f"{count}"
            )
        values, vectors = symmetric.eigh(moments.covariance)
        residual = max(0.0, values[:-count].mean())
        lengths = np.sqrt(np.maximum(values[-count:] - residual, 0))
        directions = (vectors[:, -count:] * lengths).T[::-1]
        return cls(
            moments.mean.astype(np.float16),
            directions.astype(np.float16),
            np.array(residual, np.float32),
        )

    @property
    def covariance(self) -> np.ndarray:
        """The covariance, float64 [d, d]."""
        directions = self.directions.astype(np.float64)
        return directions.T @ directions + float(self.residual) * np.eye(len(self.mean))

    def save(self, path: str) -> None:
        """Writes a file in NumPy's format (.npz), completely or not at all."""
        array_file.write(path, vars(self))

    @classmethod
    def load(cls, path: str) -> "LeadingMoments":
        """Reads what `save` wrote.

        Raises:
          OSError: if the file cannot be read.
          ValueError: if it holds something else.
        """
        names = [f.name for f in dataclasses.fields(cls)]
        moments = cls(**array_file.read(path, names, what="leading moments"))
        if moments.directions.shape[1:] != moments.mean.shape or moments.residual.shape:
            raise ValueError(
                f"expected leading moments in {path}, got arrays of shapes that do not fit"
            )
        return moments
