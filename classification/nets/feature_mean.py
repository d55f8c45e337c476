"""The mean of a network's features, according to batch norm, without any image."""

import math
from collections.abc import Mapping

import numpy as np

_RELU6 = 6.0


def of_relu6(values: Mapping[str, np.ndarray], batch_norm: str) -> np.ndarray:
    """The mean of each channel after batch norm and Relu6, float64 [channels].

    Batch norm gives each channel the mean beta and the standard deviation |gamma| (Ioffe and
    Szegedy, arXiv 1502.03167, section 3). A normal distribution is assumed.

    Args:
      values: the values of variables, by name.
      batch_norm: what the names of the batch norm's beta and gamma begin with.
    """
    beta, gamma = (values[f"{batch_norm}/{name}"].astype(np.float64) for name in ("beta", "gamma"))
    return np.array([_mean(b, abs(g)) for b, g in zip(beta, gamma, strict=True)])


def _mean(mean: float, deviation: float) -> float:
    """The mean of Relu6 of a normal distribution."""
    if not deviation:
        return min(max(mean, 0.0), _RELU6)
    low, high = -mean / deviation, (_RELU6 - mean) / deviation

    def below(x: float) -> float:
        return 0.5 * (1 + math.erf(x / math.sqrt(2)))

    def density(x: float) -> float:
        return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    inside = mean * (below(high) - below(low)) + deviation * (density(low) - density(high))
    return inside + _RELU6 * (1 - below(high))
