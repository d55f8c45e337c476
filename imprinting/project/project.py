"""A project: classes of photos, and the classifier that they make at any moment."""

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from imprinting.embedding import unit_vectors
from imprinting.photos.pixel_reader import PixelReader
from imprinting.project import fitting, photo_check, quality
from imprinting.project.network import Built, Network, NewClass
from imprinting.project.photo_embeddings import OnProgress, PhotoEmbeddings, ignore
from imprinting.project.state import Fit, PhotoClass, State, check_room
from imprinting.project.store import Computed, Snapshot, Store, StoredFile
from imprinting.tflite import class_vectors
from imprinting.tflite.head_runner import HeadRunner


class Added(NamedTuple):
    """A photo that was added.

    Attributes:
      photo: its id.
      class_id: that of its class.
      is_duplicate: whether the class had it before.
    """

    photo: int
    class_id: int
    is_duplicate: bool


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


class _Adding(NamedTuple):
    """Photos that were added in one operation.

    Attributes:
      operation: the operation; empty for a single photo.
      num_photos: their number.
      classes: the ids of their classes.
      version: that of the project after the last one.
    """

    operation: str
    num_photos: int
    classes: frozenset[int]
    version: int

    def next(self, operation: str, class_id: int, version: int) -> "_Adding":
        """The same with one more photo, or that photo alone if anything else was done before."""
        if not operation or (operation, version) != (self.operation, self.version):
            return _Adding(operation, 1, frozenset([class_id]), version)
        return _Adding(operation, self.num_photos + 1, self.classes | {class_id}, version)

    def label(self, name: str) -> str:
        """What Undo says that it takes back, for the class with a name."""
        photos = "1 photo" if self.num_photos == 1 else f"{self.num_photos:,} photos"
        if len(self.classes) > 1:
            return f"add {photos} to {len(self.classes):,} classes"
        return f"add {photos} to {name}"


