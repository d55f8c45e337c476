"""Limits of agreement, for networks whose own rounding noise is above them.

A quantised network rounds after every layer. Two computations of it that differ in a last
bit somewhere, a bias rounded to 32 bits, a product rounded twice, come to neighbouring
values in a few places; the next layer has the difference in many more; after some layers it
is as large as all of the network's rounding. How large that is depends on the network: on
how many values its layers and its average pool sum up, and on how far they are apart.

TFLite's reference kernels and its default ones are two such computations, both right by
definition. Where they differ from each other by more than a limit allows, no computation can
keep that limit against both of them. The limit is then a quarter as far again as they differ, on
the worst image two and a half times as far; and never beyond what only a wrong model would miss.
Which class comes first has no such allowance: a network that cannot keep that is not fit for eight
bits.
"""

import dataclasses
from collections.abc import Sequence

from transforms.conversion.agreement import Figure

# Both kinds of kernels round biases to 32 bits, which the graph does not: it may be farther from
# either than they are from one another. Seen were factors of up to 1.17 (product_matrix_test).
_FACTOR = 1.25
# The worst of many images is a matter of luck, and not the same image each time: networks of
# groceries came to 1.30 and 1.54, one of digits to 2.17. On the worst eighth, which has no such
# allowance, those of groceries came to 1.04 and 1.11.
_FACTOR_OF_THE_WORST = 2.5


@dataclasses.dataclass(frozen=True)
class _Allowance:
    """How far a limit may give way.

    Attributes:
      best: what the figure is where two computations agree in all.
      last: what the limit is at the most tolerant.
      factor: of what the two kinds of kernels differ by.
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


def allow(figures: Sequence[Figure], among: Sequence[Figure]) -> list[Figure]:
    """Figures with the limits that the network's noise allows.

    Args:
      figures: of the .tflite, compared with the graph.
      among: the same of the reference kernels, compared with the default ones.

    Returns:
      The figures, with what is found `among` the kernels, and a limit that is the usual one
      wherever they keep it among themselves with that factor to spare.
    """
    own = {figure.name: figure.value for figure in among}
    return [_allow(figure, own.get(figure.name)) for figure in figures]


def _allow(figure: Figure, among: float | None) -> Figure:
    allowance = _ALLOWANCES.get(figure.name)
    if among is None or allowance is None or figure.limit is None:
        return figure
    own = allowance.best + allowance.factor * (among - allowance.best)
    if figure.at_least:
        limit = min(figure.limit, max(own, allowance.last))
    else:
        limit = max(figure.limit, min(own, allowance.last))
    return dataclasses.replace(figure, limit=limit, among=among)
