"""From cosines to probabilities: the scale factor of the softmax, and how good the results are."""

from collections.abc import Iterator

import numpy as np

# Numbers of float64 in a chunk: 8 MB in each of a few arrays, however many photos there are.
_CHUNK = 1 << 20
# Enough for any interval of float64 to become shorter than the third digit.
_MOST_STEPS = 60


def likeliest_scale_factor(
    cosines: np.ndarray, labels: np.ndarray, *, greatest: float = 100.0
) -> float:
    """The factor s for which the labels are most likely, if softmax(s cosines) gives probabilities.

    This is temperature scaling with the temperature 1/s (Guo, Pleiss, Sun and Weinberger, "On
    Calibration of Modern Neural Networks", arXiv 1706.04599, section 4.2). The mean log-likelihood
    is concave in s: its first derivative is the mean of c_label - E[c], and its second that of
    -Var[c], for the cosines c of a photo and expectations by the softmax.

    Memory beyond the arguments does not grow with the photos.

    Args:
      cosines: float [n, classes], n and classes at least 1, between photos and class vectors. The
        photos must be held out: class vectors that are means of the photos' own embeddings have too
        large cosines with them.
      labels: int [n], in 0..classes - 1.
      greatest: the greatest factor, at least 1.

    Returns:
      The factor in 1..greatest, rounded to three digits, so that it is the same on all processors.

    Raises:
      ValueError: if a shape is another, a label or `greatest` is out of range, or a cosine is NaN
        or infinite.
    """
    cosines, labels = np.asarray(cosines), np.asarray(labels)
    if cosines.ndim != 2 or not cosines.size:
        raise ValueError(
            f"expected cosines [n, classes] of at least one photo and class, got "
            f"{list(cosines.shape)}"
        )
    if labels.shape != cosines.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"expected integer labels [{len(cosines)}], got {labels.dtype} {list(labels.shape)}"
        )
    if labels.min() < 0 or labels.max() >= cosines.shape[1]:
        raise ValueError(
            f"expected labels in 0..{cosines.shape[1] - 1}, got {labels.min()}..{labels.max()}"
        )
    if not 1 <= greatest < np.inf:
        raise ValueError(f"expected a greatest factor of at least 1, got {greatest}")
    for _, chunk in _chunks(cosines):
        _check_finite("cosines", chunk)

    low, high = 1.0, float(greatest)
    if _slope(cosines, labels, high) >= 0:
        return high
    if _slope(cosines, labels, low) <= 0:
        return low
    for _ in range(_MOST_STEPS):
        if _rounded(low) == _rounded(high):
            break
        middle = (low + high) / 2
        if _slope(cosines, labels, middle) > 0:
            low = middle
        else:
            high = middle
    return min(_rounded(low), float(greatest))


def as_confident(cosines: np.ndarray, logits: np.ndarray, *, greatest: float = 100.0) -> float:
    """The factor s for which softmax(s cosines) is as confident as another classifier.

    Unlike for `likeliest_scale_factor`, the photos may show none of the classes.

    Args:
      cosines: float [n, classes], n and classes at least 1, between photos and class vectors.
      logits: those of the other classifier for the same photos, float [n, m].
      greatest: the greatest factor.

    Returns:
      The factor in 1..greatest, rounded to three digits, with which the highest probabilities of
      the photos are as high as those of the other classifier on average.
    """
    wanted = _confidence(logits)
    low, high = 1.0, greatest
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if _confidence(middle * cosines) > wanted else (middle, high)
    return _rounded(low)


def calibration_error(best: np.ndarray, right: np.ndarray, *, bins: int = 15) -> float:
    """The expected calibration error: how far probabilities are from how often they are right.

    Guo et al., "On Calibration of Modern Neural Networks", arXiv 1706.04599, section 2, equations 3
    and 5, with bins of equal width.

    Args:
      best: float [n], n at least 1: the probability of each photo's most probable class, in 0..1.
      right: bool [n], whether that class is the right one.
      bins: the number of bins, at least 1.

    Returns:
      The error in 0..1; 0 is perfect.

    Raises:
      ValueError: if a shape is another, a probability is out of range or NaN, or `bins` is below 1.
    """
    best, right = _numbers("probabilities", best), np.asarray(right)
    if right.shape != best.shape or right.dtype != np.bool_:
        raise ValueError(
            f"expected bool [{len(best)}] for what is right, got {right.dtype} {list(right.shape)}"
        )
    if best.min() < 0 or best.max() > 1:
        raise ValueError(f"expected probabilities in 0..1, got {best.min()}..{best.max()}")
    if bins < 1:
        raise ValueError(f"expected at least one bin, got {bins}")
    # Bin m holds the probabilities in ((m - 1) / bins, m / bins], and the first also holds 0.
    numbers = np.maximum(np.ceil(best * bins).astype(np.int64) - 1, 0)
    differences = np.bincount(numbers, weights=best - right, minlength=bins)
    return float(np.abs(differences).sum() / len(best))


def roc_area(known: np.ndarray, unknown: np.ndarray) -> float:
    """The area under the ROC curve of scores that should be greater for known than for unknown.

    It is the probability that a known sample has a greater score than an unknown one, where ties
    count half: the statistic of Mann and Whitney (Fawcett, "An Introduction to ROC Analysis",
    Pattern Recognition Letters 2006, section 7).

    Args:
      known: float [n], n at least 1, such as the greatest probability for photos of known classes.
      unknown: float [m], m at least 1.

    Returns:
      The area in 0..1; 0.5 for scores that say nothing.

    Raises:
      ValueError: if a shape is another, or a score is NaN or infinite.
    """
    known = _numbers("scores of known samples", known)
    unknown = np.sort(_numbers("scores of unknown samples", unknown))
    below = np.searchsorted(unknown, known, side="left")
    not_above = np.searchsorted(unknown, known, side="right")
    return float((below + not_above).sum() / (2 * len(known) * len(unknown)))


def _confidence(logits: np.ndarray) -> float:
    """The mean of the highest probabilities of photos, from their logits [n, classes]."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return float((1 / shifted.sum(axis=1)).mean())


def _slope(cosines: np.ndarray, labels: np.ndarray, factor: float) -> float:
    """The derivative of the mean log-likelihood by the factor."""
    total = 0.0
    for begin, chunk in _chunks(cosines):
        right = chunk[np.arange(len(chunk)), labels[begin : begin + len(chunk)]]
        weights = np.exp(factor * (chunk - chunk.max(axis=1, keepdims=True)))
        expected = np.einsum("nc,nc->n", weights, chunk) / weights.sum(axis=1)
        total += float((right - expected).sum())
    return total / len(cosines)


def _chunks(cosines: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Some rows at a time in float64, with the number of the first."""
    rows = max(1, _CHUNK // cosines.shape[1])
    for begin in range(0, len(cosines), rows):
        yield begin, cosines[begin : begin + rows].astype(np.float64)


def _rounded(factor: float) -> float:
    return float(f"{factor:.3g}")


def _numbers(what: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"expected {what} [n], at least one, got {list(values.shape)}")
    _check_finite(what, values)
    return values


def _check_finite(what: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"expected finite {what}, got NaN or infinity")
