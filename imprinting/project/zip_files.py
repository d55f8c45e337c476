"""Class folders in a zip file of unknown origin.

Only what the archive says is used, never a path of it on the disk. The limits hold for what is
unpacked, whatever sizes the archive claims.
"""

import posixpath
import stat
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, NamedTuple

from imprinting.photos import class_folders
from imprinting.project import photo_check
from imprinting.project.state import MOST_PHOTOS

MOST_BYTES = 4 << 30
# Of entries of any kind: reading the list of more takes seconds and much memory.
_MOST_ENTRIES = 4 * MOST_PHOTOS
_BAD_ZIP: tuple[type[Exception], ...] = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError),
    *(RuntimeError, OSError, ValueError, OverflowError),
)
_CHUNK = 1 << 20
# All new entries have this time, so that the same project gives the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


class Entry(NamedTuple):
    """A photo in the archive.

    Attributes:
      class_name: the name of the folder that contains it.
      name: the name of its file.
      info: its place in the archive.
    """

    class_name: str
    name: str
    info: zipfile.ZipInfo


class Contents(NamedTuple):
    """What an archive contains.

    Attributes:
      photos: by the names of their files, in the order of the archive.
      skipped: the other entries that look like photos, with the reason, as sentences.
    """

    photos: list[Entry]
    skipped: list[str]


def opened(file: BinaryIO) -> zipfile.ZipFile:
    """Opens an archive.

    Raises:
      ValueError: if it is none, is damaged, or has too many entries.
    """
    try:
        archive = zipfile.ZipFile(file)
    except _BAD_ZIP as error:
        raise ValueError(f"expected a zip file, got one that cannot be read ({error})") from error
    if len(archive.infolist()) > _MOST_ENTRIES:
        raise ValueError(
            f"expected a zip file of at most {_MOST_ENTRIES:,} entries, got "
            f"{len(archive.infolist()):,}; divide it into several"
        )
    return archive


def contents(archive: zipfile.ZipFile) -> Contents:
    """The photos in class folders.

    Args:
      archive: the archive.

    Raises:
      ValueError: if there are none, or too many.
    """
    photos, skipped = [], []
    for info in archive.infolist():
        # Archives of Windows may have backslashes.
        parts = info.filename.replace("\\", "/").split("/")
        if info.is_dir() or _is_ignored(parts):
            continue
        reason = _reason(info, parts)
        if reason:
            skipped.append(f"{info.filename[:200]}: {reason}")
        else:
            photos.append(Entry(parts[-2], parts[-1], info))
    if not photos:
        raise ValueError(
            "expected a zip file of folders of photos, each with the name of a class, got one "
            f"without{'; ' + skipped[0] if skipped else ''}; put the photos in folders"
        )
    if len(photos) > MOST_PHOTOS:
        raise ValueError(
            f"expected a zip file of at most {MOST_PHOTOS:,} photos, got {len(photos):,}; divide "
            "it into several"
        )
    return Contents(photos, skipped)


def read(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int = photo_check.MOST_BYTES
) -> bytes:
    """The contents of an entry.

    Args:
      archive: the archive.
      info: the entry.
      most: the most bytes that it may have.

    Raises:
      ValueError: if it has more, or is damaged or encrypted.
    """
    try:
        with archive.open(info) as file:
            return _read_at_most(file, most)
    except _BAD_ZIP as error:
        raise ValueError(str(error)) from error


def entry(name: str) -> zipfile.ZipInfo:
    """A new entry, without compression, which photos and networks do not need."""
    info = zipfile.ZipInfo(name, _TIME)
    info.external_attr = 0o644 << 16
    return info


def folder_name(name: str, taken: set[str]) -> str:
    """A name that a folder or a file can have on any system, and which is not taken; adds it."""
    kept = "".join("_" if c in '/\\:*?"<>|' or not c.isprintable() else c for c in name)
    # File systems have a limit of 255 bytes.
    kept = kept.encode()[:150].decode(errors="ignore").strip(". ") or "_"
    if kept.split(".")[0].lower() in _reserved() or kept.lower() in class_folders.LEFT_BY_SYSTEMS:
        kept = f"_{kept}"
    stem, end = posixpath.splitext(kept)
    found, number = kept, 2
    while found.casefold() in taken:
        found, number = f"{stem} {number}{end}", number + 1
    taken.add(found.casefold())
    return found


def _reserved() -> Iterator[str]:
    """Names that Windows does not allow."""
    yield from ("con", "prn", "aux", "nul")
    for number in range(10):
        yield f"com{number}"
        yield f"lpt{number}"


def _is_ignored(parts: list[str]) -> bool:
    hidden = any(
        part.startswith(".")
        and part not in (".", "..")
        or part.lower() in class_folders.LEFT_BY_SYSTEMS
        for part in parts
    )
    return hidden or not parts[-1].lower().endswith(class_folders.IMAGE_ENDINGS)


def _reason(info: zipfile.ZipInfo, parts: list[str]) -> str:
    """Why an entry is skipped; empty if it is not."""
    mode = info.external_attr >> 16
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        return "its path leads out of the archive"
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "it is a link or a device, not a file"
    if len(parts) < 2 or not parts[-2].strip():
        return "it is not in a folder, which would name its class"
    if info.flag_bits & 1:
        return "it is encrypted"
    if info.file_size > photo_check.MOST_BYTES:
        return f"it has more than {photo_check.MOST_BYTES:,} bytes"
    return ""


def _read_at_most(file: IO[bytes], most: int) -> bytes:
    parts, size = [], 0
    while part := file.read(_CHUNK):
        size += len(part)
        if size > most:
            raise ValueError(f"it has more than {most:,} bytes")
        parts.append(part)
    return b"".join(parts)