class Project:
    """A project in a folder. Several threads may use it.

    Each change is on the disk when its method returns.

    Attributes:
      store: the folder.
      photos: the embeddings of its photos.
    """

    def __init__(self, folder: str, on_change: Callable[[], None] = lambda: None) -> None:
        """Opens a project, or creates one.

        Args:
          folder: see `Store`, which raises the same.
          on_change: called after each change.
        """
        self.store = Store(folder)
        self._on_change = on_change
        self._lock = threading.RLock()
        self.photos = PhotoEmbeddings(self.store, self._lock)
        self._built: tuple[State, Built] | None = None
        self._runner: tuple[tuple[str, str], HeadRunner, Built] | None = None
        # The last operation that added photos, for its label.
        self._adding = _Adding("", 0, frozenset(), 0)
        self.network()

    @property
    def state(self) -> State:
        """The present state."""
        return self.store.state

    def network(self) -> Network:
        """The network, without the user's classes."""
        with self._lock:
            return self.photos.network(self.state.base)

    def change(self, changed: Callable[[State], State], label: str, operation: str = "") -> None:
        """Changes the state.

        Args:
          changed: returns the new state; it may raise a ValueError.
          label: what Undo says that it takes back.
          operation: see `Store.put`.
        """
        with self._lock:
            state = changed(self.state)
            if state == self.state:
                return
            self.store.put(state, label, operation)
        self._on_change()

    def undo(self) -> None:
        """Takes the last change back. Raises a ValueError if there is none."""
        with self._lock:
            self.store.undo()
        self._on_change()

    def redo(self) -> None:
        """Makes the change again that was taken back last. Raises a ValueError if there is none."""
        with self._lock:
            self.store.redo()
        self._on_change()

    def add_class(self, name: str) -> tuple[int, bool]:
        """Adds a class, unless there is one of that name; returns its id, and whether it is new."""
        with self._lock:
            before = self.state
            changed, class_id = before.add_class(name)
            self.change(lambda _: changed, f"add the class {changed.of(class_id).name}")
            return class_id, changed != before

    def add_photo(
        self,
        data: bytes,
        name: str,
        *,
        class_id: int | None = None,
        class_name: str = "",
        operation: str = "",
    ) -> Added:
        """Adds a photo to a class.

        Args:
          data: the bytes of its file.
          name: the name of its file.
          class_id: the class; None for the one with the name.
          class_name: the class's name; if there is none, it is added.
          operation: see `Store.put`.

        Raises:
          BadImageError: if the photo cannot be read.
          ValueError: if there is no such class, or too many photos.
        """
        check_room(self.state.num_photos + 1)
        with self._lock:
            base, network = self.state.base, self.network()
            self._with_class(class_id, class_name)
        ending = photo_check.ending(data)
        computed = network.compute(data)
        # Here, since others need not wait for the disk.
        stored = self.store.write_photo(data, ending)
        with self._lock:
            state, class_id = self._with_class(class_id, class_name)
            with self.store.change():
                photo = self._store_photo(stored, name, base, computed)
                added = state.add_photo(class_id, photo)
                if added != self.state:
                    adding = self._adding.next(operation, class_id, self.store.now.version)
                    self.store.put(added, adding.label(state.of(class_id).name), operation)
            self.photos.learn(photo, base, computed)
            if added != state:
                self._adding = adding._replace(version=self.store.now.version)
        self._on_change()
        return Added(photo, class_id, added == state)

    def take_photo(self, data: bytes, name: str, base: str) -> int:
        """Stores a photo that no class has yet, and returns its id; see `add_photo`.

        Args:
          data: the bytes of its file.
          name: the name of its file.
          base: the network that computes its embedding.
        """
        ending = photo_check.ending(data)
        computed = self.photos.network(base).compute(data)
        stored = self.store.write_photo(data, ending)
        with self._lock:
            with self.store.change():
                photo = self._store_photo(stored, name, base, computed)
            self.photos.learn(photo, base, computed)
        return photo

    def built(self) -> Built:
        """The classifier with the present classes.

        Raises:
          NoClassesError: if there are none.
          ValueError: if the photos of a class have nothing in common.
        """
        with self._lock:
            state = self.state
            if self._built is None or self._built[0] != state:
                self._built = state, self._build(state)
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
                if network is self.network():
                    built, runner, now = self.built(), self._head_runner(), self.store.now
                    start = time.perf_counter()
                    probabilities = runner.run(pixels).probabilities
                    seconds += time.perf_counter() - start
                    break
                network = self.network()
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
            now, network, built = self.store.now, self.network(), self.built()
            state = now.state
            classes, fit = state.with_photos, state.active_fit
            is_fitted = bool(classes and fit and fit.weight)
            if not is_fitted:
                embeddings = [self.photos.of(state, each.photos) for each in classes]
        if not is_fitted:
            vectors = class_vectors.read(built.tflite_model)[: built.num_kept]
            found = quality.leave_one_out(embeddings, unit_vectors.unit(vectors))
            return Judgement(now, built, found)
        views = fitting.num_views([len(each.photos) for each in classes])
        photos = [photo for each in classes for photo in each.photos]
        computed = self.photos.complete(state.base, photos, views)
        cosines, numbers = fitting.held_out(
            network,
            network.values(computed, views=views)[1],
            _numbered(classes),
            keep_classes=state.keep_classes,
            weight=fit.weight if fit else 0.0,
        )
        found = quality.of_cosines([len(each.photos) for each in classes], cosines, numbers)
        return Judgement(now, built, found)

    def fit(self, on_progress: OnProgress = ignore) -> None:
        """Fits the network to the photos, if that makes new classes more accurate.

        Args:
          on_progress: called while photos are read again, in parts.

        Raises:
          ValueError: if there are no photos, or another network was opened meanwhile.
        """
        with self._lock:
            state, network = self.state, self.network()
        classes = state.with_photos
        if not classes:
            raise NoClassesError("expected photos to fit the network to, got none; add some")
        views = fitting.num_views([len(each.photos) for each in classes])
        photos = [photo for each in classes for photo in each.photos]
        computed = self.photos.complete(state.base, photos, views, on_progress)
        embeddings, features = network.values(computed, views=views)
        found = fitting.fit(
            network,
            embeddings,
            features,
            _numbered(classes),
            keep_classes=state.keep_classes,
        )
        fit = Fit(
            model=self.store.add_model(found.tflite) if found.tflite else "",
            keeps_classes=state.keep_classes,
            photos=tuple(photos),
            before=found.before,
            after=found.after,
            description=found.description,
            weight=found.weight,
        )
        with self._lock:
            if self.state.base != state.base:
                raise ValueError("expected the same network after the fit, got another; fit again")
            self.change(lambda now: dataclasses.replace(now, fit=fit), "fit the network")
            # So that the next answer does not wait for it.
            self._head_runner()

    def open_network(self, data: bytes, name: str) -> None:
        """Starts with a .tflite, whose classes are kept, and no photos.

        Raises:
          ValueError: if it cannot be imprinted into.
        """
        Network(data, workers=1)
        with self._lock:
            base = self.store.add_model(data)
            state = State(base=base, base_name=name, next_id=self.state.next_id)
            self.change(lambda _: state, f"open {name}")

    def replace(self, state: State, label: str) -> None:
        """Makes a state the present one, if a classifier can be made of it.

        Raises:
          ValueError: if none can.
        """
        with self._lock:
            if state.num_photos or state.keep_classes:
                self._build(state)
            self.change(lambda _: state, label)

    def close(self) -> None:
        """Lets other programs open the project."""
        self.store.close()

    def _with_class(self, class_id: int | None, name: str) -> tuple[State, int]:
        """The present state with a class, which is added if only its name is given."""
        if class_id is None:
            return self.state.add_class(name)
        return self.state, self.state.of(class_id).id

    def _store_photo(self, stored: StoredFile, name: str, base: str, computed: Computed) -> int:
        """Adds a photo and what is known about it; returns its id."""
        photo = self.store.add_photo(stored, name)
        if not self.photos.knows(photo, base):
            self.store.put_computed(photo, base, computed)
        return photo

    def _build(self, state: State) -> Built:
        network = self.photos.network(state.base)
        if not state.with_photos and not (state.keep_classes and network.labels):
            raise NoClassesError("expected at least one class with a photo, got none; add a photo")
        new = [
            NewClass(each.name, self.photos.of(state, each.photos)) for each in state.with_photos
        ]
        return network.build(new, keep_classes=state.keep_classes, fitted=self.photos.fitted(state))

    def _head_runner(self) -> HeadRunner:
        """An interpreter of the present classifier; after most changes, only its head is new."""
        built, fit = self.built(), self.state.active_fit
        key = self.state.base, fit.model if fit else ""
        if self._runner is None or self._runner[0] != key:
            self._runner = key, HeadRunner(built.tflite_model), built
        elif self._runner[2] is not built:
            self._runner[1].replace_head(built.tflite_model)
            self._runner = key, self._runner[1], built
        return self._runner[1]


def _numbered(classes: Sequence[PhotoClass]) -> dict[str, list[int]]:
    """The numbers of each class's photos among all photos, by its name."""
    numbers = iter(range(sum(len(each.photos) for each in classes)))
    return {each.name: [next(numbers) for _ in each.photos] for each in classes}
