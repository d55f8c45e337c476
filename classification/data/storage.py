"""Files wherever TensorFlow's file systems reach: on this machine, or `SCHEME://…`, as in gs://.

Errors are Python's own, each a sentence that names the file.
"""

import concurrent.futures
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import tensorflow as tf

T = TypeVar("T")

# Gives some bytes of a file: those from an offset, as many as asked for, if there are.
ReadAt = Callable[[int, int], bytes]

# What takes the time is waiting for a disk or a network, not this machine's processors.
_AT_ONCE = 16


def is_local(path: str) -> bool:
    """Whether a path has no scheme, so that it means a file of this machine."""
    return "://" not in path


def join(folder: str, path: str) -> str:
    """A path as seen from a folder, which does not matter where it is absolute or has a scheme."""
    return os.path.join(folder, path) if is_local(path) else path


def location(folder: str) -> str:
    """A folder's name that means the same from everywhere: absolute, or with its scheme."""
    return os.path.abspath(folder) if is_local(folder) else folder.rstrip("/")


def list_folder(folder: str) -> list[str]:
    """The names of what a folder holds, sorted.

    Raises:
      FileNotFoundError: there is no such folder.
      NotADirectoryError: it is a file.
      OSError: it cannot be read.
    """
    with _python_errors(folder):
        if not tf.io.gfile.isdir(folder):
            tf.io.gfile.stat(folder)
            raise NotADirectoryError(f"Expected a folder, but {folder} is a file.")
        return sorted(name.rstrip("/") for name in tf.io.gfile.listdir(folder))


def sizes(paths: Sequence[str]) -> list[int | None]:
    """The sizes of files, in bytes; None for a folder.

    Raises:
      FileNotFoundError: a file is missing.
      OSError: it cannot be read.
    """
    return each(_size, paths)


def each(function: Callable[[str], T], paths: Sequence[str]) -> list[T]:
    """What a function returns for each of several files, of which many are read at once."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(function, paths))


def exists(path: str) -> bool:
    """Whether there is such a file or folder.

    Raises:
      OSError: this cannot be found out.
    """
    with _python_errors(path):
        return tf.io.gfile.exists(path)


def read(path: str) -> bytes:
    """What a file holds.

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
        # A million small reads, which GFile takes ten times as long for.
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
        raise FileNotFoundError(f"{path} does not exist.") from error
    except tf.errors.OpError as error:
        # Such as: a scheme that TensorFlow does not know, no permission, no network.
        raise OSError(f"{path} cannot be read: {error.message}.") from error
