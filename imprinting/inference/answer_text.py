"""Shows the answers of a classifier: for people, or as JSON or CSV."""

import csv
import io
import json
from collections.abc import Sequence

from imprinting.inference.photo_classifier import Answer
from imprinting.photos import class_folders

_UNKNOWN = "unknown"

# Paths of photos, and the most probable classes of each, the most probable first.
Answers = Sequence[tuple[str, Sequence[Answer]]]


def blocks(answers: Answers, *, threshold: float = 0.0) -> str:
    """Returns a block of lines for each photo; see `block`."""
    return "\n\n".join(block(path, each, threshold=threshold) for path, each in answers)


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


def json_lines(answers: Answers, *, threshold: float = 0.0) -> str:
    """Returns a JSON object for each photo, one per line.

    It has the photo's path; whether it is known, which means that its best class has at least the
    probability `threshold`; and its answers.
    """
    return "\n".join(
        json.dumps(
            {
                "photo": class_folders.printable(path),
                "known": each[0].probability >= threshold,
                "answers": [answer._asdict() for answer in each],
            },
            ensure_ascii=False,
        )
        for path, each in answers
    )


def csv_table(answers: Answers, *, threshold: float = 0.0) -> str:
    """Returns a table with the columns photo, known, rank, label and probability.

    `known` is true or false: whether the photo's best class has at least the probability
    `threshold`.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["photo", "known", "rank", *Answer._fields])
    for path, each in answers:
        known = json.dumps(each[0].probability >= threshold)
        for rank, answer in enumerate(each, start=1):
            writer.writerow([class_folders.printable(path), known, rank, *answer])
    return file.getvalue().removesuffix("\n")


def digits(probability: float) -> str:
    """Returns a probability with two digits, as `.83`.

    A quantised model's probabilities are multiples of 1/256 = .004, and a third digit would mean
    little. A probability that rounds to 0 or 1, of which such a model cannot be so sure, is given
    as `<.01` or `>.99`.
    """
    text = f"{probability:.2f}"
    return {"0.00": "<.01", "1.00": ">.99"}.get(text, text.removeprefix("0"))
