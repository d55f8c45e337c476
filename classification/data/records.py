"""Finds, counts, checks and reads TFRecord files, and reads their classes' names.

A TFRecord file is a sequence of records. Each consists of the payload's length (8 bytes,
little endian), a checksum of the length (4 bytes), the payload, and a checksum of the
payload (4 bytes). Counting reads only the first 12 bytes of each record, which takes
seconds for a million images on a local disk.

Files may be on any of TensorFlow's file systems.
"""

import hashlib
import itertools
import os
import shlex
import struct
from collections.abc import Generator, Iterator, Sequence

import tensorflow as tf

from classification.data import storage
from imprinting.base import labels
from imprinting.photos import class_folders

# The file with the classes' names in a folder of record files.
LABELS_FILE = "labels.txt"

_HEAD_BYTES = 12
_TAIL_BYTES = 4
# How many of the folders in a folder are searched for images; the others are likely similar.
_SEARCHED_FOLDERS = 5


def find_files(folder: str, split: str) -> dict[str, int]:
    """The record files of a split in a folder, sorted by name, with their sizes in bytes.

    Args:
      folder: the folder with the files.
      split: the files are named `SPLIT-*`.

    Raises:
      FileNotFoundError: the folder does not exist, or has no such file.
      NotADirectoryError: the folder is a file.
      OSError: the folder cannot be read.
    """
    try:
        names = storage.list_folder(folder)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"expected a folder with TFRecord files named {split}-*, got {folder}, which does not "
            "exist"
        ) from error
    except NotADirectoryError as error:
        raise NotADirectoryError(
            f"expected a folder with TFRecord files named {split}-*, got the file {folder}; name "
            "the folder of the file"
        ) from error
    paths = [storage.join(folder, name) for name in names if name.startswith(f"{split}-")]
    sizes = zip(paths, storage.sizes(paths), strict=True)
    found = {path: size for path, size in sizes if size is not None}
    if not found:
        there = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        advice = "rename the files, or name another folder"
        if _holds_images(folder, names):
            advice = (
                "convert photos to a data set first: ./bazelw run convert_images -- "
                f"--images_dir={shlex.quote(folder)} --output_dir=DIR"
            )
        raise FileNotFoundError(
            f"expected TFRecord files named {split}-* in {folder}, got "
            f"{there or 'an empty folder'}; {advice}"
        )
    return found


def count(path: str) -> int:
    """The number of records in a TFRecord file.

    Raises:
      ValueError: the file ends inside a record, or the checksum of a record's length is
        wrong. Payloads and their checksums are not read.
    """
    with storage.opened(path) as (read_at, size):
        return sum(1 for _ in _spans(path, read_at, size))


def spans(path: str) -> list[tuple[int, int]]:
    """The offset and the length of each record in bytes, checksums included; see `count`."""
    with storage.opened(path) as (read_at, size):
        frame = _HEAD_BYTES + _TAIL_BYTES
        return [(o - _HEAD_BYTES, length + frame) for o, length in _spans(path, read_at, size)]


def count_each(paths: Sequence[str]) -> dict[str, int]:
    """The number of records in each of several files. Raises what `count` raises."""
    return dict(zip(paths, storage.each(count, paths), strict=True))


def fingerprint(paths: Sequence[str]) -> str:
    """SHA-256, in hex, of the lengths and checksums of all records, in order.

    It depends on the records' content, but not on how they are divided among files. Payloads
    are not read. Raises what `count` raises.
    """
    digest = hashlib.sha256()
    for checksums in storage.each(_checksums, paths):
        digest.update(checksums)
    return digest.hexdigest()


def find_damage(paths: Sequence[str]) -> str | None:
    """A sentence about the first of these files that is damaged; None if none is.

    It reads all files completely and compares the checksums. Use it after an error that does
    not name the damaged file, such as a tf.errors.DataLossError.
    """
    for path in paths:
        try:
            count(path)
        except (ValueError, OSError) as error:
            return str(error)
        damaged = _first_damaged(path)
        if damaged is not None:
            return _wrong_checksum(path, damaged)
    return None


def read_first(path: str) -> bytes:
    """The payload of the first record of a file that has records. Raises what `count` raises."""
    with storage.opened(path) as (read_at, size):
        offset, length = next(_spans(path, read_at, size))
        return read_at(offset, length)


