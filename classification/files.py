"""Files and folders that appear whole or not at all."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Collection, Iterator


def write_whole(path: str, data: bytes) -> None:
    """Writes a file beside its place, then moves it there.

    Where this fails, what was at `path` is left as it was, and nothing beside it.

    Raises:
      FileNotFoundError: if the folder that the file belongs in is missing.
      IsADirectoryError: if there is a folder at `path`.
      OSError: if it cannot be written.
    """
    check_place(path)
    partial = _beside(path, "partial")
    try:
        with errors_name(path), open(partial, "wb") as file:
            file.write(data)
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def check_place(path: str) -> None:
    """Checks that `write_whole` can put a file there: early, where what comes before takes long.

    Raises:
      FileNotFoundError: if the folder that the file belongs in is missing.
      IsADirectoryError: if there is a folder at `path`.
    """
    _check_parent(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"expected the name of a file to write, got the folder {path}")


@contextlib.contextmanager
def errors_name(path: str) -> Iterator[None]:
    """Lets the system's errors that name no file, as that of a full disk, name this one."""
    try:
        yield
    except OSError as error:
        if error.strerror is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, path) from error


@contextlib.contextmanager
def whole_folder(path: str, names: Collection[str]) -> Iterator[str]:
    """Gives a folder to write in, which is moved to its place when all has gone well.

    What stood at `path` is replaced: nothing, an empty folder, or an earlier result. Where
    this fails, it is left as it was, and nothing beside it.

    Args:
      path: where the folder shall be.
      names: of the files that will be written. A folder that holds others is not replaced.

    Yields:
      The path of the folder to write in, which is empty and on the same file system.

    Raises:
      FileNotFoundError: if the folder that it belongs in is missing.
      FileExistsError: if a file stands at `path`, or a folder that holds something else.
      OSError: if it cannot be written.
    """
    # A link stays what it is, and what it leads to is replaced.
    path = os.path.realpath(path)
    check_replaceable(path, names)
    partial, old = (_beside(path, kind) for kind in ("partial", "old"))
    os.mkdir(partial)
    try:
        yield partial
        check_replaceable(path, names)
        if os.path.isdir(path) and os.listdir(path):
            os.rename(path, old)
        os.rename(partial, path)
    except BaseException:
        if os.path.isdir(old):
            os.rename(old, path)
        raise
    finally:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _beside(path: str, kind: str) -> str:
    # Not the process's number alone: in containers that share a folder, all have the same.
    return f"{path}.{kind}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _check_parent(path: str) -> None:
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"expected a folder {folder} to write {os.path.basename(path)} in; there is none: "
            "make it first, or name another"
        )


def check_replaceable(path: str, names: Collection[str]) -> None:
    """Checks that `whole_folder` can put a folder there: early, as `check_place`.

    Raises:
      FileNotFoundError: see `whole_folder`.
      FileExistsError: likewise.
    """
    _check_parent(os.path.realpath(path))
    if not os.path.exists(path):
        return
    if not os.path.isdir(path):
        raise FileExistsError(f"expected the name of a folder to write, got the file {path}")
    others = sorted(set(os.listdir(path)) - set(names))
    if others:
        raise FileExistsError(
            f"expected a new or empty folder, or one with an earlier result, got {path}, which "
            f"holds {', '.join(others[:3])}{' and more' if len(others) > 3 else ''}; name another"
        )
