"""Arrays that may be larger than memory: in files without names, which are mapped to memory."""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

import numpy as np

from imprinting.base import atomic_files

# More is in files. Fewer bytes need no disk, which may be full or write-protected.
_MOST_IN_MEMORY = 64 << 20
# Of the arrays that are worked on at a time.
_PIECE_BYTES = 32 << 20


def gather(
    batches: Iterable[Sequence[np.ndarray]], *, folder: str | None = None
) -> list[np.ndarray]:
    """Joins batches of rows. What memory holds does not grow with their number.

    Up to 64 MB are kept in memory. More is written to a file for each array, which has no name on
    most systems and ends with the array. The system may keep as much of it in memory as is free.

    Args:
      batches: for each array, some rows; the same number of arrays, of the same types and shapes
        but for the number of rows, in each batch. At least one batch.
      folder: where files are; None for the system's folder for temporary files (TMPDIR).

    Returns:
      The arrays, which must not be changed.

    Raises:
      OSError: if a file is needed and cannot be written; names the folder.
    """
    kept: list[Sequence[np.ndarray]] = []
    files: list[IO[bytes]] = []
    size = count = 0
    with contextlib.ExitStack() as stack:
        for batch in batches:
            count += len(batch[0])
            if files:
                _write(files, batch)
                continue
            kept.append(batch)
            size += sum(part.nbytes for part in batch)
            if size > _MOST_IN_MEMORY:
                # Not earlier: it is an error if no folder for temporary files can be written.
                folder = folder or tempfile.gettempdir()
                stack.enter_context(atomic_files.name_path_in_errors(folder))
                files = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in batch]
                for earlier in kept:
                    _write(files, earlier)
                kept = [batch]
        if not files:
            return [np.concatenate(parts) for parts in zip(*kept, strict=True)]
        return [_mapped(file, count, part) for file, part in zip(files, kept[0], strict=True)]


def pieces(count: int, row_bytes: int) -> Iterator[slice]:
    """Divides rows into pieces of at most 32 MB, or of a single row.

    Args:
      count: the number of rows.
      row_bytes: the size of each.
    """
    rows = max(1, _PIECE_BYTES // max(row_bytes, 1))
    for begin in range(0, count, rows):
        yield slice(begin, min(begin + rows, count))


def take(array: np.ndarray, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """Some rows of an array; a view if they are consecutive, and otherwise as by `gather`.

    Args:
      array: the array.
      rows: their numbers, in any order; at least one.
    """
    rows = np.asarray(rows)
    if np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return array[rows[0] : rows[0] + len(rows)]
    row_bytes = array[0].nbytes
    return gather([array[rows[piece]]] for piece in pieces(len(rows), row_bytes))[0]


def _write(files: Sequence[IO[bytes]], batch: Sequence[np.ndarray]) -> None:
    # Not through a memory mapping: a full disk would then kill the process.
    for file, part in zip(files, batch, strict=True):
        file.write(part.tobytes())


def _mapped(file: IO[bytes], count: int, like: np.ndarray) -> np.ndarray:
    file.flush()
    mapped = np.memmap(file, like.dtype, "r", shape=(count, *like.shape[1:]))
    return mapped.view(np.ndarray)