def read(path: str, indices: Sequence[int]) -> list[bytes]:
    """The payloads of some records of a file.

    Args:
      path: the file.
      indices: the numbers of the records, from 0, in ascending order.

    Raises:
      ValueError: the file is damaged, or has no such record.
    """
    wanted = list(indices)
    payloads: list[bytes] = []
    with storage.opened(path) as (read_at, size):
        for index, (offset, length) in enumerate(_spans(path, read_at, size)):
            if len(payloads) == len(wanted):
                break
            if index != wanted[len(payloads)]:
                continue
            payload, checksum = read_at(offset, length), read_at(offset + length, _TAIL_BYTES)
            if _masked_crc32c(payload) != int.from_bytes(checksum, "little"):
                raise ValueError(_wrong_checksum(path, index))
            payloads.append(payload)
    if len(payloads) < len(wanted):
        raise ValueError(
            f"expected a record number {wanted[len(payloads)]} in {path}, got a file with fewer "
            "records; ask for records that it has, in ascending order"
        )
    return payloads


def iterate(paths: Sequence[str]) -> Generator[tuple[str, int, bytes], None, None]:
    """Yields all records of files, in order: the file, the record's number in it, the payload.

    Raises:
      ValueError: a file is damaged.
    """
    for path in paths:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.compat.v1.set_random_seed(0)
            dataset = tf.data.TFRecordDataset(path)
            record = tf.compat.v1.data.make_one_shot_iterator(dataset).get_next()
            for index in itertools.count():
                try:
                    payload = session.run(record)
                except tf.errors.OutOfRangeError:
                    break
                except tf.errors.DataLossError as error:
                    raise ValueError(find_damage([path]) or str(error)) from error
                yield path, index, payload


def read_labels(folder: str) -> tuple[str, ...] | None:
    """The class names in the `labels.txt` of a folder, index = label; None if there is none.

    Raises what `read_label_file` raises.
    """
    path = os.path.join(folder, LABELS_FILE)
    return read_label_file(path) if storage.exists(path) else None


def read_label_file(path: str) -> tuple[str, ...]:
    """The class names in a file on any of TensorFlow's file systems, index = label.

    Raises:
      OSError: the file cannot be read.
      ValueError: see `labels.parse`.
    """
    return labels.parse(storage.read(path), path)


def _holds_images(folder: str, names: Sequence[str], *, depth: int = 3) -> bool:
    """Whether a folder, or folders of classes and splits in it, contain image files."""
    if any(name.lower().endswith(class_folders.IMAGE_ENDINGS) for name in names):
        return True
    for name in names[:_SEARCHED_FOLDERS] if depth else ():
        inner = storage.join(folder, name)
        try:
            if _holds_images(inner, storage.list_folder(inner), depth=depth - 1):
                return True
        except OSError:
            continue
    return False


def _spans(path: str, read_at: storage.ReadAt, size: int) -> Iterator[tuple[int, int]]:
    """Yields the offset and the length, in bytes, of each payload of an opened file."""
    offset = 0
    while offset < size:
        head = read_at(offset, _HEAD_BYTES)
        if len(head) < _HEAD_BYTES:
            raise _truncated(path, offset, size)
        length, checksum = struct.unpack("<QI", head)
        if _masked_crc32c(head[:8]) != checksum:
            raise ValueError(
                f"expected a TFRecord at offset {offset} of {path}, got a length with a wrong "
                "checksum; the file is damaged, compressed or of another kind: write it again as "
                "uncompressed TFRecords"
            )
        end = offset + _HEAD_BYTES + length + _TAIL_BYTES
        if end > size:
            raise _truncated(path, offset, size)
        yield offset + _HEAD_BYTES, length
        offset = end


def _checksums(path: str) -> bytes:
    """The length and the checksum of each payload, 12 bytes per record."""
    with storage.opened(path) as (read_at, size):
        return b"".join(
            struct.pack("<Q", length) + read_at(offset + length, _TAIL_BYTES)
            for offset, length in _spans(path, read_at, size)
        )


def _first_damaged(path: str) -> int | None:
    """The number of the first record with a wrong checksum; None if there is none."""
    number = 0
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        # Nothing here is random, but deterministic operations require a seed.
        tf.compat.v1.set_random_seed(0)
        lengths = tf.data.TFRecordDataset(path).map(tf.strings.length)
        length = tf.compat.v1.data.make_one_shot_iterator(lengths).get_next()
        try:
            while True:
                session.run(length)
                number += 1
        except tf.errors.OutOfRangeError:
            return None
        except tf.errors.DataLossError:
            return number


def _wrong_checksum(path: str, index: int) -> str:
    return (
        f"expected a complete TFRecord as number {index} of {path}, got one with a wrong checksum; "
        "copy or write the file again"
    )


def _truncated(path: str, offset: int, size: int) -> ValueError:
    return ValueError(
        f"expected a complete TFRecord at offset {offset} of {path}, got a file that ends inside "
        f"it, after {size} bytes; copy or write the file again"
    )


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            # The Castagnoli polynomial with its bits reversed (RFC 3720, appendix B.4).
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _crc32c_table()


def _masked_crc32c(data: bytes) -> int:
    """CRC-32C, rotated and with an offset added, as TFRecord files store it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
