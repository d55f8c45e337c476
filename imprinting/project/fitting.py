"""Fits a network to the photos of a project."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from imprinting.embedding import samples
from imprinting.embedding.fit import Fitter, Kept
from imprinting.new_classes import (
    embedding_fit,
    kept_classes,
    photo_imprinting,
    tflite_embedder,
    tflite_head,
)
from imprinting.new_classes.computed import Computed
from imprinting.new_classes.embedding_fit import FitEmbedding
from imprinting.new_classes.photo_imprinting import Options
from imprinting.photos import unrelated_photos
from imprinting.project.network import Network
from imprinting.tflite import metadata
from imprinting.tflite.imprinting import ImprintingEngine

_OPTIONS = Options(fit_embedding=FitEmbedding.AUTO, fit_scale_factor=True)


class Fitting(NamedTuple):
    """The result of a fit.

    Attributes:
      tflite: the bytes of the fitted network; None if it stays as it is.
      description: what was done, in sentences.
      weight: that of the photos in the fitted embedding, in 0..1; 0 if the embedding stays.
      before: the fraction of held-out photos that were recognised without the fit; None if there
        were too few photos to hold some out.
      after: the same with it.
    """

    tflite: bytes | None
    description: str
    weight: float = 0.0
    before: float | None = None
    after: float | None = None


def num_views(counts: Sequence[int]) -> int:
    """How many views of each photo a fit needs.

    Args:
      counts: the number of photos of each class.
    """
    return embedding_fit.num_views(sum(counts), len(counts))


def fit(
    network: Network,
    embeddings: np.ndarray,
    features: np.ndarray,
    classes: Mapping[str, Sequence[int]],
    *,
    keep_classes: bool,
) -> Fitting:
    """Fits the embedding and the scale factor, if that makes new classes more accurate.

    Args:
      network: the network.
      embeddings: of all photos, float32 [n, views, e], of unit length.
      features: what these were made from, float32 [n, views, d].
      classes: the numbers of the photos of each class, at least one class, by its name.
      keep_classes: whether the network's classes are kept, but for those with the name of a new
        one.
    """
    engine = ImprintingEngine(network.classifier, keep_classes=keep_classes)
    replaced = network.replaced(list(classes)) if keep_classes else []
    try:
        head = tflite_head.read(network.classifier, engine, replaced)
    except ValueError as error:
        return Fitting(None, photo_imprinting.unchanged(error, _OPTIONS))
    others = np.zeros(0)
    if keep_classes and len(engine.trained_vectors()):
        (others,) = tflite_embedder.compute(
            network.classifier,
            network.tensors[:1],
            unrelated_photos.paths(),
            views=kept_classes.PARTS,
            crop=network.crop,
        ).tensors
    found, text = photo_imprinting.fit(
        Computed(embeddings, features, {}), others, classes, head, _OPTIONS
    )
    if found is None:
        return Fitting(None, text)
    try:
        fitted = tflite_head.fitted(network.classifier, found)
    except ValueError as error:
        text = photo_imprinting.unchanged(error, _OPTIONS)
        return Fitting(None, text, 0.0, found.before, found.before)
    data = metadata.extend(fitted, network.labels, data=network.data)
    return Fitting(data, text, found.weight, found.before, found.after)


def held_out(
    network: Network,
    features: np.ndarray,
    classes: Mapping[str, Sequence[int]],
    *,
    keep_classes: bool,
    weight: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of photos with classes and embeddings that were fitted without them.

    Args:
      network: the network.
      features: of all photos, float32 [n, views, d].
      classes: the numbers of the photos of each class, class after class.
      keep_classes: see `fit`.
      weight: that of the photos in the fitted embedding; see `Fitting`.

    Returns:
      float32 [m, k + c], with the k new classes before the c kept ones; and the numbers of the m
      photos. The only photo of a class is not among them.
    """
    engine = ImprintingEngine(network.classifier, keep_classes=keep_classes)
    replaced = network.replaced(list(classes)) if keep_classes else []
    head = tflite_head.read(network.classifier, engine, replaced)
    kept = Kept(head.kept.vectors[head.competing], head.kept.imprinted[head.competing])
    fitter = Fitter(samples.of_classes(features, classes), head.embedding, kept)
    cosines, photos = fitter.held_out((weight,))
    return np.roll(cosines[weight], len(classes), axis=1), photos
