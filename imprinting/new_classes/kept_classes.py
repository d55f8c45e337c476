"""Checks whether kept classes can still be recognised beside imprinted ones.

All features of a published classifier are positive. Any two photos therefore have a large cosine,
and a mean of features is closer to every photo than a trained class vector is: all photos are
classified as new classes. To detect this, the cosines of photos of the new classes, and of
photographs that show none of them, are enough.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from imprinting.base import large_arrays
from imprinting.embedding import unit_vectors

# Parts of each unrelated photograph: enough for quantiles of 0.1 and 0.9.
PARTS = 16
_LOW, _HIGH = 0.1, 0.9
_CLEARLY = 1.35


@dataclasses.dataclass(frozen=True)
class Cosines:
    """Cosines between photos' embeddings and class vectors, float [photos] unless stated.

    Attributes:
      own: those of photos of new classes with the vector of their own class.
      kept: those of the same photos with the closest kept class.
      others_new: those of parts of unrelated photographs with each new class, [parts, classes].
      others_kept: those of the same parts with the closest kept class.
    """

    own: np.ndarray
    kept: np.ndarray
    others_new: np.ndarray
    others_kept: np.ndarray

    @property
    def lost(self) -> bool:
        """Whether the kept classes can hardly be recognised.

        Take the 0.1 quantile of the cosines of unrelated photographs with each new class, and the
        median of these quantiles over the new classes. The kept classes are lost if it is clearly
        above the 0.9 quantile of all cosines with the closest kept class. On flowers and groceries,
        with 1 to 20 classes and photos, the ratio of the two numbers was 1.5 to 4 for published
        MobileNets, and at most 1.2 for networks that were trained with unit class vectors.
        """
        kept = np.concatenate([self.kept, self.others_kept])
        new = np.median(np.quantile(self.others_new, _LOW, axis=0))
        return bool(new > _CLEARLY * np.quantile(kept, _HIGH))

    @property
    def taken(self) -> str:
        """How many parts of unrelated photographs are closest to a new class."""
        taken = int((self.others_new.max(axis=1) > self.others_kept).sum())
        return f"{taken} of {len(self.others_new)}"

    def __str__(self) -> str:
        """The medians, as a part of a sentence."""
        nearest = self.others_new.max(axis=1)
        own, kept, others_new, others_kept = (
            f"{np.median(values):.2f}"
            for values in (self.own, self.kept, nearest, self.others_kept)
        )
        return (
            f"photos of new classes have a cosine of {own} with the vector of their class and "
            f"{kept} with the closest kept class; parts of unrelated photographs have {others_new} "
            f"with the closest new class and {others_kept} with the closest kept one (medians)"
        )


def compare(kept: np.ndarray, new: Sequence[np.ndarray], others: np.ndarray) -> Cosines:
    """Compares cosines with kept classes and with new ones.

    Args:
      kept: vectors of the kept classes, of unit length, float [k, d], k at least 1.
      new: for each new class, the embeddings of its photos, of unit length, float [n, d].
      others: embeddings of unrelated photographs, of unit length, float [m, d].
    """
    vectors = [unit_vectors.unit(embeddings.mean(axis=0)) for embeddings in new]
    # Some photos at a time: the cosines with all kept classes are many.
    row_bytes = max(kept[:, 0].nbytes, kept[0].nbytes)
    photos = (e[piece] for e in new for piece in large_arrays.pieces(len(e), row_bytes))
    return Cosines(
        own=np.concatenate([e @ vector for e, vector in zip(new, vectors, strict=True)]),
        kept=np.concatenate([(some @ kept.T).max(axis=1) for some in photos]),
        others_new=others @ np.stack(vectors).T,
        others_kept=(others @ kept.T).max(axis=1),
    )


def check(cosines: Cosines, *, allowed: bool) -> str:
    """Describes the cosines in a sentence.

    Args:
      cosines: the result of `compare`.
      allowed: whether kept classes may be lost.

    Raises:
      ValueError: if the kept classes are lost and must not be.
    """
    figures = f"{cosines}, and {cosines.taken} of these would be classified as a new class"
    if not cosines.lost:
        return f"Cosines: {figures}."
    if allowed:
        return f"Warning: the kept classes will hardly be recognised: {figures}."
    raise ValueError(
        "expected new classes beside which the kept ones can still be recognised, got ones that "
        f"take their photos away: {figures}. The embedding was not made for imprinting: leave "
        "--keep_classes out, or make the network again from its checkpoint with IMAGES, which "
        "whitens the embedding, as imprinting/new_classes/README.md says under 'Which networks "
        "can keep their classes', or write the network anyway with --allow_lost_classes"
    )
