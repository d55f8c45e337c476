"""How many photos of class folders are recognised, and which classes are taken for others."""

import collections
import os
from collections.abc import Collection, Sequence
from typing import NamedTuple

from imprinting.base.labels import normalised

_MOST_CONFUSIONS = 10


class Count(NamedTuple):
    """Photos of a class.

    Attributes:
      label: the class.
      right: how many of its photos are recognised.
      total: how many photos it has.
    """

    label: str
    right: int
    total: int


class Confusion(NamedTuple):
    """Photos of a class that are taken for another.

    Attributes:
      label: the class.
      taken_for: the other.
      photos: how many photos.
      total: how many photos the class has.
    """

    label: str
    taken_for: str
    photos: int
    total: int


class Accuracy(NamedTuple):
    """The figures.

    Attributes:
      right: how many photos are recognised.
      total: how many photos there are, at least 1.
      classes: each class, by name.
      confusions: all of them, the most frequent first.
    """

    right: int
    total: int
    classes: tuple[Count, ...]
    confusions: tuple[Confusion, ...]


def of(answers: Sequence[tuple[str, str]]) -> Accuracy:
    """Counts.

    Args:
      answers: for each photo, its class and the class that it is taken for; at least one photo.
    """
    totals = collections.Counter(label for label, _ in answers)
    pairs = collections.Counter(answers)
    confusions = [
        Confusion(label, other, count, totals[label])
        for (label, other), count in pairs.items()
        if label != other
    ]
    return Accuracy(
        sum(label == other for label, other in answers),
        len(answers),
        tuple(Count(label, pairs[label, label], totals[label]) for label in sorted(totals)),
        tuple(sorted(confusions, key=lambda c: (-c.photos, c.label, c.taken_for))),
    )


def class_of(path: str, labels: Collection[str]) -> str | None:
    """The class in whose folder a photo is; None if the folder has not the name of a class.

    Args:
      path: the photo's.
      labels: the names of the classes, in Unicode's form NFC.
    """
    name = normalised(os.path.basename(os.path.dirname(os.path.abspath(path))))
    return name if name in labels else None


def text(accuracy: Accuracy) -> str:
    """The accuracy and the most frequent confusions, in lines for a terminal."""
    lines = [
        f"{accuracy.right:,} of {accuracy.total:,} photos are recognised: "
        f"{accuracy.right / accuracy.total:.1%}."
    ]
    shown = accuracy.confusions[:_MOST_CONFUSIONS]
    if shown:
        lines.append("Most often taken for another class:")
        lines += [f"  {c.photos:,} of {c.total:,}  {c.label} for {c.taken_for}" for c in shown]
    return "\n".join(lines)
