"""How well the classes of a project are told apart, by photos that were left out.

A class's vector is the mean of its photos' embeddings, scaled to unit length, so leaving a photo
out is a subtraction (Qi, Brown and Lowe, arXiv 1712.07136, section 3.2, for the vectors).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from imprinting.embedding import unit_vectors

MOST_SUSPECTS = 24
_KEPT = "kept classes"


class Suspect(NamedTuple):
    """A photo that looks more like another class than like its own.

    Attributes:
      photo: its number among all photos.
      likely: the number of that class.
      margin: how much larger its cosine with that class is.
    """

    photo: int
    likely: int
    margin: float


class Quality(NamedTuple):
    """The results for n photos of k new classes, beside c kept ones.

    Attributes:
      labels: int [n], the class of each photo, in 0..k - 1.
      answers: int [n], the most similar class of each photo: in 0..k - 1, or k and more for kept
        classes; -1 for the only photo of a class.
      suspects: the photos that are most likely to be in the wrong class, the worst first.
    """

    labels: np.ndarray
    answers: np.ndarray
    suspects: list[Suspect]

    def accuracy(self, number: int | None = None) -> float | None:
        """The fraction of photos that are recognised, of one class or of all; None without any."""
        chosen = self.answers >= 0
        if number is not None:
            chosen &= self.labels == number
        if not chosen.any():
            return None
        return float((self.answers[chosen] == self.labels[chosen]).mean())

    @property
    def num_photos(self) -> int:
        """The number of photos that could be left out."""
        return int((self.answers >= 0).sum())

    def confusion(self, num_classes: int) -> np.ndarray:
        """How many photos of each class (rows) were taken for each class (columns).

        Args:
          num_classes: k.

        Returns:
          int [k, k + 1]; the last column is that of all kept classes.
        """
        counts = np.zeros([num_classes, num_classes + 1], np.int64)
        chosen = self.answers >= 0
        columns = np.minimum(self.answers[chosen], num_classes)
        np.add.at(counts, (self.labels[chosen], columns), 1)
        return counts

    def table(self, names: Sequence[str]) -> tuple[list[str], list[str], np.ndarray]:
        """The confusion matrix with names.

        Args:
          names: of the new classes, in order.

        Returns:
          The names of the rows, those of the columns, and the counts; with a column for all kept
          classes if a photo was taken for one of them.
        """
        counts = self.confusion(len(names))
        if counts[:, -1].any():
            return [*names], [*names, _KEPT], counts
        return [*names], [*names], counts[:, :-1]


def leave_one_out(embeddings: Sequence[np.ndarray], kept: np.ndarray) -> Quality:
    """Classifies each photo with the class vector that its class would have without it.

    Args:
      embeddings: of the photos of each class, float [n, d] of unit length, n at least 1.
      kept: the vectors of kept classes, float [c, d] of unit length; c may be 0.
    """
    counts = np.array([len(each) for each in embeddings])
    if not len(counts):
        return of_cosines([], np.zeros([0, len(kept)]), np.zeros(0, np.int64))
    labels = np.repeat(np.arange(len(counts)), counts)
    points = np.concatenate([*embeddings]).astype(np.float32)
    sums = np.stack([each.sum(axis=0) for each in embeddings]).astype(np.float32)
    own = unit_vectors.unit(sums[labels] - points)
    cosines = points @ np.concatenate([unit_vectors.unit(sums), kept.astype(np.float32)]).T
    rows = np.arange(len(labels))
    cosines[rows, labels] = (own * points).sum(axis=1)
    numbers = rows[counts[labels] > 1]
    return of_cosines([*counts], cosines[numbers], numbers)


def of_cosines(counts: Sequence[int], cosines: np.ndarray, photos: np.ndarray) -> Quality:
    """The results of photos that were left out.

    Args:
      counts: the number of photos of each class, [k].
      cosines: of photos with classes that were made without them, float [m, k + c].
      photos: the numbers of these photos among all, int [m].
    """
    labels = np.repeat(np.arange(len(counts)), counts)
    answers = np.full(len(labels), -1)
    if not len(photos):
        return Quality(labels, answers, [])
    cosines = cosines.copy()
    rows, own = np.arange(len(photos)), labels[photos]
    mine = cosines[rows, own]
    cosines[rows, own] = -np.inf
    others = cosines.argmax(axis=1)
    margins = cosines[rows, others] - mine
    answers[photos] = np.where(margins > 0, others, own)
    worst = [row for row in np.argsort(-margins, kind="stable") if margins[row] > 0]
    suspects = [
        Suspect(int(photos[row]), int(others[row]), float(margins[row]))
        for row in worst[:MOST_SUSPECTS]
    ]
    return Quality(labels, answers, suspects)
