"""A project as a folder: a database of states, and the files of its photos and networks.

  project.sqlite          the history of states, and what the network computed from each photo
  photos/DIGEST.jpg       a photo as it was added, to the byte
  models/DIGEST.tflite    a network that was opened or fitted

Each change is a transaction of SQLite, so it is there completely or not at all, whatever happens to
the process or the machine. Files are written before the transaction that names them. When the
project is opened, photos are removed that were removed from all states; files that the database
does not know are kept, since it may be the database that is incomplete.
"""

import contextlib
import hashlib
import pathlib
import secrets
from collections.abc import Iterator
from typing import NamedTuple

from imprinting.base import atomic_files
from imprinting.project import state as states
from imprinting.project.database import Database
from imprinting.project.records import Computed, Photo, StoredFile
from imprinting.project.state import State

_FORMAT = 1
# The number of changes that can be undone.
MOST_UNDONE = 100
# Of SQLite's integers.
_GREATEST = 2**63 - 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS states (
  number INTEGER PRIMARY KEY, operation TEXT NOT NULL, label TEXT NOT NULL, state TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS photos (
  id INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT UNIQUE NOT NULL, name TEXT NOT NULL,
  file TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS models (digest TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS computed (
  photo INTEGER NOT NULL, base TEXT NOT NULL, views INTEGER NOT NULL,
  embeddings BLOB NOT NULL, features BLOB NOT NULL, PRIMARY KEY (photo, base)
);
"""


class Snapshot(NamedTuple):
    """A project at one moment, on the disk.

    Attributes:
      state: the state.
      version: a number that grows with every change.
      undo_label: what `Store.undo` would take back; None for nothing.
      redo_label: what `Store.redo` would do again; None for nothing.
    """

    state: State
    version: int
    undo_label: str | None
    redo_label: str | None


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
        self._is_changing = False
        self._now = Snapshot(State(), 0, None, None)
        # What `_now` becomes when the present change ends.
        self._next = self._now
        self._position, self._operation = 0, ""
        # The names of all photos, which pages ask for several times a second.
        self._names: dict[int, str] = {}
        self._database = Database(self.folder / "project.sqlite", _SCHEMA)
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
    def now(self) -> Snapshot:
        """The present state, with what belongs to it."""
        return self._now

    @property
    def state(self) -> State:
        """The present state."""
        return self._now.state

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Within it, what is written is there completely after it, or, after an error, not at all.

        Raises:
          OSError: if it cannot be written.
        """
        with self._database.lock:
            if self._is_changing:
                yield
                return
            before = self._position, self._operation
            self._is_changing = True
            try:
                with self._database.transaction():
                    yield
                self._now = self._next
            except BaseException:
                self._next, (self._position, self._operation) = self._now, before
                with contextlib.suppress(OSError, ValueError):
                    self._read_names()
                raise
            finally:
                self._is_changing = False

    def put(self, state: State, label: str, operation: str = "") -> None:
        """Makes a state the present one; what was undone cannot be redone any more.

        Args:
          state: the state.
          label: what led to it, as in "rename mug".
          operation: changes of the same operation, one after the other, are undone together.
        """
        with self.change():
            if self._next.redo_label is not None:
                self._database.execute("DELETE FROM states WHERE number > ?", self._position)
            if not operation or operation != self._operation:
                self._position += 1
                self._database.execute(
                    "DELETE FROM states WHERE number < ?", self._position - MOST_UNDONE
                )
            self._operation = operation
            self._database.execute(
                "INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?)",
                *(self._position, operation, label, state.to_json()),
            )
            self._move(state, label, None)

    def undo(self) -> None:
        """Returns to the state before the last change. Raises a ValueError if there is none."""
        self._step(-1, "undo")

    def redo(self) -> None:
        """Makes the change again that was undone. Raises a ValueError if there is none."""
        self._step(1, "redo")

    def write_photo(self, data: bytes, ending: str) -> StoredFile:
        """Writes the file of a photo, unless it is there already; several threads may do so.

        Args:
          data: the bytes of the file.
          ending: what its name ends with, as in ".jpg".
        """
        digest = hashlib.sha256(data).hexdigest()
        path = self._photos / f"{digest[:32]}{ending}"
        # It may be there without the database's knowledge, or have been lost.
        if not path.is_file() or path.stat().st_size != len(data):
            atomic_files.write_atomically(str(path), data, durable=True)
        return StoredFile(digest, path.name)

    def add_photo(self, stored: StoredFile, name: str) -> int:
        """Adds a photo, unless it is there already; returns its id.

        Args:
          stored: its file.
          name: the name of the file that it was added from.
        """
        with self.change():
            found = self._database.execute("SELECT id FROM photos WHERE digest = ?", stored.digest)
            if found:
                return int(found[0][0])
            self._database.execute(
                "INSERT INTO photos (digest, name, file) VALUES (?, ?, ?)",
                *(stored.digest, name, stored.name),
            )
            ((photo,),) = self._database.execute("SELECT last_insert_rowid()")
            self._names[photo] = name
            return int(photo)

    def photo(self, photo_id: int) -> Photo:
        """A photo, whose file may have been lost.

        Raises:
          ValueError: if there is none of that id.
        """
        found = []
        if abs(photo_id) <= _GREATEST:
            found = self._database.execute("SELECT name, file FROM photos WHERE id = ?", photo_id)
        if not found:
            raise ValueError(f"expected the number of a photo, got {photo_id}, which is none")
        return Photo(photo_id, found[0][0], self._photos / found[0][1])

    @property
    def key(self) -> str:
        """A text that no other project has."""
        ((value,),) = self._database.execute("SELECT value FROM numbers WHERE name = 'key'")
        return f"{value:x}"

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
            self._database.execute(
                "INSERT OR REPLACE INTO computed VALUES (?, ?, ?, ?, ?)", photo_id, base, *computed
            )

    def computed(self, base: str) -> dict[int, Computed]:
        """What a network computed from photos, by the photos' ids."""
        found = self._database.execute(
            "SELECT photo, views, embeddings, features FROM computed WHERE base = ?", base
        )
        return {photo: Computed(*values) for photo, *values in found}

    def add_model(self, data: bytes) -> str:
        """Stores a network, and returns its digest."""
        digest = hashlib.sha256(data).hexdigest()
        path = self._models / f"{digest}.tflite"
        with self.change():
            if not path.exists():
                atomic_files.write_atomically(str(path), data, durable=True)
            self._database.execute("INSERT OR IGNORE INTO models VALUES (?)", digest)
        return digest

    def model(self, digest: str) -> bytes:
        """A stored network. Raises an OSError if it cannot be read."""
        return (self._models / f"{digest}.tflite").read_bytes()

    def close(self) -> None:
        """Lets other programs open the project."""
        self._database.close()

    def _start(self) -> None:
        with self.change():
            numbers = dict(self._database.execute("SELECT name, value FROM numbers"))
            if numbers.get("format", _FORMAT) != _FORMAT:
                raise ValueError(
                    f"expected a project of format {_FORMAT}, got {numbers['format']} in "
                    f"{self.folder}; use a newer version of imprinting"
                )
            if not numbers:
                self._create()
            else:
                self._position = numbers.get("position", 0)
                self._next = self._next._replace(version=numbers.get("version", 0))
                self._go(0)
            unused = self._forget_unused()
            self._read_names()
        for path in unused:
            path.unlink(missing_ok=True)
        # Otherwise a new project would be only in the log, until it has some size.
        self._database.write_log()

    def _create(self) -> None:
        known = [path for folder in (self._photos, self._models) for path in folder.iterdir()]
        if known:
            raise ValueError(
                f"expected the database of a project in {self.folder}, got an empty one beside "
                f"{len(known)} files; restore project.sqlite, with project.sqlite-wal if there is "
                "one, from a backup, or name another folder and add the photos to it"
            )
        self._database.execute(
            "INSERT INTO states VALUES (0, '', '', ?)", self._next.state.to_json()
        )
        self._database.execute("INSERT INTO numbers VALUES ('format', ?)", _FORMAT)
        # Pages keep the pictures of a project, and two may follow each other on the same port.
        self._database.execute("INSERT INTO numbers VALUES ('key', ?)", secrets.randbits(48))
        self._move(self._next.state, None, None)

    def _forget_unused(self) -> list[pathlib.Path]:
        """Forgets photos and networks that no state names any more.

        Returns:
          Their files, and what is half-written.
        """
        unused = [p for f in (self._photos, self._models) for p in f.glob("*.partial-*")]
        photos, models = set[int](), set[str]()
        for (text,) in self._database.execute("SELECT state FROM states"):
            try:
                state = states.from_json(text)
            except ValueError:
                # It may name any of them.
                return unused
            photos |= {*state.photos()}
            models |= {state.base, state.fit.model if state.fit else ""}
        for photo, file in self._database.execute("SELECT id, file FROM photos"):
            if photo not in photos:
                self._database.execute("DELETE FROM photos WHERE id = ?", photo)
                self._database.execute("DELETE FROM computed WHERE photo = ?", photo)
                unused.append(self._photos / file)
        for (digest,) in self._database.execute("SELECT digest FROM models"):
            if digest not in models:
                self._database.execute("DELETE FROM models WHERE digest = ?", digest)
                unused.append(self._models / f"{digest}.tflite")
        return unused

    def _read_names(self) -> None:
        self._names = dict(self._database.execute("SELECT id, name FROM photos"))

    def _step(self, step: int, what: str) -> None:
        with self.change():
            if self._label(self._position + step) is None:
                raise ValueError(f"expected a change to {what}, got none")
            self._go(step)

    def _go(self, step: int) -> None:
        """Goes to another state of the history."""
        self._position += step
        found = self._database.execute(
            "SELECT operation, state FROM states WHERE number = ?", self._position
        )
        if not found:
            raise ValueError(
                f"expected the present state in the database of {self.folder}, got none; restore "
                "project.sqlite from a backup"
            )
        self._operation, text = found[0]
        has_earlier = self._label(self._position - 1) is not None
        self._move(
            states.from_json(text),
            self._label(self._position) if has_earlier else None,
            self._label(self._position + 1),
        )

    def _move(self, state: State, undo_label: str | None, redo_label: str | None) -> None:
        version = self._next.version + 1
        self._next = Snapshot(state, version, undo_label, redo_label)
        self._database.execute(
            "INSERT OR REPLACE INTO numbers VALUES ('position', ?), ('version', ?)",
            *(self._position, version),
        )

    def _label(self, number: int) -> str | None:
        found = self._database.execute("SELECT label FROM states WHERE number = ?", number)
        return found[0][0] if found else None


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
