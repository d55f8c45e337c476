"""Imprints classes from folders of photos into a .tflite, or into a checkpoint's network.

A class's vector is the mean of the embeddings of its photos, scaled to unit length (Qi, Brown and
Lowe, arXiv 1712.07136, section 3.2). In a notebook:

  with open("in.tflite", "rb") as file:
      network = TfliteNetwork(file.read(), Options(keep_classes=True))
  imprinted = network.imprint(photos.find("photos"))
  imprinted.write("out.tflite")
"""

import abc
import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from classification.deployment import check_images, deployable, published_head
from classification.embedding import samples
from classification.embedding.linear_embedding import LinearEmbedding
from classification.imprinting import (
    checkpoint_head,
    checkpoint_imprinting,
    class_numbers,
    embedding_fit,
    kept_classes,
    photos,
    tflite_embedder,
    tflite_head,
    unit_vectors,
)
from classification.imprinting.computed import Computed
from classification.imprinting.embedding_fit import Fit, FitEmbedding, Head
from classification.imprinting.photos import Photos
from classification.nets import networks
from classification.nets.checkpoint import Checkpoint
from classification.nets.l2norm_network import SCALE_FACTOR_START
from classification.nets.model_config import ModelConfig
from transforms.base import atomic_files
from transforms.base import labels as label_files
from transforms.conversion import inference
from transforms.tflite import embedding_layer, imprint_target, metadata, model_file, split
from transforms.tflite.imprinting import ImprintingEngine
from transforms.tflite.model_graph import Model

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
      views: the number of parts of each photo whose embeddings are averaged; at least 1, which
        means the entire photo. None means 1, or as many as a fit needs.
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
        if self.views is not None and self.views < 1:
            raise ValueError(f"expected --views to be at least 1, got {self.views}")

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


@dataclasses.dataclass(frozen=True)
class ImprintedCheckpoint(Imprinted):
    """A checkpoint's network with new classes.

    Attributes:
      values: of its variables, by name.
      model: what the network is.
    """

    values: Mapping[str, np.ndarray]
    model: ModelConfig

    def write(self, path: str) -> None:
        """Writes a folder with the checkpoint, `model.json` and `labels.txt`."""
        deployable.write(path, self.model, self.values)


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

        Raises:
          ValueError: if the model is damaged or cannot be imprinted into, or the names or the
            embedder do not fit it.
        """
        self._data = data
        self._options = options
        self._tflite_model = model_file.parse(data, compiled=True)
        inference.verify(data)
        self._target = imprint_target.read(self._tflite_model, embedder)
        self.is_old = self._target.is_old
        self._edge_tpu = None
        if self._target.embedder is None:
            self._edge_tpu = inference.edge_tpu()
            if self._edge_tpu is None:
                raise ValueError(
                    "expected an Edge TPU to compute embeddings with the compiled extractor, got "
                    "none; add --embedder=NAME_extractor.tflite, the extractor before it was "
                    "compiled"
                )
        num_classes = self._engine().num_classes
        if labels is None or not num_classes:
            self.labels, self.num_unnamed = _carried_labels(data, num_classes)
        else:
            label_files.check_count(labels, num_classes, labels_source)
            self.labels, self.num_unnamed = [*labels], 0
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
        readable = _readable(found, computed.bad, self._options)
        embedding = None
        if head is not None:
            fit, fit_text = _fit(computed, readable, head, self._options)
            if fit is not None:
                classifier = tflite_head.fitted(self._target.classifier, fit)
                engine = self._engine(classifier)
                embedding = tflite_head.read_embedding(classifier) if fit.embedding else None
        embeddings = computed.embedded(embedding)
        new = {name: unit_vectors.mean(embeddings[images]) for name, images in readable.items()}
        comparison = ""
        trained = engine.trained_vectors()
        if len(trained):
            others = self._compute(check_images.photographs(), kept_classes.PARTS)
            comparison = _compare(trained, new, others.embedded(embedding), self._options)
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
            return None, _unchanged(error, self._options)

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


class CheckpointNetwork:
    """A checkpoint's network to imprint into: one of this project, or a published classifier."""

    def __init__(
        self, checkpoint: Checkpoint, model: ModelConfig, options: Options, labels_file: str = ""
    ):
        """Finds the names of the classes; the values are read by `imprint`.

        Args:
          checkpoint: the checkpoint.
          model: its network.
          options: how to imprint.
          labels_file: a file of the names of its classes, for `keep_classes`; '' means those of
            `model`, or of a labels.txt beside the checkpoint.

        Raises:
          OSError: if the file cannot be read.
          ValueError: if the names do not fit the network.
        """
        labels: tuple[str, ...] = tuple(map(str, range(model.num_classes)))
        if options.keep_classes:
            labels, _ = deployable.find_labels(labels_file, checkpoint.folder, model, flag="labels")
        self._checkpoint = checkpoint
        self._options = options
        self._labels = labels
        self._portable = deployable.portable(model, labels)

    def imprint(self, found: Photos, on_progress: OnProgress | None = None) -> ImprintedCheckpoint:
        """Imprints a class for each folder of photos.

        Args:
          found: the photos.
          on_progress: see `OnProgress`.

        Raises:
          ValueError: if the checkpoint cannot be read or is of another network, a folder has the
            name of one of its classes, photos cannot be read or have nothing in common, or kept
            classes would be lost.
        """
        options, model = self._options, self._portable
        if options.keep_classes:
            checkpoint_imprinting.check_new(found.classes, self._labels)
        values = published_head.read_any_values(self._checkpoint, model)
        if published_head.is_published(self._checkpoint) and not options.keep_classes:
            # Its own scale factor suits its own classes, of which there are far more.
            name = networks.get(model.network).names.scale_factor
            values[name] = np.array(SCALE_FACTOR_START, np.float32)
        views = options.num_views(found, fits=options.fits)
        computed = checkpoint_imprinting.compute(
            values, model, found.paths, views=views, on_progress=on_progress
        )
        readable = _readable(found, computed.bad, options)
        values, embedding, fit_text = self._fit(values, computed, readable)
        embeddings = computed.embedded(embedding)
        new = {name: unit_vectors.mean(embeddings[images]) for name, images in readable.items()}
        comparison = ""
        if options.keep_classes:
            others = checkpoint_imprinting.compute(
                values, model, check_images.photographs(), views=kept_classes.PARTS
            )
            kept = checkpoint_imprinting.class_vectors(values, model)
            comparison = _compare(kept, new, others.embeddings, options)
        values, model = checkpoint_imprinting.imprint(
            values, model, self._labels, new, keep_classes=options.keep_classes
        )
        return ImprintedCheckpoint(
            model.labels or (),
            len(self._labels) if options.keep_classes else 0,
            len(found.names) - len(computed.bad),
            tuple(found.describe(computed.bad)),
            fit_text,
            comparison,
            values=values,
            model=model,
        )

    def _fit(
        self,
        values: dict[str, np.ndarray],
        computed: Computed,
        readable: Mapping[str, Sequence[int]],
    ) -> tuple[dict[str, np.ndarray], LinearEmbedding | None, str]:
        """The values with a fitted head, its embedding if it changed, and what was done."""
        options, model = self._options, self._portable
        if not options.fits:
            return values, None, ""
        try:
            head = checkpoint_head.read(values, model, keep_classes=options.keep_classes)
        except ValueError as error:
            return values, None, _unchanged(error, options)
        fit, text = _fit(computed, readable, head, options)
        if fit is None:
            return values, None, text
        return checkpoint_head.fitted(values, model, fit), fit.embedding, text


