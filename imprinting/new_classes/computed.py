"""What a network computes from the photos of new classes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from imprinting.base import large_arrays
from imprinting.embedding import unit_vectors
from imprinting.embedding.linear_embedding import LinearEmbedding


class Computed(NamedTuple):
    """Results for n photos in v views each; those of photos that cannot be read are 0.

    Arrays of many photos are in files; see `large_arrays.gather`.

    Attributes:
      embeddings: float32 [n, v, e], of unit length.
      features: what the embedding is a function of, float32 [n, v, d].
      bad: the reasons why photos cannot be read, by index.
    """

    embeddings: np.ndarray
    features: np.ndarray
    bad: Mapping[int, str]

    def embedded(self, embedding: LinearEmbedding | None) -> np.ndarray:
        """The embeddings, or those of another embedding, [n, v, e] of unit length."""
        if embedding is None:
            return self.embeddings
        # In float32: features are rounded to eight bits anyway.
        kernel, mean = embedding.kernel.astype(np.float32), embedding.mean.astype(np.float32)
        return unit_vectors.unit((self.features - mean) @ kernel.T)

    def by_class(
        self, photos: Mapping[str, Sequence[int]], embedding: LinearEmbedding | None
    ) -> dict[str, np.ndarray]:
        """One embedding for each photo; see `unit_vectors.mean`.

        Args:
          photos: the indices of each class's photos, by the class's name; at least one photo.
          embedding: see `embedded`.

        Returns:
          float32 [m, e] for the m photos of each class, by the class's name.
        """
        chosen = np.concatenate([np.asarray(indices, np.int64) for indices in photos.values()])
        row_bytes = self.embeddings[0].nbytes + self.features[0].nbytes

        def some(piece: slice) -> np.ndarray:
            rows = chosen[piece]
            part = Computed(self.embeddings[rows], self.features[rows], {})
            return unit_vectors.mean(part.embedded(embedding))

        pieces = large_arrays.pieces(len(chosen), row_bytes)
        (found,) = large_arrays.gather([some(piece)] for piece in pieces)
        ends = np.cumsum([len(indices) for indices in photos.values()])
        return dict(zip(photos, np.split(found, ends[:-1]), strict=True))
