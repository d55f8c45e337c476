"""Reads files on any of TensorFlow's file systems: local ones, or `SCHEME://…`, such as gs://.

Errors are Python's own, with a sentence that names the file.
"""

import concurrent.futures
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import tensorflow as tf

T = TypeVar("T")

# Reads bytes of a file, given an offset and a number of bytes; fewer at the end of the file.
ReadAt = Callable[[int, int], bytes]

# More than there are processors, because reading mostly waits for a disk or a network.
_AT_ONCE = 16


def is_local(path: str) -> bool:
    """Whether a path has no scheme, and so means a file of this machine."""
    return "://" not in path


def join(folder: str, path: str) -> str:
    """Resolves a path relative to a folder, unless it is absolute or has a scheme."""
    return os.path.join(folder, path) if is_local(path) else path


def location(folder: str) -> str:
    """A folder's name that does not depend on the current folder: absolute or with a scheme."""
    return os.path.abspath(folder) if is_local(folder) else folder.rstrip("/")


def list_folder(folder: str) -> list[str]:
    """The names of the files and folders in a folder, sorted.

    Raises:
      FileNotFoundError: there is no such folder.
      NotADirectoryError: it is a file.
      OSError: it cannot be read.
    """
    with _python_errors(folder):
        if not tf.io.gfile.isdir(folder):
            tf.io.gfile.stat(folder)
            raise NotADirectoryError(f"expected a folder, got the file {folder}")
        return sorted(name.rstrip("/") for name in tf.io.gfile.listdir(folder))


def sizes(paths: Sequence[str]) -> list[int | None]:
    """The sizes of files, in bytes; None for a folder.

    Raises:
      FileNotFoundError: a file is missing.
      OSError: it cannot be read.
    """
    return each(_size, paths)


def each(function: Callable[[str], T], paths: Sequence[str]) -> list[T]:
    """The results of a function for each of several files, many of them at a time."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(function, paths))


def exists(path: str) -> bool:
    """Whether a file or folder exists.

    Raises:
      OSError: the file system cannot be read.
    """
    with _python_errors(path):
        return tf.io.gfile.exists(path)


def read(path: str) -> bytes:
    """The content of a file.

    Raises:
      FileNotFoundError: it is missing.
      OSError: it cannot be read.
    """
    with _python_errors(path), tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


@contextlib.contextmanager
def opened(path: str) -> Iterator[tuple[ReadAt, int]]:
    """Opens a file to read parts of it.

    Yields:
      A function that reads at an offset, and the file's size in bytes.

    Raises:
      FileNotFoundError: it is missing.
      OSError: it cannot be read.
    """
    if is_local(path):
        # For a million small reads, GFile takes ten times as long.
        with open(path, "rb", buffering=0) as file:
            number = file.fileno()
            yield lambda offset, count: os.pread(number, count, offset), os.fstat(number).st_size
        return
    with _python_errors(path), tf.io.gfile.GFile(path, "rb") as file:

        def read_at(offset: int, count: int) -> bytes:
            file.seek(offset)
            return file.read(count)

        yield read_at, file.size()


def _size(path: str) -> int | None:
    with _python_errors(path):
        found = tf.io.gfile.stat(path)
        return None if found.is_directory else found.length


@contextlib.contextmanager
def _python_errors(path: str) -> Iterator[None]:
    try:
        yield
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(f"{path} does not exist") from error
    except tf.errors.OpError as error:
        # For example, an unknown scheme, a missing permission, or no network.
        raise OSError(f"{path} cannot be read: {error.message}") from error