def _carried_labels(data: bytes, num_classes: int) -> tuple[list[str], int]:
    """The names of a model's classes, and how many of these are numbers, for lack of a name."""
    if not num_classes:
        return [], 0
    # An on-device engine keeps the description of the labels, but loses their file.
    labels = metadata.labels_of(data, must_be_there=False) or ()
    has_empty = "" in map(str.strip, labels)
    if len(labels) > num_classes or has_empty:
        raise ValueError(
            f"expected names of at most its {num_classes} classes, got {len(labels)}"
            f"{', some of them empty' if has_empty else ''}; give others with --labels"
        )
    return [*labels, *map(str, range(len(labels), num_classes))], num_classes - len(labels)


def _readable(found: Photos, bad: Mapping[int, str], options: Options) -> dict[str, list[int]]:
    """The indices of each class's readable photos, by the class's name."""
    photos.check(found, bad, skip=options.skip_bad_images)
    return dict(found.readable(bad))


def _fit(
    computed: Computed, readable: Mapping[str, Sequence[int]], head: Head, options: Options
) -> tuple[Fit | None, str]:
    """Fits a head to the photos; None if that is not possible. Also says what was done."""
    found = samples.of_classes(computed.features, readable)
    try:
        fit = embedding_fit.run(found, head, options)
    except ValueError as error:
        return None, _unchanged(error, options)
    return fit, fit.description


def _unchanged(reason: ValueError, options: Options) -> str:
    """What to say about a network that cannot be fitted; an error if that was asked for."""
    if options.fit_embedding is FitEmbedding.ALWAYS:
        raise ValueError(f"{reason}; leave --fit_embedding out") from reason
    return f"Embedding and scale factor: not changed ({reason})."


def _compare(
    kept: np.ndarray, new: Mapping[str, np.ndarray], others: np.ndarray, options: Options
) -> str:
    """Checks that kept classes can be recognised beside the new ones; describes the cosines."""
    cosines = kept_classes.compare(kept, list(new.values()), others.reshape(-1, kept.shape[1]))
    return kept_classes.check(cosines, allowed=options.allow_lost_classes)
