"""Writes files and folders atomically: they appear complete or not at all."""

import contextlib
import os
import shutil
import stat
import uuid
from collections.abc import Collection, Iterator, Mapping


def write_atomically(path: str, data: bytes, *, durable: bool = False) -> None:
    """Writes a temporary file in the same folder, then renames it; see `write_files`."""
    write_files({path: data}, durable=durable)


def write_files(contents: Mapping[str, bytes], *, durable: bool = False) -> None:
    """Writes all of the files or none of them.

    Each is written to a temporary file in the same folder; then all are renamed. If any step
    fails, the files that were at the paths are restored, and no temporary file is left. (If the
    process is killed between two renames, some files are new and others old, and temporary files
    are left. On file systems without links, one of the old files may then be only beside its path.)

    A symbolic link is kept, and the file that it points to is replaced. A file that is replaced
    keeps its permissions.

    Args:
      contents: path -> the file's contents.
      durable: whether to wait until the contents are on the disk, and not only in memory.

    Raises:
      OSError: if a file cannot be written; see `check_place`.
      ValueError: if there is something else than a file at a path.
    """
    for path in contents:
        check_place(path)
    given = {_target(path): path for path in contents}
    contents = {_target(path): data for path, data in contents.items()}
    partial = {path: _beside(path, "partial") for path in contents}
    # A single file is replaced in one step. Several old files are kept until all are replaced.
    old = {path: _beside(path, "old") for path in contents} if len(contents) > 1 else {}
    moved = []
    try:
        for path, data in contents.items():
            with (
                name_path_in_errors(given[path], partial[path]),
                open(partial[path], "wb") as file,
            ):
                # Some file systems have the same permissions for all files.
                with contextlib.suppress(FileNotFoundError, PermissionError):
                    os.chmod(partial[path], stat.S_IMODE(os.stat(path).st_mode))
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
        for path in contents:
            if path in old and os.path.lexists(path):
                _keep(path, old[path])
            with name_path_in_errors(given[path], partial[path]):
                os.replace(partial[path], path)
            moved.append(path)
            if durable:
                _sync_folder(os.path.dirname(path) or ".")
    except BaseException:
        for path, kept in old.items():
            if os.path.lexists(kept):
                os.replace(kept, path)
            elif path in moved:
                os.remove(path)
        raise
    finally:
        for leftover in (*partial.values(), *old.values()):
            if os.path.lexists(leftover):
                os.remove(leftover)


def check_place(path: str) -> None:
    """Checks that `write_atomically` can write to a path; call it before work that takes long.

    Raises:
      FileNotFoundError: if the file's folder does not exist.
      PermissionError: if the folder cannot be written.
      IsADirectoryError: if there is a folder at `path`.
      OSError: if symbolic links lead nowhere.
      ValueError: if there is something else than a file at `path`, such as a device.
    """
    mode = os.stat(path).st_mode if os.path.exists(path) else stat.S_IFREG
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"expected the name of a file to write, got the folder {path}")
    if not stat.S_ISREG(mode):
        raise ValueError(
            f"expected the name of a file to write, got {path}, which is not a regular file but a "
            "device, a pipe or the like; name another file"
        )
    _check_parent(_target(path))


def check_not_read(path: str, inputs: Collection[str]) -> None:
    """Checks that writing a file does not replace one that is read; both may be links.

    Raises:
      ValueError: if `path` is the same file as one of `inputs`.
    """
    for read in inputs:
        if os.path.exists(path) and os.path.exists(read) and os.path.samefile(path, read):
            same = "" if path == read else f"the same file as {read}, "
            raise ValueError(
                f"expected the name of a file to write, got {path}, {same}which is read; name "
                "another file"
            )


@contextlib.contextmanager
def name_path_in_errors(path: str, temporary: str | None = None) -> Iterator[None]:
    """Adds a path to system errors that do not name a file, such as that of a full disk.

    Args:
      path: the path.
      temporary: a file that users do not know; errors about it name `path` instead.
    """
    try:
        yield
    except OSError as error:
        if error.strerror is None or error.filename not in (None, temporary):
            raise
        raise OSError(error.errno, error.strerror, path) from error


@contextlib.contextmanager
def atomic_folder(path: str, names: Collection[str]) -> Iterator[str]:
    """Provides a temporary folder, which is renamed to `path` if the context ends without an error.

    It replaces an empty folder or an earlier result at `path`. If an error ends the context,
    `path` is unchanged, and no temporary folder is left.

    Args:
      path: the folder to create or replace.
      names: the files that will be written. A folder that holds other files is not replaced.

    Yields:
      The path of the temporary folder. It is empty, and on the same file system.

    Raises:
      FileNotFoundError: if the parent folder does not exist.
      PermissionError: if the parent folder cannot be written.
      FileExistsError: if there is a file at `path`, or a folder that holds other files.
      OSError: if the folder cannot be written.
    """
    # A symbolic link is kept, and the folder that it points to is replaced.
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


def _sync_folder(path: str) -> None:
    """Waits until the names in a folder are on the disk; Windows cannot open folders."""
    if os.name != "posix":
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _keep(path: str, old: str) -> None:
    """Gives a file a second name; on file systems without links, moves it there."""
    try:
        os.link(path, old, follow_symlinks=False)
    except OSError:
        os.rename(path, old)


def _beside(path: str, kind: str) -> str:
    # Process IDs are not enough: containers that share a folder may use the same ones.
    return f"{path}.{kind}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _target(path: str) -> str:
    """The file that a symbolic link leads to; other paths stay as the user gave them."""
    return os.path.realpath(path) if os.path.islink(path) else path


def _check_parent(path: str) -> None:
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"expected a folder {folder} to write {os.path.basename(path)} in, got none; create "
            "it, or name another"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(
            f"expected a folder that can be written, got {folder}, where {os.path.basename(path)} "
            "cannot be created; change its permissions, or name another"
        )


def check_replaceable(path: str, names: Collection[str]) -> None:
    """Checks that `atomic_folder` can write to a path; call it before work that takes long.

    Raises:
      FileNotFoundError: if the parent folder does not exist.
      PermissionError: if the parent folder cannot be written.
      FileExistsError: if there is a file at `path`, or a folder that holds other files.
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
            f"holds {', '.join(others[:3])}{' and more' if len(others) > 3 else ''}; name "
            "another"
        )
