"""Embeddings and labels of images, which may be in a file that is mapped to memory."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from imprinting.base import large_arrays
from imprinting.embedding import unit_vectors


@dataclasses.dataclass(frozen=True, eq=False)
class Embedded:
    """The embeddings and labels of images.

    Attributes:
      stored: float32 [m, d] of unit length, or [m, v, d] of v views of each image; the first view
        is the image as evaluation sees it.
      labels: int [n], the images' classes; numbers of base classes come first.
      rows: int [n], where each image's embeddings are in `stored`; None for all in order.
    """

    stored: np.ndarray
    labels: np.ndarray
    rows: np.ndarray | None = None

    @property
    def embeddings(self) -> np.ndarray:
        """Float32 [n, d] or [n, v, d], those of the images."""
        return self.stored if self.rows is None else self.stored[self.rows]

    @property
    def whole(self) -> "Embedded":
        """The images with only the first view of each."""
        stored = self.stored if self.stored.ndim == 2 else self.stored[:, 0]
        return Embedded(stored, self.labels, self.rows)

    @property
    def plain(self) -> np.ndarray:
        """Float32 [n, d], embeddings of the images as evaluation sees them."""
        return self.whole.embeddings

    @property
    def averaged(self) -> np.ndarray:
        """Float32 [n, d] of unit length, the mean over the views of each image."""
        embeddings = self.embeddings
        return embeddings if embeddings.ndim == 2 else unit_vectors.mean(embeddings)

    def take(self, indices: np.ndarray) -> "Embedded":
        """Some of the images; embeddings are not copied."""
        rows = indices if self.rows is None else self.rows[indices]
        return Embedded(self.stored, self.labels[indices], rows)

    def of_classes(self, first: int, last: int) -> "Embedded":
        """The images of classes first..last-1."""
        return self.take(np.flatnonzero((self.labels >= first) & (self.labels < last)))

    def pieces(self, row_bytes: int = 0) -> Iterator["Embedded"]:
        """The images, some at a time.

        Args:
          row_bytes: of what is computed for each; if more than the embeddings, it decides how many.
        """
        needed = max(row_bytes, self.stored[:1].nbytes)
        for piece in large_arrays.pieces(len(self.labels), needed):
            yield self.take(np.arange(piece.start, piece.stop))
