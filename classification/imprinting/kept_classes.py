"""Whether classes that stay can still be named beside imprinted ones.

The features of a published classifier are all positive, so that any two photos have a large cosine,
and a class vector that is a mean of features is nearer to any photo than a trained one is. Such
vectors take all photos away from the classes that were there. It shows in cosines alone: of photos
of the new classes, and of photographs that show none of them.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from classification.imprinting import unit_vectors

# Of each photograph of something else: enough that nine of ten is a fair figure.
PARTS = 16
_LOW, _HIGH = 0.1, 0.9
_CLEARLY = 1.35


@dataclasses.dataclass(frozen=True)
class Cosines:
    """Cosines between photos' embeddings and class vectors, float [photos] where no more is said.

    Attributes:
      own: of photos of new classes, with the vector of the class that each shows.
      kept: of the same, with the nearest kept class.
      others_new: of parts of photographs of something else, with each new class, [parts, classes].
      others_kept: of the same, with the nearest kept class.
    """

    own: np.ndarray
    kept: np.ndarray
    others_new: np.ndarray
    others_kept: np.ndarray

    @property
    def lost(self) -> bool:
        """Whether the kept classes can hardly be named any more.

        It is so where nine of ten photos of anything come clearly nearer to a new class, of half
        of the new ones, than nine of ten come to any kept class. Over flowers and groceries, of 1
        to 20 classes and photos, the one figure was 1.5 to 4 times the other on ImageNet's
        published MobileNets, and at most 1.2 times on networks trained with unit class vectors.
        """
        kept = np.concatenate([self.kept, self.others_kept])
        new = np.median(np.quantile(self.others_new, _LOW, axis=0))
        return bool(new > _CLEARLY * np.quantile(kept, _HIGH))

    @property
    def taken(self) -> str:
        """How many parts of photographs of something else are nearest to a new class."""
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
            f"photos of new classes have a cosine of {own} with their own vector and {kept} with "
            f"the nearest kept one; parts of photographs of something else, {others_new} with the "
            f"nearest new vector and {others_kept} with the nearest kept one (medians)"
        )


def compare(kept: np.ndarray, new: Sequence[np.ndarray], others: np.ndarray) -> Cosines:
    """Compares cosines with kept classes and with new ones.

    Args:
      kept: vectors of the kept classes, of unit length, float [k, d], k at least 1.
      new: of each new class, the embeddings of its photos, of unit length, float [n, d].
      others: embeddings of photographs of something else, of unit length, float [m, d].
    """
    vectors = [unit_vectors.unit(embeddings.mean(axis=0)) for embeddings in new]
    photos = np.concatenate(list(new))
    return Cosines(
        own=np.concatenate([e @ vector for e, vector in zip(new, vectors, strict=True)]),
        kept=(photos @ kept.T).max(axis=1),
        others_new=others @ np.stack(vectors).T,
        others_kept=(others @ kept.T).max(axis=1),
    )


def check(cosines: Cosines, *, allowed: bool) -> str:
    """What there is to say of cosines, as a sentence.

    Args:
      cosines: as `compare` found them.
      allowed: whether kept classes may be lost.

    Raises:
      ValueError: if the kept classes are lost, and may not be.
    """
    figures = f"{cosines}, and {cosines.taken} of these would be named as a new class"
    if not cosines.lost:
        return f"Cosines: {figures}."
    if allowed:
        return f"Warning: the kept classes will hardly be named any more: {figures}."
    raise ValueError(
        "expected new classes beside which the kept ones can still be named, got ones that take "
        f"their photos away: {figures}. The last layer was not trained for imprinting: leave "
        "--keep_classes out, or train it first, as classification/imprinting/README.md says under "
        "'A network to imprint into', or "
        "write what comes of it all the same by --allow_lost_classes"
    )
