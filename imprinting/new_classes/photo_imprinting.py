"""What imprinting from folders of photos is, for any network: options, results and steps.

A class's vector is the mean of the embeddings of its photos, scaled to unit length (Qi, Brown and
Lowe, arXiv 1712.07136, section 3.2). See tflite_network.py and checkpoint_network.py.
"""

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from imprinting.base import large_arrays
from imprinting.embedding import samples
from imprinting.new_classes import embedding_fit, kept_classes, photos
from imprinting.new_classes.computed import Computed
from imprinting.new_classes.embedding_fit import Fit, FitEmbedding, Head
from imprinting.new_classes.photos import Photos

# More than half of unrelated photographs.
_MOSTLY = 0.5
# The pixels of all views of a batch of photos are in memory at the same time.
_MOST_VIEWS = 100

# Called with the number of photos done and the total number.
OnProgress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Options:
    """How classes are imprinted.

    Attributes:
      keep_classes: whether the network's classes stay, before the new ones.
      allow_lost_classes: whether kept classes may be hard to recognise afterwards; otherwise that
        is an error.
      fit_embedding: whether the embedding is fitted to the photos.
      fit_scale_factor: whether the scale factor is chosen by the likelihood of held-out photos.
      views: the number of parts of each photo whose embeddings are averaged; 1 to 100. 1 means
        the entire photo. None means 1, or as many as a fit needs.
      skip_bad_images: whether photos that cannot be read are left out; otherwise they are an error.
    """

    keep_classes: bool = False
    allow_lost_classes: bool = False
    fit_embedding: FitEmbedding = FitEmbedding.AUTO
    fit_scale_factor: bool = True
    views: int | None = None
    skip_bad_images: bool = False

    def __post_init__(self) -> None:
        if self.allow_lost_classes and not self.keep_classes:
            raise ValueError(
                "expected --keep_classes with --allow_lost_classes, got only the latter"
            )
        if self.views is not None and not 1 <= self.views <= _MOST_VIEWS:
            raise ValueError(f"expected --views to be 1 to {_MOST_VIEWS}, got {self.views}")

    @property
    def fits(self) -> bool:
        """Whether anything is fitted to the photos."""
        return self.fit_embedding is not FitEmbedding.NEVER or self.fit_scale_factor

    def num_views(self, found: Photos, *, fits: bool) -> int:
        """The number of views of each photo."""
        if self.views is not None:
            return self.views
        if not fits or self.fit_embedding is FitEmbedding.NEVER:
            return 1
        return embedding_fit.num_views(len(found.names), len(found.classes))


@dataclasses.dataclass(frozen=True)
class Imprinted(abc.ABC):
    """A network with new classes.

    Attributes:
      names: of all classes, in order.
      num_kept: how many of these the network had before.
      num_photos: the number of photos that the new ones were made from.
      unreadable: the photos that were left out, and why.
      fit: what was fitted to the photos, and what to expect, in sentences.
      comparison: how similar photos are to kept and to new classes, as a sentence; empty if there
        are no trained classes to compare with.
    """

    names: tuple[str, ...]
    num_kept: int
    num_photos: int
    unreadable: tuple[str, ...]
    fit: str
    comparison: str

    @abc.abstractmethod
    def write(self, path: str) -> None:
        """Writes the network, completely or not at all.

        Raises:
          OSError: if it cannot be written.
        """


def readable(found: Photos, bad: Mapping[int, str], options: Options) -> dict[str, list[int]]:
    """The indices of each class's readable photos, by the class's name.

    Args:
      found: the photos.
      bad: the reasons why photos cannot be read, by index.
      options: whether these are skipped.

    Raises:
      ValueError: if they must not be skipped, or no photo of a class can be read.
    """
    photos.check(found, bad, skip=options.skip_bad_images)
    return dict(found.readable(bad))


def fit(
    computed: Computed,
    others: np.ndarray,
    readable: Mapping[str, Sequence[int]],
    head: Head,
    options: Options,
) -> tuple[Fit | None, str]:
    """Fits a head to the photos.

    If most unrelated photographs are closest to a new class, trained and imprinted class vectors
    cannot be compared, as in heads that were trained with a high learning rate: a fit would make
    more photos of kept classes be taken for new ones. It is then not made automatically.

    Args:
      computed: what the network computes from the photos.
      others: the embeddings of unrelated photographs, of unit length, float [..., e]; none if no
        trained classes are kept.
      readable: the indices of each class's photos, by the class's name.
      head: the head.
      options: what to fit.

    Returns:
      The fit, or None if it is not possible; and what was done, for the user.

    Raises:
      ValueError: if a feature is not finite, or a fit is asked for and not possible.
    """
    found = samples.of_classes(computed.features, readable)
    taken, reason = 0.0, ""
    trained = head.kept.vectors[~head.kept.imprinted]
    if others.size and len(trained) and options.fit_embedding is FitEmbedding.AUTO:
        chosen = [index for indices in readable.values() for index in indices]
        embeddings = large_arrays.take(computed.embeddings, chosen)
        new = found.class_vectors(embeddings, np.ones(len(chosen), bool))
        parts = others.reshape(-1, others.shape[-1])
        taken = float(((parts @ new.T).max(axis=1) > (parts @ trained.T).max(axis=1)).mean())
    if taken > _MOSTLY:
        options = dataclasses.replace(options, fit_embedding=FitEmbedding.NEVER)
        reason = (
            f"Embedding: not changed, since {taken:.0%} of unrelated photographs are closest to a "
            "new class: a fit would cost kept classes more. "
        )
    try:
        fitted = embedding_fit.run(found, head, options)
    except ValueError as error:
        return None, unchanged(error, options)
    return fitted, (reason + fitted.description).rstrip()


def unchanged(reason: ValueError, options: Options) -> str:
    """What to say about a network that cannot be fitted.

    Raises:
      ValueError: if a fit is asked for.
    """
    if options.fit_embedding is FitEmbedding.ALWAYS:
        raise ValueError(f"{reason}; leave --fit_embedding out") from reason
    return f"Embedding and scale factor: not changed ({reason})."


def compare(
    kept: np.ndarray, new: Mapping[str, np.ndarray], others: np.ndarray, options: Options
) -> str:
    """Checks that kept classes can be recognised beside the new ones; describes the cosines.

    Args:
      kept: their vectors, of unit length, float [k, e].
      new: the embeddings of each new class's photos, float [n, e], by the class's name.
      others: the embeddings of unrelated photographs, float [..., e].
      options: whether kept classes may be lost.

    Raises:
      ValueError: if they are lost and must not be.
    """
    cosines = kept_classes.compare(kept, list(new.values()), others.reshape(-1, kept.shape[1]))
    return kept_classes.check(cosines, allowed=options.allow_lost_classes)
