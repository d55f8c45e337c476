"""Embeddings of unit length, of one view of an image or of several."""

import numpy as np


def mean(embeddings: np.ndarray) -> np.ndarray:
    """One embedding for each image, so that all weigh the same, whatever their number of views.

    Args:
      embeddings: float [n, v, d] of unit length, of v views of each image.

    Returns:
      Of the same type, [n, d]: a single view's as it is; the mean of several, of unit length.
    """
    if embeddings.shape[1] == 1:
        return embeddings[:, 0]
    return unit(embeddings.mean(axis=1))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors, brought to unit length along the last axis."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
