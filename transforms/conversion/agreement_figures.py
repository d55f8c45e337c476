"""The figures that compare a .tflite with the graph that it was made from, and their limits.

For a quantised model:

- logits, in quanta of the .tflite's logits: the absolute difference at the 99th percentile over all
  images and classes, and the largest;
- embedding: the cosine between the two: its mean over the images, the worst image, and the mean
  over the worst eighth of the images, which does not depend on a single image;
- top-1: the fraction of images with the same top class, by logits, since a softmax in uint8 has
  many ties. Logits are multiples of a quantum on both sides, so they have ties, too, and the order
  of equal logits means nothing: an image counts as equal if one of the .tflite's top classes is one
  of the graph's. The fraction of images with ties on either side is another figure.

The limits are relaxed for networks whose own rounding noise is above them (noise.py).

For a float model: the largest absolute difference of probabilities, and the largest absolute
differences of embedding and logits, relative to the largest absolute value.
"""

import dataclasses

import numpy as np

# Somewhat below 512, to allow for the rounding of logits.
_MAX_SUM = 500


@dataclasses.dataclass(frozen=True)
class Figure:
    """A measured value and its limit.

    Attributes:
      name: its name in the report.
      says: what it is, as a part of a sentence.
      value: the measured value.
      limit: the limit; None if the value is only reported.
      at_least: whether the limit is the lowest allowed value rather than the highest.
      kernel_disagreement: the same figure for the reference kernels, compared with the default
        kernels instead of the graph; see `noise`.
    """

    name: str
    says: str
    value: float
    limit: float | None = None
    at_least: bool = False
    kernel_disagreement: float | None = None

    @property
    def within_limit(self) -> bool:
        """Whether the value is within its limit; NaN never is."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def bound(self) -> str:
        """The limit as text; empty if there is none."""
        if self.limit is None:
            return ""
        return f"at {'least' if self.at_least else 'most'} {self.limit:g}"

    def __str__(self) -> str:
        """A sentence with what was expected and what was measured."""
        text = f"{self.name}: expected {self.says} to be {self.bound}, got {self.value:.5g}"
        if self.kernel_disagreement is None:
            return text
        return f"{text} (between reference and default kernels, {self.kernel_disagreement:.5g})"


@dataclasses.dataclass(frozen=True)
class Outputs:
    """The outputs of a graph or a TFLite model for n images, as real numbers, float32.

    Attributes:
      embedding: [n, d].
      logits: [n, classes].
      probabilities: [n, classes].
    """

    embedding: np.ndarray
    logits: np.ndarray
    probabilities: np.ndarray


def require_peaks(logits: np.ndarray) -> None:
    """Checks logits [n, classes] for TFLite's reference softmax in uint8.

    It aborts the process if the sum of exp(logit - highest logit) is 512 or more, which overflows
    its 31 bits; that is, if no class has a probability above 1/512.

    Raises:
      ValueError: if the softmax would abort, or nearly so.
    """
    sums = np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)
    if sums.max() >= _MAX_SUM:
        raise ValueError(
            f"expected a network that distinguishes classes, got one whose most likely class has a "
            f"probability of {1 / sums.max():.2g} for some image, too little for TFLite's "
            "reference softmax in uint8; train it for longer, or with fewer classes"
        )


def compare(got: Outputs, expected: Outputs, *, logits_quantum: float | None) -> list[Figure]:
    """Compares the outputs of a .tflite with those of the graph; see the module's docstring.

    Args:
      got: the outputs of the .tflite.
      expected: the outputs of the graph for the same images.
      logits_quantum: the scale of the .tflite's logits; None for a float model.
    """
    if logits_quantum is None:
        return _float(got, expected)
    return _quantised(got, expected, logits_quantum)


def _quantised(got: Outputs, expected: Outputs, quantum: float) -> list[Figure]:
    quanta = np.abs(got.logits - expected.logits) / quantum
    norms = np.linalg.norm(got.embedding, axis=1) * np.linalg.norm(expected.embedding, axis=1)
    # An embedding of zeros has no direction: its cosine is 0.
    cosines = np.sum(got.embedding * expected.embedding, axis=1) / np.maximum(norms, 1e-9)
    first = [o.logits == o.logits.max(axis=1, keepdims=True) for o in (got, expected)]
    equal = np.any(first[0] & first[1], axis=1)
    tied = np.any([np.sum(f, axis=1) > 1 for f in first], axis=0)
    return [
        Figure(
            "logits_p99",
            "the logits' difference at the 99th percentile, in quanta,",
            float(np.percentile(quanta, 99)),
            5,
        ),
        Figure("logits_max", "the logits' largest difference, in quanta,", float(quanta.max())),
        Figure(
            "embedding_cosine_mean",
            "the embedding's cosine on average",
            float(cosines.mean()),
            0.999,
            at_least=True,
        ),
        Figure(
            "embedding_cosine_worst",
            "the embedding's cosine on the worst image",
            float(cosines.min()),
            0.995,
            at_least=True,
        ),
        Figure(
            "embedding_cosine_worst_eighth",
            "the embedding's cosine on the worst eighth of the images, on average,",
            float(np.sort(cosines)[: -(-len(cosines) // 8)].mean()),
            0.995,
            at_least=True,
        ),
        Figure(
            "top1_equal",
            "the fraction of images on which the same class is first",
            float(equal.mean()),
            0.97,
            at_least=True,
        ),
        Figure(
            "top1_tied", "the fraction of images with several classes first", float(tied.mean())
        ),
    ]


def _float(got: Outputs, expected: Outputs) -> list[Figure]:
    def largest(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(a - b).max())

    return [
        Figure(
            "probabilities_max",
            "the probabilities' largest difference",
            largest(got.probabilities, expected.probabilities),
            1e-4,
        ),
        Figure(
            "embedding_max",
            "the embedding's largest difference, in proportion,",
            largest(got.embedding, expected.embedding) / float(np.abs(expected.embedding).max()),
            1e-4,
        ),
        Figure(
            "logits_max",
            "the logits' largest difference, in proportion,",
            largest(got.logits, expected.logits) / float(np.abs(expected.logits).max()),
            1e-4,
        ),
    ]
