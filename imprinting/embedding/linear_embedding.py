"""Embeddings that are a linear function of a network's features, in closed form.

An embedding K (x - m) of features x makes distances those of a metric S: |K (x - y)|^2 is
(x - y)' S^-1 (x - y) if K'K = S^-1. With the covariance of features of all kinds of photos as S,
features are whitened: directions in which all photos vary count less. With the covariance within
the classes, the embedding is that of linear discriminant analysis. A mixture of matrices is a
regularised estimate (Hastie, Buja and Tibshirani, "Penalized Discriminant Analysis", Annals of
Statistics 1995, section 2; Ledoit and Wolf, "A Well-Conditioned Estimator for Large-Dimensional
Covariance Matrices", 2004, section 2, for mixtures with the identity).

All is computed in float64. The results of different processors differ in the last digits, so
callers round once, to far fewer.
"""

import dataclasses
import functools

import numpy as np

from imprinting.embedding import symmetric, unit_vectors

# Below this fraction of the greatest eigenvalue, that of a metric is only rounding error.
_LEAST_EIGENVALUE = 1e-9
# Of the length of biases: more than rounding leaves, and less than matters.
_LEAST_REST = 0.02
_ROTATION_SEED = 0
_LEAST_SHRINKAGE = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class LinearEmbedding:
    """The embedding K (x - m) of features x, before it is scaled to unit length.

    Attributes:
      kernel: K, float64 [e, d], e at least d, of rank d.
      mean: m, float64 [d].
    """

    kernel: np.ndarray
    mean: np.ndarray

    @classmethod
    def of_metric(cls, metric: np.ndarray, mean: np.ndarray, *, size: int) -> "LinearEmbedding":
        """The embedding of a metric, in randomly rotated axes.

        Its components then have similar variances and so suffer equally from rounding to one
        quantum. The rotation is always the same.

        Args:
          metric: S, float64 [d, d], symmetric and positive definite, except for rounding.
          mean: m, float64 [d].
          size: e, at least d.

        Raises:
          ValueError: if the metric has a NaN, or is 0.
        """
        values, vectors = symmetric.eigh(_finite(metric))
        if not values[-1] > 0:
            raise ValueError("expected features that vary, got ones that are always the same")
        values = np.maximum(values, _LEAST_EIGENVALUE * values[-1])
        whitening = (vectors / np.sqrt(values)) @ vectors.T
        return cls(_rotation(size, len(metric)) @ whitening, mean)

    @classmethod
    def of_layer(cls, kernel: np.ndarray, biases: np.ndarray) -> "LinearEmbedding":
        """The embedding that a layer K x + b computes.

        Args:
          kernel: K, float [e, d], of rank d.
          biases: b, float [e].

        Raises:
          ValueError: if there are fewer outputs than features, or b is not -K m for any m.
        """
        if kernel.shape[0] < kernel.shape[1]:
            raise ValueError(
                f"expected an embedding of at least as many components as features, got "
                f"{kernel.shape[0]} of {kernel.shape[1]}"
            )
        kernel = np.asarray(kernel, np.float64)
        values, vectors = symmetric.eigh(kernel.T @ kernel)
        values = np.maximum(values, _LEAST_EIGENVALUE * max(float(values[-1]), 1e-30))
        mean = (vectors / values) @ (vectors.T @ (kernel.T @ -biases))
        rest = np.linalg.norm(kernel @ mean + biases)
        if rest > _LEAST_REST * np.linalg.norm(biases):
            raise ValueError(
                "expected an embedding of features minus their mean, got one with biases that are "
                "something else"
            )
        return cls(kernel, mean)

    @property
    def metric(self) -> np.ndarray:
        """S, float64 [d, d].

        Raises:
          ValueError: if the kernel has not the rank d, so that there is none.
        """
        values, vectors = symmetric.eigh(self.kernel.T @ self.kernel)
        if not values[0] > _LEAST_EIGENVALUE * values[-1]:
            raise ValueError(
                "expected an embedding that keeps all features apart, got one of lower rank"
            )
        return (vectors / values) @ vectors.T

    def of(self, features: np.ndarray) -> np.ndarray:
        """The embeddings of features [..., d], float64 [..., e]."""
        return (features - self.mean) @ self.kernel.T


