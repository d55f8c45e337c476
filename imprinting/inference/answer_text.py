"""Shows the answers of a classifier in a terminal."""

from collections.abc import Sequence

from imprinting.inference.photo_classifier import Answer
from imprinting.photos import class_folders

_UNKNOWN = "unknown"


def block(path: str, answers: Sequence[Answer], *, threshold: float = 0.0) -> str:
    """Returns a photo's path and answers, one per line.

    Args:
      path: the photo's.
      answers: the most probable classes, the most probable first; at least one.
      threshold: if the first has a lower probability, the answer is `unknown`.
    """
    best = answers[0]
    if best.probability < threshold:
        lines = [f"{_UNKNOWN} (the best class is {best.label}, {digits(best.probability)})"]
    else:
        lines = [f"{digits(answer.probability):>4}  {answer.label}" for answer in answers]
    return "\n".join([class_folders.printable(path), *(f"  {line}" for line in lines)])


def digits(probability: float) -> str:
    """Returns a probability with two digits, as `.83`.

    A quantised model's probabilities are multiples of 1/256 = .004, and a third digit would mean
    little. A probability that rounds to 0 or 1, of which such a model cannot be so sure, is given
    as `<.01` or `>.99`.
    """
    text = f"{probability:.2f}"
    return {"0.00": "<.01", "1.00": ">.99"}.get(text, text.removeprefix("0"))
