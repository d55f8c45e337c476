"""A project: classes of photos on the disk, and what can be done with them."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable
from typing import NamedTuple

from imprinting.project import fitting, photo_check
from imprinting.project.classifier import Classifier, NoClassesError, numbered
from imprinting.project.network import Network
from imprinting.project.photo_embeddings import OnProgress, PhotoEmbeddings, ignore
from imprinting.project.records import Computed, StoredFile
from imprinting.project.state import Fit, State, check_room
from imprinting.project.store import Store


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
      classifier: what the present classes make.
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
        self.classifier = Classifier(self.store, self.photos, self._lock)
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
            numbered(classes),
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
            # So that the next answer does not wait for it. Meanwhile all classes may be gone.
            with contextlib.suppress(NoClassesError):
                self.classifier.prepare()

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
                self.classifier.build(state)
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
