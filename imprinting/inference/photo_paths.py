"""Finds the photos that a user names: files, and all photos in folders."""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence

from imprinting.photos import class_folders


@dataclasses.dataclass(frozen=True)
class Found:
    """The photos in files and folders.

    Attributes:
      photos: their paths, in the order in which the files and folders were named; in a folder, in
        the order of their names.
      in_folders: those of them that are in folders.
      ignored: the paths of files and folders that are hidden, left by a system or not images by
        name.
    """

    photos: tuple[str, ...]
    in_folders: tuple[str, ...]
    ignored: tuple[str, ...]


def with_listed(paths: Sequence[str], stdin: Iterable[str] | None) -> list[str]:
    """Returns the paths, with those that standard input lists instead of `-`.

    Args:
      paths: files, folders and perhaps `-`.
      stdin: a path in each line; empty lines are ignored. None if it is closed.

    Raises:
      ValueError: if `-` is there twice, or standard input is closed.
    """
    if paths.count("-") > 1:
        raise ValueError("expected - at most once, got it twice: standard input ends only once")
    if "-" in paths and stdin is None:
        raise ValueError(
            "expected the paths of photos on standard input, which is closed; name them as "
            "arguments"
        )
    named: list[str] = []
    for path in paths:
        listed = [line.rstrip("\r\n") for line in stdin or ()] if path == "-" else [path]
        named += filter(None, listed)
    return named


def find(paths: Sequence[str]) -> Found:
    """Finds photos, without opening any.

    Args:
      paths: files, which may have any name, and folders. Folders in these are searched, too; links
        to folders are followed.

    Raises:
      OSError: if a file or folder is missing, or a folder cannot be read.
      ValueError: if no path is given, or a folder has no photo.
    """
    if not paths:
        raise ValueError("expected photos, or folders of photos, got none; name at least one")
    photos: list[str] = []
    in_folders: list[str] = []
    ignored: list[str] = []
    for path in paths:
        _check(path)
        if not os.path.isdir(path):
            photos.append(path)
            continue
        found: list[str] = []
        others: list[str] = []
        for file, is_photo in _walk(path, ()):
            (found if is_photo else others).append(file)
        if not found:
            there = ""
            if others:
                names = class_folders.shorten(os.path.relpath(file, path) for file in others)
                there = f" (ignored because hidden or not named like images: {names})"
            raise ValueError(
                f"expected photos in the folder {class_folders.printable(path)}, got none{there}; "
                "name another folder, or the photos themselves"
            )
        photos += found
        in_folders += found
        ignored += others
    return Found(tuple(photos), tuple(in_folders), tuple(ignored))


def _check(path: str) -> None:
    """Checks that a file or folder can be reached."""
    try:
        os.stat(path)
    except OSError as error:
        link = class_folders.describe_link(path)
        why = f"{link}, but: {error.strerror}" if link else error.strerror
        shown = class_folders.printable(path) or "''"
        # For example, a FileNotFoundError or a PermissionError.
        raise type(error)(
            f"expected a photo or a folder of photos, got {shown}: {why}; "
            f"correct the path, which is relative to {os.getcwd()}"
        ) from error


def _walk(folder: str, above: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """All files in a folder, and whether they are photos; what is hidden is not searched.

    Args:
      folder: the folder.
      above: the real paths of the folders around it. A link to one of them is not followed.
    """
    above = (*above, os.path.realpath(folder))
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise type(error)(
            f"expected a folder that can be read, got {class_folders.printable(folder)}: "
            f"{error.strerror}; change its permissions, or leave it out"
        ) from error
    for name in names:
        path = os.path.join(folder, name)
        if name.startswith(".") or name.lower() in class_folders.LEFT_BY_SYSTEMS:
            yield path, False
        elif not os.path.isdir(path):
            yield path, name.lower().endswith(class_folders.IMAGE_ENDINGS)
        elif os.path.realpath(path) not in above:
            yield from _walk(path, above)
