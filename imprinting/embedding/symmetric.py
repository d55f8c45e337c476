"""Eigenvalues of symmetric matrices, and linear algebra in one thread."""

import contextlib
import threading
from collections.abc import Iterator

import numpy as np
import threadpoolctl

_lock = threading.Lock()
_users: list[object] = []
_limits: list[threadpoolctl.threadpool_limits] = []


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within it, linear algebra uses one thread.

    Many decompositions have a step for each row, in each of which OpenBLAS's threads wait actively
    for each other. If another process takes the core of one of them, that lasts for its whole turn:
    on a busy machine, two threads take ten times as long as one.

    The limit holds for the process, so it ends with the last of several users.
    """
    me = object()
    with _lock:
        if not _users:
            _limits.append(threadpoolctl.threadpool_limits(1, user_api="blas"))
        _users.append(me)
    try:
        yield
    finally:
        with _lock:
            _users.remove(me)
            if not _users:
                _limits.pop().restore_original_limits()


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
