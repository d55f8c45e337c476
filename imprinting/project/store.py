"""A project as a folder: a database of states, and the files of its photos and networks.

  project.sqlite    the history of states, and what the network computed from each photo
  photos/12.jpg     photo 12 as it was added, to the byte
  models/DIGEST.tflite    a network that was opened or fitted

Each change is a transaction of SQLite, so it is there completely or not at all, whatever happens to
the process or the machine. Files are written before the transaction that names them; those that no
state names are removed when the project is opened the next time.
"""

import contextlib
import hashlib
import pathlib
import sqlite3
import threading
from collections.abc import Iterator
from typing import NamedTuple

from imprinting.base import atomic_files
from imprinting.project import state as states
from imprinting.project.state import State

_FORMAT = 1
# The number of changes that can be undone.
MOST_UNDONE = 100
_SCHEMA = """
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS states (
  number INTEGER PRIMARY KEY, operation TEXT NOT NULL, label TEXT NOT NULL, state TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS photos (
  id INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT UNIQUE NOT NULL, name TEXT NOT NULL,
  file TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS computed (
  photo INTEGER NOT NULL, base TEXT NOT NULL, views INTEGER NOT NULL,
  embeddings BLOB NOT NULL, features BLOB NOT NULL, PRIMARY KEY (photo, base)
);
"""


class Photo(NamedTuple):
    """A photo of a project.

    Attributes:
      id: its number, which no other photo of the project ever gets.
      name: the name of the file that it was added from.
      path: its file.
    """

    id: int
    name: str
    path: pathlib.Path


class Computed(NamedTuple):
    """What a network computed from a photo: quanta, one row for each view of it.

    Attributes:
      views: the number of views.
      embeddings: the bytes of its embeddings.
      features: those of the features before these.
    """

    views: int
    embeddings: bytes
    features: bytes