def mixture(first: np.ndarray, second: np.ndarray, weight: float) -> np.ndarray:
    """(1 - weight) first + weight second, each scaled to a mean eigenvalue of 1 before.

    Args:
      first: float64 [d, d], symmetric and positive semidefinite.
      second: the same. If it is 0, the result is the first alone, scaled.
      weight: that of the second, in 0..1.

    Raises:
      ValueError: if the first is 0.
    """
    scaled = []
    for matrix in (first, second):
        trace = np.trace(_finite(matrix)) / len(matrix)
        scaled.append(matrix / trace if trace > 0 else None)
    if scaled[0] is None:
        raise ValueError("expected features that vary, got ones that are always the same")
    if scaled[1] is None:
        return scaled[0]
    return (1 - weight) * scaled[0] + weight * scaled[1]


def whitened(covariance: np.ndarray, count: int | None = None) -> np.ndarray:
    """The metric of the covariance of all kinds of photos, mixed with the identity.

    The weight of the identity is at least 0.5, with which 500 photos gave the best accuracy. For
    fewer photos it is more: that of the oracle approximating shrinkage estimator (Chen, Wiesel,
    Eldar and Hero, "Shrinkage Algorithms for MMSE Covariance Estimation", 2010, equation 23), which
    needs no sums of fourth powers, as that of Ledoit and Wolf does, and is within 0.06 of it here.

    Args:
      covariance: C, float64 [d, d]; it may be 0.
      count: the number of photos; None for many.
    """
    d = len(covariance)
    weight = _LEAST_SHRINKAGE
    trace, squares = np.trace(_finite(covariance)), float((covariance * covariance).sum())
    spread = squares - trace * trace / d
    if count is not None and spread > 0:
        numerator = (1 - 2 / d) * squares + trace * trace
        weight = max(weight, min(1.0, numerator / ((count + 1 - 2 / d) * spread)))
    return mixture(np.eye(d), covariance, 1 - weight)


def map_functionals(vectors: np.ndarray, old: LinearEmbedding, new: LinearEmbedding) -> np.ndarray:
    """Maps the class vectors of a trained layer to another embedding, where they say the same.

    The logit u . K (x - m) is the linear function w . (x - m) with w = K'u. For the new kernel L,
    the same function has the vector L (L'L)^-1 w.

    Args:
      vectors: u, float [n, e].
      old: their embedding.
      new: the other one.

    Returns:
      float64 [n, e'], of unit length.
    """
    return unit_vectors.unit(vectors @ old.kernel @ new.metric @ new.kernel.T)


def map_means(vectors: np.ndarray, old: LinearEmbedding, new: LinearEmbedding) -> np.ndarray:
    """Maps imprinted class vectors, which are means of embeddings, to another embedding.

    K (x - m) becomes L (x - m), with the kernels K and L. This is exact for the embeddings
    before they are scaled to unit length, and approximate for the means of scaled ones.

    Args:
      vectors: float [n, e].
      old: their embedding.
      new: the other one.

    Returns:
      float64 [n, e'], of unit length.
    """
    return unit_vectors.unit(vectors @ old.kernel @ old.metric @ new.kernel.T)


@functools.lru_cache(1)
def _rotation(rows: int, columns: int) -> np.ndarray:
    """A random matrix [rows, columns] with orthonormal columns; it must not be changed."""
    if rows < columns:
        raise ValueError(f"expected an embedding of at least {columns} components, got {rows}")
    draws = np.random.Generator(np.random.PCG64(_ROTATION_SEED)).standard_normal([rows, columns])
    with symmetric.one_thread():
        orthonormal, triangle = np.linalg.qr(draws)
    # Makes the decomposition unique (Mezzadri, "How to Generate Random Matrices from the Classical
    # Compact Groups", 2007, section 5).
    return orthonormal * np.where(np.diag(triangle) < 0, -1.0, 1.0)


def _finite(matrix: np.ndarray) -> np.ndarray:
    if not np.isfinite(matrix).all():
        raise ValueError("expected finite covariances, got NaN or infinity")
    return matrix
