"""Eigenvalues of symmetric matrices, and linear algebra in one thread."""

import contextlib

import numpy as np
import threadpoolctl


def one_thread() -> contextlib.AbstractContextManager[object]:
    """Within it, linear algebra uses one thread.

    Many decompositions have a step for each row, in each of which OpenBLAS's threads wait actively
    for each other. If another process takes one's core, that lasts for its whole turn: on a busy
    machine, two threads take ten times as long as one.
    """
    return threadpoolctl.threadpool_limits(1, user_api="blas")


def eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvalues and eigenvectors of a symmetric matrix; see `np.linalg.eigh`.

    Args:
      matrix: float64 [d, d], finite.

    Returns:
      The eigenvalues, float64 [d], in ascending order, and the eigenvectors, the columns of
      float64 [d, d].
    """
    with one_thread():
        values, vectors = np.linalg.eigh(matrix)
    return values, vectors
