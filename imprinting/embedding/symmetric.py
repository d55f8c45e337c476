"""Eigenvalues of symmetric matrices."""

import numpy as np
import threadpoolctl


def eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvalues and eigenvectors of a symmetric matrix; see `np.linalg.eigh`.

    Args:
      matrix: float64 [d, d], finite.

    Returns:
      The eigenvalues, float64 [d], in ascending order, and the eigenvectors, the columns of
      float64 [d, d].
    """
    # The reduction to a tridiagonal matrix has d steps, in each of which OpenBLAS's threads wait
    # actively for each other. If another process takes one's core, that lasts for its whole turn:
    # on a busy machine, two threads take ten times as long as one.
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        values, vectors = np.linalg.eigh(matrix)
    return values, vectors
