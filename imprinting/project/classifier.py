"""The classifier of a project at any moment: what it answers, and how well."""

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from imprinting.embedding import unit_vectors
from imprinting.photos.pixel_reader import PixelReader
from imprinting.project import fitting, photo_check, quality
from imprinting.project.network import Built, Network, NewClass
from imprinting.project.photo_embeddings import PhotoEmbeddings
from imprinting.project.state import PhotoClass, State
from imprinting.project.store import Snapshot, Store
from imprinting.tflite import class_vectors
from imprinting.tflite.head_runner import HeadRunner


class Answer(NamedTuple):
    """A class that a photo may show.

    Attributes:
      label: the class's name.
      probability: in [0, 1].
      is_kept: whether it is one of the network's own classes.
    """

    label: str
    probability: float
    is_kept: bool


class Answers(NamedTuple):
    """What the classifier says about a photo.

    Attributes:
      best: the most probable classes, the most probable first.
      is_known: whether the first of them is as probable as the project's threshold.
      seconds: how long it took to read the photo and to run the network.
      version: that of the project.
    """

    best: list[Answer]
    is_known: bool
    seconds: float
    version: int


class Judgement(NamedTuple):
    """How good the classes of a project are.

    Attributes:
      now: the project at that moment; the classes are its `State.with_photos`.
      built: its classifier.
      quality: of the photos of these classes, in their order.
    """

    now: Snapshot
    built: Built
    quality: quality.Quality


class NoClassesError(ValueError):
    """There is nothing that a photo could show."""


class Classifier:
    """The present classifier of a project. Several threads may use it."""

    def __init__(self, store: Store, photos: PhotoEmbeddings, lock: threading.RLock) -> None:
        """Prepares the classifier.

        Args:
          store: the project's folder.
          photos: the embeddings of its photos.
          lock: held while the state of the project changes.
        """
        self._store, self._photos, self._lock = store, photos, lock
        self._built: tuple[State, Built] | None = None
        self._runner: tuple[tuple[str, str], HeadRunner, Built] | None = None

    def built(self) -> Built:
        """The classifier with the present classes.

        Raises:
          NoClassesError: if there are none.
          ValueError: if the photos of a class have nothing in common.
        """
        with self._lock:
            state = self._store.state
            if self._built is None or self._built[0] != state:
                self._built = state, self.build(state)
            return self._built[1]

    def file(self) -> bytes:
        """The present classifier as the bytes of a .tflite. Raises what `built` raises."""
        return self.built().file()

    def classify(self, photo: bytes, *, top: int = 5) -> Answers:
        """Classifies a photo.

        Args:
          photo: the bytes of its file.
          top: how many classes to return.

        Raises:
          BadImageError: if it cannot be read.
          ValueError: see `built`.
        """
        photo_check.ending(photo)
        network, pixels, seconds = None, np.zeros(0, np.uint8), 0.0
        while True:
            with self._lock:
                if network is self._network():
                    built, runner, now = self.built(), self._head_runner(), self._store.now
                    start = time.perf_counter()
                    probabilities = runner.run(pixels).probabilities
                    seconds += time.perf_counter() - start
                    break
                network = self._network()
            # Another network may be opened meanwhile, and see another part of the photo.
            start = time.perf_counter()
            (pixels,) = PixelReader(network.image_size, network.crop).read(photo)
            seconds = time.perf_counter() - start
        order = np.argsort(-probabilities, kind="stable")[:top]
        best = [
            Answer(built.names[i], float(probabilities[i]), bool(i < built.num_kept)) for i in order
        ]
        return Answers(best, best[0].probability >= now.state.threshold, seconds, now.version)

    def judge(self) -> Judgement:
        """How well the photos of the present classes are told apart.

        If the embedding is fitted, it is fitted again without the photos that are left out, a
        fifth or a half at a time. Otherwise each photo is left out alone.

        Raises:
          ValueError: see `built`.
        """
        with self._lock:
            now, network, built = self._store.now, self._network(), self.built()
            state = now.state
            classes, fit = state.with_photos, state.active_fit
            is_fitted = bool(classes and fit and fit.weight)
            if not is_fitted:
                embeddings = [self._photos.of(state, each.photos) for each in classes]
        if not is_fitted:
            vectors = class_vectors.read(built.tflite_model)[: built.num_kept]
            found = quality.leave_one_out(embeddings, unit_vectors.unit(vectors))
            return Judgement(now, built, found)
        views = fitting.num_views([len(each.photos) for each in classes])
        photos = [photo for each in classes for photo in each.photos]
        computed = self._photos.complete(state.base, photos, views)
        cosines, numbers = fitting.held_out(
            network,
            network.values(computed, views=views)[1],
            numbered(classes),
            keep_classes=state.keep_classes,
            weight=fit.weight if fit else 0.0,
        )
        found = quality.of_cosines([len(each.photos) for each in classes], cosines, numbers)
        return Judgement(now, built, found)

    def build(self, state: State) -> Built:
        """The classifier with the classes of any state; see `built`."""
        network = self._photos.network(state.base)
        if not state.with_photos and not (state.keep_classes and network.labels):
            raise NoClassesError("expected at least one class with a photo, got none; add a photo")
        new = [
            NewClass(each.name, self._photos.of(state, each.photos)) for each in state.with_photos
        ]
        return network.build(
            new, keep_classes=state.keep_classes, fitted=self._photos.fitted(state)
        )

    def prepare(self) -> None:
        """Does now what the next answer would have to wait for. Raises what `built` raises."""
        with self._lock:
            self._head_runner()

    def _network(self) -> Network:
        return self._photos.network(self._store.state.base)

    def _head_runner(self) -> HeadRunner:
        """An interpreter of the present classifier; after most changes, only its head is new."""
        built, fit = self.built(), self._store.state.active_fit
        key = self._store.state.base, fit.model if fit else ""
        if self._runner is None or self._runner[0] != key:
            self._runner = key, HeadRunner(built.tflite_model), built
        elif self._runner[2] is not built:
            self._runner[1].replace_head(built.tflite_model)
            self._runner = key, self._runner[1], built
        return self._runner[1]


def numbered(classes: Sequence[PhotoClass]) -> dict[str, list[int]]:
    """The numbers of each class's photos among all photos, by its name."""
    numbers = iter(range(sum(len(each.photos) for each in classes)))
    return {each.name: [next(numbers) for _ in each.photos] for each in classes}
