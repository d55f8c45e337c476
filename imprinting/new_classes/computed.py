"""What a network computes from the photos of new classes."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from imprinting.embedding import unit_vectors
from imprinting.embedding.linear_embedding import LinearEmbedding


class Computed(NamedTuple):
    """Results for n photos in v views each; those of photos that cannot be read are 0.

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
