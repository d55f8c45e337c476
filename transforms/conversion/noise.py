"""Relaxes the limits of agreement for networks whose own rounding noise exceeds them.

A quantised network rounds after every layer. If two implementations differ in a last bit, because
one rounds a bias to 32 bits or a product twice, a few values are rounded to the neighbouring
quantum. The next layer spreads the difference to many more values, and after some layers it is as
large as the rounding noise of the entire network. The size of this noise depends on the network: on
the number of values that its layers and its average pool add up, and on the spread of these values.

TFLite's reference kernels and its default kernels are two such implementations. Both are correct by
definition. If they differ from each other by more than a limit allows, no computation can be within
the limit of both. The limit is then 1.25 times their difference, and 2.5 times for the worst image,
but never beyond a bound that every correct model meets. The limit for the top class is never
relaxed: a network that cannot meet it is not suitable for eight bits.
"""

import dataclasses
from collections.abc import Sequence

from transforms.conversion.agreement_figures import Figure

# Both kinds of kernels round biases to 32 bits, and the graph does not, so it may differ more from
# either than they do from each other: by up to 1.17 times in product_matrix_test.
_FACTOR = 1.25
# The worst of many images depends on chance, and is not always the same image: the ratio was 1.30
# and 1.54 for networks of groceries, and 2.17 for one of digits. This factor does not apply to the
# worst eighth, for which the ratio was 1.04 and 1.11 for groceries.
_FACTOR_OF_THE_WORST = 2.5


@dataclasses.dataclass(frozen=True)
class _Allowance:
    """How far a limit may be relaxed.

    Attributes:
      best: the figure of two computations that agree exactly.
      last: the most tolerant limit.
      factor: by which the difference between the two kinds of kernels is multiplied.
    """

    best: float
    last: float
    factor: float = _FACTOR


_ALLOWANCES = {
    "logits_p99": _Allowance(0, 12),
    "embedding_cosine_mean": _Allowance(1, 0.95),
    "embedding_cosine_worst": _Allowance(1, 0.9, _FACTOR_OF_THE_WORST),
    "embedding_cosine_worst_eighth": _Allowance(1, 0.9),
}


def allow(figures: Sequence[Figure], kernel_disagreement: Sequence[Figure]) -> list[Figure]:
    """Returns figures with the limits that the network's noise allows.

    Args:
      figures: the .tflite compared with the graph.
      kernel_disagreement: the same figures for the reference kernels compared with the default
        ones.

    Returns:
      The figures with their kernel disagreement. The limit is relaxed only if the kernels'
      difference, multiplied by the factor above, is outside the usual limit.
    """
    values = {figure.name: figure.value for figure in kernel_disagreement}
    return [_allow(figure, values.get(figure.name)) for figure in figures]


def _allow(figure: Figure, kernel_disagreement: float | None) -> Figure:
    allowance = _ALLOWANCES.get(figure.name)
    if kernel_disagreement is None or allowance is None or figure.limit is None:
        return figure
    relaxed = allowance.best + allowance.factor * (kernel_disagreement - allowance.best)
    if figure.at_least:
        limit = min(figure.limit, max(relaxed, allowance.last))
    else:
        limit = max(figure.limit, min(relaxed, allowance.last))
    return dataclasses.replace(figure, limit=limit, kernel_disagreement=kernel_disagreement)
