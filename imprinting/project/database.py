"""A SQLite file of which each change is there completely or not at all."""

import contextlib
import errno
import os
import pathlib
import sqlite3
import threading
from collections.abc import Iterator


class Database:
    """A database that no other process can open meanwhile. Several threads may use it.

    Attributes:
      lock: held during a transaction, so that no other thread sees a part of it.
    """

    def __init__(self, path: pathlib.Path, schema: str) -> None:
        """Opens a database, or creates it.

        Args:
          path: its file.
          schema: statements that create its tables, unless they are there.

        Raises:
          OSError: if it cannot be written, or another program has it open.
          ValueError: if it is damaged or something else.
        """
        self._path = path
        self.lock = threading.RLock()
        with self._errors():
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=1
            )
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")

    def execute(self, statement: str, *values: object) -> list[tuple]:
        """The rows that a statement returns.

        Args:
          statement: the statement.
          *values: what stands for its question marks.
        """
        with self.lock, self._errors():
            return self._connection.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """What is executed within it is on the disk after it, or, after an error, not at all."""
        with self.lock:
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                # After some errors, such as that of a full disk, SQLite has done so itself.
                if self._connection.in_transaction:
                    self.execute("ROLLBACK")
                raise

    def write_log(self) -> None:
        """Moves all changes from the log to the file, of which users may copy only one."""
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Lets other processes open it."""
        with self.lock:
            self._connection.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns errors of SQLite into ones that users understand."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise OSError(
                    f"expected a project that no other program has open, got {self._path.parent}; "
                    "close the other one, or name another folder"
                ) from error
            if "full" in str(error):
                full = errno.ENOSPC
                raise OSError(full, os.strerror(full), str(self._path)) from error
            raise OSError(f"{self._path} cannot be written: {error}") from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"expected a project in {self._path.parent}, got a file {self._path.name} that is "
                f"damaged or of another program ({error}); name another folder"
            ) from error
