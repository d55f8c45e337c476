"""Decides whether to fit an embedding to photos of new classes, fits it, and says what it did."""

import dataclasses
import enum
from typing import NamedTuple, Protocol

import numpy as np

from imprinting.embedding import linear_embedding, probabilities, symmetric
from imprinting.embedding.fit import Choice, Fitter, Kept
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.embedding.samples import Samples

# Views of each photo, by the mean number of photos of a class. With one photo, seven views instead
# of four were two points more accurate; with twenty, four instead of seven cost nothing.
_FEW_PHOTOS, _MANY_PHOTOS = 5, 10
_VIEWS = (7, 5, 4)
# If a fit is asked for, and none helps.
_LEAST_WEIGHT = 0.05


class FitEmbedding(enum.Enum):
    """Whether the embedding is fitted to the photos.

    Attributes:
      AUTO: if that makes new classes more accurate, according to cross-validation.
      ALWAYS: in any case.
      NEVER: it stays as it is, byte for byte.
    """

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Head(NamedTuple):
    """What follows the features of a network: its embedding and its classes.

    Attributes:
      embedding: of the features.
      kept: the classes.
      competing: bool [c], which of the classes compete with the new ones; classes to which photos
        are added do not.
      scale_factor: the factor of the cosines.
      greatest_scale_factor: the greatest one that the network can have.
    """

    embedding: LinearEmbedding
    kept: Kept
    competing: np.ndarray
    scale_factor: float
    greatest_scale_factor: float


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """The result.

    Attributes:
      embedding: the fitted embedding; None if it stays as it was.
      reach: the range that its components need.
      vectors: those of the kept classes in the fitted embedding, float64 [c, e].
      scale_factor: the factor of the cosines, new or old.
      description: what was done and what to expect, for the user, in sentences.
      before: the fraction of held-out photos that were recognised without the fit; None if there
        were too few photos to hold some out.
      after: the same with it.
      weight: that of the photos in the fitted metric, in 0..1; 0 if the embedding stays.
    """

    embedding: LinearEmbedding | None
    reach: float
    vectors: np.ndarray
    scale_factor: float
    description: str
    before: float | None = None
    after: float | None = None
    weight: float = 0.0


def num_views(num_photos: int, num_classes: int) -> int:
    """The number of views of each photo that a fit needs: fewer, the more photos there are."""
    mean = num_photos / max(num_classes, 1)
    return _VIEWS[(mean >= _FEW_PHOTOS) + (mean >= _MANY_PHOTOS)]


class Options(Protocol):
    """What to fit.

    Attributes:
      fit_embedding: whether the embedding.
      fit_scale_factor: whether the scale factor, by the likelihood of held-out photos.
    """

    @property
    def fit_embedding(self) -> FitEmbedding: ...  # noqa: D102
    @property
    def fit_scale_factor(self) -> bool: ...  # noqa: D102


def run(samples: Samples, head: Head, options: Options) -> Fit:
    """Fits the embedding and the scale factor.

    Args:
      samples: the features of the photos of new classes.
      head: the network's.
      options: what to fit.

    Raises:
      ValueError: if the embedding does not keep all features apart.
    """
    with symmetric.one_thread():
        return _run(samples, head, options)


def _run(samples: Samples, head: Head, options: Options) -> Fit:
    competing = Kept(head.kept.vectors[head.competing], head.kept.imprinted[head.competing])
    fitter = Fitter(samples, head.embedding, competing)
    is_fixed = options.fit_embedding is FitEmbedding.NEVER
    choice = fitter.choose(() if is_fixed else None)
    weight = 0.0 if is_fixed else choice.weight
    if options.fit_embedding is FitEmbedding.ALWAYS and samples.varies:
        weight = weight or _LEAST_WEIGHT
    factor, text = _scale_factor(choice, samples, head, enabled=options.fit_scale_factor)
    if not is_fixed:
        text = " ".join(filter(None, [_describe(choice, weight, samples), text]))
    if not weight:
        return Fit(None, 0.0, np.zeros([0, 0]), factor, text, choice.before, choice.after)
    fitted = fitter.fit(weight)
    return Fit(
        fitted,
        fitter.reach(fitted),
        map_kept(head.kept, head.embedding, fitted),
        factor,
        text,
        choice.before,
        choice.after,
        weight,
    )


def map_kept(kept: Kept, old: LinearEmbedding, new: LinearEmbedding) -> np.ndarray:
    """The vectors of kept classes in another embedding, float64 [c, e]."""
    vectors = np.zeros([len(kept.vectors), len(new.kernel)])
    for chosen, map_vectors in (
        (~kept.imprinted, linear_embedding.map_functionals),
        (kept.imprinted, linear_embedding.map_means),
    ):
        if chosen.any():
            vectors[chosen] = map_vectors(kept.vectors[chosen].astype(np.float64), old, new)
    return vectors


def _scale_factor(
    choice: Choice, samples: Samples, head: Head, *, enabled: bool
) -> tuple[float, str]:
    """The new scale factor, and what to say about it."""
    if not enabled:
        return head.scale_factor, ""
    if not len(choice.labels) or choice.cosines.shape[1] < 2:
        return head.scale_factor, ""
    factor = probabilities.likeliest_scale_factor(
        choice.cosines, choice.labels, greatest=head.greatest_scale_factor
    )
    # Each photo was judged by vectors of fewer photos than there are.
    share = 1 - 1 / samples.photos_per_class
    factor = float(f"{head.scale_factor ** (1 - share) * factor**share:.3g}")
    before, after = (
        probabilities.calibration_error(*_best(choice, value))
        for value in (head.scale_factor, factor)
    )
    if factor == float(f"{head.scale_factor:.3g}"):
        return head.scale_factor, (
            f"Scale factor: {factor:.3g}, as before; the calibration error of the held-out photos "
            f"is {before:.3f}."
        )
    # The likeliest factor may have a greater calibration error, which is not what it is chosen by.
    is_better = round(after, 3) < round(before, 3)
    return factor, (
        f"Scale factor: {factor:.3g}{f' instead of {head.scale_factor:.3g}' if is_better else ''}; "
        f"the calibration error of the held-out photos is {after:.3f}"
        f"{f' instead of {before:.3f}' if is_better else ''}."
    )


def _best(choice: Choice, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """The highest probability of each held-out photo, and whether its class is right."""
    logits = factor * choice.cosines.astype(np.float64)
    highest = logits.max(axis=1, keepdims=True)
    best = 1 / np.exp(logits - highest).sum(axis=1)
    return best, logits.argmax(axis=1) == choice.labels


def _describe(choice: Choice, weight: float, samples: Samples) -> str:
    fitted = f"Embedding: fitted to the photos (weight {weight:.2g})"
    unchanged = "Embedding: not changed"
    if not samples.varies:
        return f"{unchanged}, since the photos are all the same."
    if choice.before is None or choice.after is None:
        return f"{fitted}; with one photo of each class, there is nothing to check that with."
    figures = f"{choice.before:.1%} of held-out photos were recognised"
    if not choice.weight:
        if weight:
            return f"{fitted}; {figures}, and it was fitted as asked, although that is no better."
        return f"{unchanged}; {figures}, and a fit does not improve that."
    return f"{fitted}; {figures} before that, {choice.after:.1%} after it."