class Store:
    """The folder of a project. Several threads may use it; `change` is for one at a time.

    Attributes:
      folder: the folder.
    """

    def __init__(self, folder: str) -> None:
        """Opens a project, or creates an empty one.

        Args:
          folder: the folder, which need not exist, but its parent must.

        Raises:
          OSError: if it cannot be written, or another program has it open.
          ValueError: if it contains something else than a project, or one of a later version.
        """
        self.folder = pathlib.Path(folder).absolute()
        _check_folder(self.folder)
        self.folder.mkdir(exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._state, self._version, self._position = State(), 0, 0
        # The names of all photos, which pages ask for several times a second.
        self._names: dict[int, str] = {}
        with self._errors():
            self._database = sqlite3.connect(
                self.folder / "project.sqlite",
                isolation_level=None,
                check_same_thread=False,
                timeout=1,
            )
            self._execute("PRAGMA locking_mode=EXCLUSIVE")
            self._execute("PRAGMA journal_mode=WAL")
            self._execute("PRAGMA synchronous=FULL")
            self._database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        # After the database, without which they would be another program's.
        for each in (self._photos, self._models):
            each.mkdir(exist_ok=True)
        self._start()

    @property
    def _photos(self) -> pathlib.Path:
        return self.folder / "photos"

    @property
    def _models(self) -> pathlib.Path:
        return self.folder / "models"

    @property
    def state(self) -> State:
        """The present state."""
        return self._state

    @property
    def version(self) -> int:
        """A number that grows with every change."""
        return self._version

    @property
    def undo_label(self) -> str | None:
        """What `undo` would take back; None for nothing."""
        return self._label(self._position) if self._position > self._first() else None

    @property
    def redo_label(self) -> str | None:
        """What `redo` would do again; None for nothing."""
        return self._label(self._position + 1)

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Within it, what is written is there completely after it, or, after an error, not at all.

        Raises:
          OSError: if it cannot be written.
        """
        with self._lock, self._errors():
            if self._depth:
                yield
                return
            before = self._state, self._version, self._position
            self._execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
                self._execute("COMMIT")
            except BaseException:
                self._state, self._version, self._position = before
                with contextlib.suppress(sqlite3.Error):
                    self._execute("ROLLBACK")
                    self._read_names()
                raise
            finally:
                self._depth -= 1

    def put(self, state: State, label: str, operation: str = "") -> None:
        """Makes a state the present one; what was undone cannot be redone any more.

        Args:
          state: the state.
          label: what led to it, as in "rename mug".
          operation: changes of the same operation, one after the other, are undone together.
        """
        with self.change():
            self._execute("DELETE FROM states WHERE number > ?", self._position)
            ((last,),) = self._execute(
                "SELECT operation FROM states WHERE number = ?", self._position
            )
            if not operation or operation != last:
                self._position += 1
            self._execute(
                "INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?)",
                *(self._position, operation, label, state.to_json()),
            )
            self._execute("DELETE FROM states WHERE number < ?", self._position - MOST_UNDONE)
            self._moved(state)

    def undo(self) -> None:
        """Returns to the state before the last change. Raises a ValueError if there is none."""
        self._go(-1, "undo")

    def redo(self) -> None:
        """Makes the change again that was undone. Raises a ValueError if there is none."""
        self._go(1, "do again")

    def add_photo(self, data: bytes, name: str, ending: str) -> int:
        """Stores a photo, unless it is there already; returns its id.

        Args:
          data: the bytes of its file.
          name: the name of its file.
          ending: what the name of the stored file ends with, as in ".jpg".
        """
        digest = hashlib.sha256(data).hexdigest()
        with self.change():
            found = self._execute("SELECT id FROM photos WHERE digest = ?", digest)
            if found:
                return int(found[0][0])
            ((last,),) = self._execute("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence")
            file = f"{int(last) + 1}{ending}"
            atomic_files.write_atomically(str(self._photos / file), data, durable=True)
            self._execute(
                "INSERT INTO photos (digest, name, file) VALUES (?, ?, ?)", digest, name, file
            )
            self._names[int(last) + 1] = name
            return int(last) + 1

    def photo(self, photo_id: int) -> Photo:
        """A photo. Raises a ValueError if there is none of that id."""
        found = self._execute("SELECT name, file FROM photos WHERE id = ?", photo_id)
        if not found:
            raise ValueError(f"expected the number of a photo, got {photo_id}, which is none")
        return Photo(photo_id, found[0][0], self._photos / found[0][1])

    def names(self) -> dict[int, str]:
        """The names of all photos, by id."""
        return self._names

    def put_computed(self, photo_id: int, base: str, computed: Computed) -> None:
        """Keeps what a network computed from a photo.

        Args:
          photo_id: the photo.
          base: the digest of the network; see `State.base`.
          computed: the results.
        """
        with self.change():
            self._execute(
                "INSERT OR REPLACE INTO computed VALUES (?, ?, ?, ?, ?)", photo_id, base, *computed
            )

    def computed(self, base: str) -> dict[int, Computed]:
        """What a network computed from photos, by the photos' ids."""
        found = self._execute(
            "SELECT photo, views, embeddings, features FROM computed WHERE base = ?", base
        )
        return {photo: Computed(*values) for photo, *values in found}

    def add_model(self, data: bytes) -> str:
        """Stores a network, and returns its digest."""
        digest = hashlib.sha256(data).hexdigest()
        path = self._models / f"{digest}.tflite"
        if not path.exists():
            atomic_files.write_atomically(str(path), data, durable=True)
        return digest

    def model(self, digest: str) -> bytes:
        """A stored network. Raises an OSError if it cannot be read."""
        return (self._models / f"{digest}.tflite").read_bytes()

    def close(self) -> None:
        """Lets other programs open the project."""
        with self._lock:
            self._database.close()

    def _start(self) -> None:
        with self.change():
            numbers = dict(self._execute("SELECT name, value FROM numbers"))
            if numbers.get("format", _FORMAT) != _FORMAT:
                raise ValueError(
                    f"expected a project of format {_FORMAT}, got {numbers['format']} in "
                    f"{self.folder}; use a newer version of imprinting"
                )
            self._position, self._version = numbers.get("position", 0), numbers.get("version", 0)
            if not numbers:
                self._state = State()
                self._execute("INSERT INTO states VALUES (0, '', '', ?)", self._state.to_json())
                self._execute("INSERT INTO numbers VALUES ('format', ?)", _FORMAT)
                self._moved(self._state)
            self._state = self._read(self._position)
            self._remove_unused()
            self._read_names()

    def _remove_unused(self) -> None:
        """Removes what no state names, and files that were left half-written."""
        everything = [
            states.from_json(text) for (text,) in self._execute("SELECT state FROM states")
        ]
        photos = {photo for state in everything for photo in state.photos()}
        models = {state.base for state in everything}
        models |= {state.fit.model for state in everything if state.fit}
        known = self._execute("SELECT id, file FROM photos")
        for photo, _ in known:
            if photo not in photos:
                self._execute("DELETE FROM photos WHERE id = ?", photo)
                self._execute("DELETE FROM computed WHERE photo = ?", photo)
        used = {file for photo, file in known if photo in photos}
        for path in self._photos.iterdir():
            if path.name not in used:
                path.unlink()
        for path in self._models.iterdir():
            if path.stem not in models:
                path.unlink()

    def _read_names(self) -> None:
        self._names = dict(self._execute("SELECT id, name FROM photos"))

    def _go(self, step: int, what: str) -> None:
        with self.change():
            place = self._position + step
            if not self._execute("SELECT 1 FROM states WHERE number = ?", place):
                raise ValueError(f"expected a change to {what}, got none")
            self._position = place
            self._moved(self._read(place))

    def _moved(self, state: State) -> None:
        self._state = state
        self._version += 1
        for name, value in (("position", self._position), ("version", self._version)):
            self._execute("INSERT OR REPLACE INTO numbers VALUES (?, ?)", name, value)

    def _read(self, number: int) -> State:
        ((text,),) = self._execute("SELECT state FROM states WHERE number = ?", number)
        return states.from_json(text)

    def _first(self) -> int:
        ((number,),) = self._execute("SELECT MIN(number) FROM states")
        return int(number)

    def _label(self, number: int) -> str | None:
        found = self._execute("SELECT label FROM states WHERE number = ?", number)
        return found[0][0] if found else None

    def _execute(self, statement: str, *values: object) -> list[tuple]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns errors of SQLite into ones that users understand."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise OSError(
                    f"expected a project that no other program has open, got {self.folder}; close "
                    "the other one, or name another folder"
                ) from error
            raise OSError(f"{self.folder / 'project.sqlite'}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"expected a project in {self.folder}, got a file project.sqlite that is damaged "
                f"or of another program ({error}); name another folder"
            ) from error


def _check_folder(folder: pathlib.Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"expected a folder for the project, got the file {folder}")
    if not folder.parent.is_dir():
        raise ValueError(
            f"expected a folder {folder.parent} to create {folder.name} in, got none; create it"
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "project.sqlite").exists():
        raise ValueError(
            f"expected a project, or an empty folder for a new one, got {folder}, which has other "
            "files; name another folder"
        )
