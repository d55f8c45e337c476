"""The files in a zip archive that is appended to a .tflite, such as its labels.

An archive of unknown origin may name more files than it has, or contain files that become thousands
of times as large; so all numbers are limited before anything is unpacked.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

# The most files, the most bytes of all of them together, and of the archive's list of files.
MOST_FILES = 100
MOST_BYTES = 1 << 24
_MOST_LIST = 1 << 16
# PKWARE's APPNOTE.TXT, section 4.3.16: the record at the end of an archive, and where it has the
# length of the list. It is followed by a comment, whose length has two bytes.
_END, _END_BYTES, _LIST_LENGTH = b"PK\x05\x06", 22, slice(12, 16)
# Section 4.3.15: before it, large archives have another record.
_LARGE, _LARGE_BYTES = b"PK\x06\x07", 20
_MOST_COMMENT = 1 << 16
# Others have no limit for what they unpack.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
    struct.error,
)


def are_there(data: bytes) -> bool:
    """Returns whether an archive is appended to a .tflite, damaged or not."""
    return zipfile.is_zipfile(io.BytesIO(data))


def read(data: bytes, name: str | None = None) -> dict[str, bytes]:
    """Returns name -> contents of the files that are appended to a .tflite, {} for no archive.

    Args:
      data: the bytes of the .tflite, with the archive.
      name: the only file to read; None for all.

    Raises:
      ValueError: if the archive is damaged, has more than `MOST_FILES` or `MOST_BYTES`, or does not
        have the file.
    """
    if not are_there(data):
        if name is None:
            return {}
        raise ValueError(f"expected the file {name} appended to the model, got no file")
    try:
        _check_list(data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist() if name is None else [_info(archive, name)]
            if len(infos) > MOST_FILES:
                raise ValueError(f"more than {MOST_FILES} files")
            found, left = {}, MOST_BYTES
            for info in infos:
                found[info.filename] = content = _content(archive, info, left)
                left -= len(content)
            return found
    except _DAMAGED as error:
        raise ValueError(
            "expected a valid zip archive appended to the model, got a damaged one "
            f"({_printable(error)}); create the .tflite again"
        ) from error


def append(data: bytes, files: Mapping[str, bytes]) -> bytes:
    """Returns a .tflite with files appended to it; the bytes do not depend on the time."""
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return file.getvalue()


def _check_list(data: bytes) -> None:
    """Checks the length of an archive's list of files, which is read as a whole."""
    at = len(data) - _END_BYTES
    if not (data[at : at + 4] == _END and data[-2:] == b"\0\0"):
        at = data.rfind(_END, max(0, at - _MOST_COMMENT))
    if at >= _LARGE_BYTES and data[at - _LARGE_BYTES :].startswith(_LARGE):
        raise ValueError("more than 65,535 files")
    length = int.from_bytes(data[at:][_LIST_LENGTH], "little")
    if length > _MOST_LIST:
        raise ValueError(f"a list of files of {length:,} bytes")


def _info(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    try:
        return archive.getinfo(name)
    except KeyError as error:
        raise ValueError(f"no file {name}") from error


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    if info.compress_type not in _METHODS:
        raise ValueError(f"compression method {info.compress_type}")
    with archive.open(info) as file:
        # The size that the archive states may be wrong, but no more than this is unpacked.
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"more than {MOST_BYTES:,} bytes")
    return content


def _printable(error: Exception) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(error))[:200]
