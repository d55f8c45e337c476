"""Vectors of unit length, and means of them."""

import numpy as np


def mean(embeddings: np.ndarray) -> np.ndarray:
    """One embedding for each image, so that all images have the same weight.

    Args:
      embeddings: float [n, v, d] of unit length, of v views of each image.

    Returns:
      [n, d] of the same type: for a single view, its embedding, unchanged; for several views, their
      mean, scaled to unit length.
    """
    if embeddings.shape[1] == 1:
        return embeddings[:, 0]
    return unit(embeddings.mean(axis=1))


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors along the last axis, scaled to unit length."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
