"""Computes embeddings of image files, and keeps them, under the content of network and files.

Embeddings are kept in a file for each network, to which those of new images are appended. It is
mapped to memory: for each photo, memory holds only a key and a number, about 200 bytes.

The file starts with `_MAGIC` and the shape of an image's embeddings, and has a record for each
image: the SHA-256 of the image file, the embeddings, and a checksum of both. Several programs may
use it at the same time. If one is stopped while it writes, the incomplete record at the end is
replaced by the next one.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np

from imprinting.base import atomic_files, large_arrays

# Part of the key; to be raised when the same network and files give different embeddings.
_FORM = 3
_MAGIC = b"EMBEDDED"
# The magic bytes; the number of views, and that of components of an embedding.
_HEADER = struct.Struct("<8sII")
# Written at once. What is lost if the program is stopped takes seconds to compute.
_BATCH = 64

# The start of what stands for a file without a hash.
_UNREADABLE = b"the path of a file that cannot be read: "

# Computes the embeddings of files, float32 [views, d] each, or yields why one cannot be read.
Compute = Callable[[Sequence[str]], Generator[np.ndarray | str, None, None]]
OnProgress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Embeddings:
    """The embeddings of images.

    Attributes:
      values: float32 [m, views, d], of some images in any order; a file that is mapped to memory,
        if they are many.
      rows: int64 [n], where those of each image are in `values`; -1 for images that cannot be read.
      bad: the reasons why images cannot be read, by index.
    """

    values: np.ndarray
    rows: np.ndarray
    bad: dict[int, str]


def embed(
    compute: Compute,
    paths: Sequence[str],
    *,
    key: bytes,
    folder: str,
    on_progress: OnProgress | None = None,
) -> Embeddings:
    """Computes embeddings, or looks up those that were computed before.

    Args:
      compute: computes embeddings.
      paths: image files.
      key: everything that embeddings depend on, except the files.
      folder: the folder to keep them in, one file for each key; it is made if it does not exist.
        '' keeps nothing: they are in memory or, more than 64 MB, in a temporary file.
      on_progress: called with the number of images that were computed, and of all to compute.

    Raises:
      OSError: if a file cannot be written.
      ValueError: if a kept file is damaged.
    """
    if not folder:
        return _computed(compute, paths, on_progress)
    digest = hashlib.sha256(f"{_FORM} ".encode() + key).hexdigest()[:16]
    place = os.path.join(folder, f"{digest}.embeddings")
    values, known = _read(place)
    keys = [_key(path) for path in paths]
    missing = {name: path for name, path in zip(keys, paths, strict=True) if name not in known}
    reasons: dict[bytes, str] = {}
    if missing:
        os.makedirs(folder, exist_ok=True)
        _append(place, _records(compute, missing, reasons, on_progress))
        values, known = _read(place)
    rows = np.array([known.get(name, -1) for name in keys], np.int64)
    bad = {index: reasons[name] for index, name in enumerate(keys) if name in reasons}
    if (rows < 0).sum() != len(bad):
        raise OSError(
            f"expected the embeddings that were written to {place}, got a file without some of "
            "them: another program has replaced it; run this one again"
        )
    return Embeddings(values, rows, bad)


def _computed(compute: Compute, paths: Sequence[str], on_progress: OnProgress | None) -> Embeddings:
    """Embeddings that are not kept."""
    rows, bad = np.full(len(paths), -1), dict[int, str]()

    def readable() -> Iterator[list[np.ndarray]]:
        count = 0
        for index, found in enumerate(_counted(compute, paths, on_progress)):
            if isinstance(found, str):
                bad[index] = found
                continue
            rows[index] = count
            count += 1
            yield [found[np.newaxis]]
        if not count:
            yield [np.zeros([0, 0, 0], np.float32)]

    (values,) = large_arrays.gather(readable())
    return Embeddings(values, rows, bad)


def _counted(
    compute: Compute, paths: Sequence[str], on_progress: OnProgress | None
) -> Iterator[np.ndarray | str]:
    # After an error, too, TensorFlow's graphs must be left in the reverse order.
    with contextlib.closing(compute(paths)) as results:
        for done, found in enumerate(results, start=1):
            yield found
            if on_progress is not None:
                on_progress(done, len(paths))


def _records(
    compute: Compute,
    missing: dict[bytes, str],
    reasons: dict[bytes, str],
    on_progress: OnProgress | None,
) -> Iterator[tuple[bytes, np.ndarray]]:
    """The keys and embeddings of files; adds the reasons why others cannot be read."""
    results = _counted(compute, list(missing.values()), on_progress)
    for name, found in zip(missing, results, strict=True):
        if isinstance(found, str):
            reasons[name] = found
        elif name.startswith(_UNREADABLE):
            # A record needs the hash.
            reasons[name] = "it could not be opened at first; run this program again"
        else:
            yield name, found


def _append(place: str, records: Iterator[tuple[bytes, np.ndarray]]) -> None:
    """Appends records to a file, which is made if it does not exist."""
    waiting: list[bytes] = []
    shape: tuple[int, ...] = ()
    for name, values in records:
        data = name + values.astype("<f4").tobytes()
        waiting.append(data + struct.pack("<I", zlib.crc32(data)))
        shape = values.shape
        if len(waiting) == _BATCH:
            _write(place, shape, waiting)
            waiting = []
    if waiting:
        _write(place, shape, waiting)


def _write(place: str, shape: tuple[int, ...], records: Sequence[bytes]) -> None:
    # The lock ends with the file or the process.
    with atomic_files.name_path_in_errors(place), open(place, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = os.fstat(file.fileno()).st_size
        if size:
            file.truncate(size - (size - _HEADER.size) % len(records[0]))
        else:
            file.write(_HEADER.pack(_MAGIC, *shape))
        file.write(b"".join(records))


def _read(place: str) -> tuple[np.ndarray, dict[bytes, int]]:
    """The embeddings in a file, and the row of each key in them; none if there is no file."""
    if not os.path.exists(place) or not os.path.getsize(place):
        return np.zeros([0, 0, 0], np.float32), {}
    with atomic_files.name_path_in_errors(place), open(place, "rb") as file:
        head = file.read(_HEADER.size)
        # No other program writes at the moment. A mapping would keep the lock.
        fcntl.flock(file, fcntl.LOCK_SH)
        size = os.fstat(file.fileno()).st_size
        fcntl.flock(file, fcntl.LOCK_UN)
        if len(head) < _HEADER.size or not head.startswith(_MAGIC):
            raise _damaged(place, "a file of another kind")
        _, views, depth = _HEADER.unpack(head)
        record = np.dtype([("key", "V32"), ("values", "<f4", (views, depth)), ("check", "<u4")])
        count = (size - _HEADER.size) // record.itemsize
        if not count:
            return np.zeros([0, 0, 0], np.float32), {}
        mapped = np.memmap(file, record, "r", _HEADER.size, (count,)).view(np.ndarray)
    known: dict[bytes, int] = {}
    for piece in large_arrays.pieces(count, record.itemsize):
        for row, found in enumerate(mapped[piece], start=piece.start):
            if zlib.crc32(found.tobytes()[:-4]) != found["check"]:
                raise _damaged(place, f"a damaged record, number {row}")
            known.setdefault(found["key"].tobytes(), row)
    return mapped["values"], known


def _damaged(place: str, what: str) -> ValueError:
    return ValueError(f"expected embeddings in {place}, got {what}; remove it")


def _key(path: str) -> bytes:
    """A hash of a file's content, or `_UNREADABLE` and its path."""
    with contextlib.suppress(OSError):
        # Opening a pipe would wait for a writer.
        if os.path.isfile(path):
            with open(path, "rb") as file:
                return hashlib.sha256(file.read()).digest()
    return _UNREADABLE + os.fsencode(path)
