"""Imprints classes from folders of photos into a .tflite.

In a notebook:

  with open("in.tflite", "rb") as file:
      network = TfliteNetwork(file.read(), Options(keep_classes=True))
  imprinted = network.imprint(photos.find("photos"))
  imprinted.write("out.tflite")
"""

import contextlib
import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imprinting.base import atomic_files
from imprinting.new_classes import (
    class_names,
    class_numbers,
    kept_classes,
    photo_imprinting,
    tflite_embedder,
    tflite_head,
)
from imprinting.new_classes.computed import Computed
from imprinting.new_classes.embedding_fit import Head
from imprinting.new_classes.photo_imprinting import Imprinted, OnProgress, Options
from imprinting.new_classes.photos import Photos
from imprinting.photos import unrelated_photos
from imprinting.tflite import (
    embedding_layer,
    imprint_target,
    inference,
    metadata,
    split,
    verification,
)
from imprinting.tflite.imprinting import ImprintingEngine
from imprinting.tflite.model_graph import Model


@dataclasses.dataclass(frozen=True)
class ImprintedTflite(Imprinted):
    """A .tflite with new classes.

    Attributes:
      tflite: the file's bytes.
      cosines: between each class's vector and its quantised form, float [classes].
    """

    tflite: bytes
    cosines: np.ndarray

    def write(self, path: str) -> None:
        """Writes the .tflite."""
        atomic_files.write_atomically(path, self.tflite)


class TfliteNetwork:
    """A .tflite to imprint classes into.

    Attributes:
      labels: the names of the kept classes.
      num_unnamed: how many of these have no names, and are named by their numbers.
      is_old: whether the model is of an old pair; see `pairs.OLD`.
    """

    def __init__(
        self,
        data: bytes,
        options: Options,
        labels: Sequence[str] | None = None,
        *,
        labels_source: str = "labels",
        embedder: Model | None = None,
        delegate: Any = None,
    ):
        """Reads the model.

        Args:
          data: a quantised classifier, as `./bazelw build frozen_tflite` makes it, or any other
            that the on-device imprinting engines accept; one with a compiled extractor; or the head
            of a pair.
          options: how to imprint.
          labels: the names of the model's classes, for `keep_classes`; None means the names that
            the model carries.
          labels_source: what an error about the number of `labels` calls their source.
          embedder: the uncompiled extractor, for a head, and for a compiled one if there is no Edge
            TPU; see `imprint_target.read`.
          delegate: computes a compiled extractor; None for any Edge TPU of this machine.

        Raises:
          ValueError: if the model is damaged or cannot be imprinted into, or the names or the
            embedder do not fit it.
        """
        self._data = data
        self._options = options
        self._tflite_model = inference.verify(data)
        if embedder is not None:
            verification.check(embedder)
        self._target = imprint_target.read(self._tflite_model, embedder)
        self.is_old = self._target.is_old
        self._edge_tpu = None
        if self._target.embedder is None:
            self._edge_tpu = delegate or inference.edge_tpu()
            if self._edge_tpu is None:
                raise ValueError(
                    "expected an Edge TPU to compute embeddings with the compiled extractor, got "
                    "none; add --embedder=NAME_extractor.tflite, the extractor before it was "
                    "compiled"
                )
        num_classes = self._engine().num_classes
        self.labels, self.num_unnamed = class_names.of(
            data, self._tflite_model, num_classes, labels, source=labels_source
        )
        metadata.check(self._tflite_model, data)

    def imprint(self, found: Photos, on_progress: OnProgress | None = None) -> ImprintedTflite:
        """Imprints a class for each folder of photos.

        A class that was imprinted before, here or on a device, gets more examples if a folder has
        its name.

        Args:
          found: the photos.
          on_progress: see `OnProgress`.

        Raises:
          ValueError: if a folder has the name of a trained class, photos cannot be read or have
            nothing in common, or kept classes would be lost.
        """
        engine = self._engine()
        numbers = class_numbers.assign(found.classes, engine, self.labels)
        names = [*self.labels, *(n for n, number in numbers.items() if number >= len(self.labels))]
        head, fit_text = self._head(engine, numbers)
        views = self._options.num_views(found, fits=head is not None)
        computed = self._compute(found.paths, views, on_progress)
        readable = photo_imprinting.readable(found, computed.bad, self._options)
        others = Computed(np.zeros(0), np.zeros(0), {})
        if len(engine.trained_vectors()):
            others = self._compute(unrelated_photos.paths(), kept_classes.PARTS)
        embedding = None
        if head is not None:
            fit, fit_text = photo_imprinting.fit(
                computed, others.embeddings, readable, head, self._options
            )
            try:
                classifier = tflite_head.fitted(self._target.classifier, fit) if fit else None
            except ValueError as error:
                fit_text = photo_imprinting.unchanged(error, self._options)
            else:
                engine = self._engine(classifier)
                if fit is not None and fit.embedding is not None and classifier is not None:
                    embedding = tflite_head.read_embedding(classifier)
        new = computed.by_class(readable, embedding)
        comparison = ""
        trained = engine.trained_vectors()
        if len(trained):
            comparison = photo_imprinting.compare(
                trained, new, others.embedded(embedding), self._options
            )
        for name, vectors in new.items():
            try:
                engine.add(numbers[name], vectors)
            except ValueError as error:
                folder = os.path.join(found.folder, name)
                raise ValueError(f"the photos of {folder} cannot be imprinted: {error}") from error
        built = engine.build()
        return ImprintedTflite(
            tuple(names),
            len(self.labels),
            len(found.names) - len(computed.bad),
            tuple(found.describe(computed.bad)),
            fit_text,
            comparison,
            tflite=metadata.extend(
                self._target.with_classes_of(built.tflite_model), names, data=self._data
            ),
            cosines=built.cosines,
        )

    def _head(
        self, engine: ImprintingEngine, numbers: Mapping[str, int]
    ) -> tuple[Head | None, str]:
        """The head that is fitted; if none is, the reason, which is empty if that was asked for."""
        if not self._options.fits:
            return None, ""
        try:
            if not self._target.is_complete:
                raise ValueError("the extractor is not changed, only the head")
            return tflite_head.read(self._target.classifier, engine, set(numbers.values())), ""
        except ValueError as error:
            return None, photo_imprinting.unchanged(error, self._options)

    def _engine(self, classifier: Model | None = None) -> ImprintingEngine:
        return ImprintingEngine(
            classifier or self._target.classifier, keep_classes=self._options.keep_classes
        )

    def _compute(
        self, paths: Sequence[str], views: int, on_progress: OnProgress | None = None
    ) -> Computed:
        model = self._target.embedder or self._target.classifier
        tensors = [split.at_embedding(model).place]
        with contextlib.suppress(ValueError):
            tensors.append(embedding_layer.read(model).features.index)
        values, bad = tflite_embedder.compute(
            model,
            tensors,
            paths,
            views=views,
            on_progress=on_progress,
            crop=self._target.crop,
            edge_tpu=self._edge_tpu,
        )
        return Computed(values[0], values[-1], bad)
