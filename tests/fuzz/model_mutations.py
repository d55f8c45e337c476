"""Changes .tflite files at random, with a given random generator."""

import copy
import io
import random
import struct
import zipfile
from collections.abc import Callable, Sequence

import flatbuffers
import numpy as np

import imprinting.schema.metadata as form
import imprinting.schema.tflite as schema
from imprinting.tflite import model_file
from tests.fuzz import model_changes
from tests.fuzz.byte_mutations import mutate_bytes

# What struct and NumPy raise if a number does not fit into its field.
_UNWRITABLE = (struct.error, TypeError, ValueError, OverflowError, AttributeError, IndexError)
_METADATA = b"TFLITE_METADATA"


def mutate(data: bytes, other: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Changes a .tflite; returns the kind of change, and the bytes.

    Args:
      data: a valid .tflite.
      other: another one, pieces of which may be taken.
      rng: the random generator.
    """
    kinds: Sequence[tuple[int, Callable[[bytes, bytes, random.Random], bytes]]] = (
        (10, _bytes),
        (10, _offsets),
        (5, _truncated),
        (5, _spliced),
        (50, _structured),
        (8, _archive),
        (7, _described),
    )
    (chosen,) = rng.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])
    return chosen.__name__.removeprefix("_"), chosen(data, other, rng)


def _bytes(data: bytes, other: bytes, rng: random.Random) -> bytes:
    del other
    return mutate_bytes(data, rng)


def _offsets(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Overwrites numbers of 4 bytes, many of which are offsets, or of 2, which are in vtables."""
    del other
    mutated = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        size = rng.choice((4, 4, 4, 2))
        # Tables are at both ends of a file; weights are between them.
        at = rng.randrange(rng.choice((64, 2000, 6000, len(data))))
        at = rng.choice((at, len(data) - at)) // size * size
        value = rng.choice(
            (
                *model_changes.SMALL,
                *model_changes.LARGE,
                rng.randrange(len(data)),
                rng.randrange(2**32),
                -rng.randrange(9999),
            )
        )
        if 0 <= at <= len(data) - size:
            mutated[at : at + size] = (value % 256**size).to_bytes(size, "little")
    return bytes(mutated)


def _truncated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    del other
    cut = rng.randrange(len(data))
    return rng.choice((data[:cut], data[:cut] + bytes(len(data) - cut), data[cut:]))


def _spliced(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Puts a piece of another file in the place of one of this, or before it."""
    start, end = sorted(rng.randrange(len(other) + 1) for _ in range(2))
    piece = other[start:end]
    at = rng.choice((start, rng.randrange(len(data) + 1)))
    return data[:at] + piece + data[rng.choice((at, at + len(piece))) :]


def _structured(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Changes fields of the model, and writes it again."""
    archive = data[archive_start(data) :]
    donor = model_file.parse(other, compiled=True)
    for _ in range(50):
        model = copy.deepcopy(model_file.parse(data, compiled=True))
        try:
            # A change may also fail because of the one before.
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                rng.choice(model_changes.CHANGES)(model, donor, rng)
            return model_file.serialise(model) + archive
        except _UNWRITABLE:
            continue
    return data


def _archive(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Damages the files that are appended to the model, or appends others."""
    start = archive_start(data)
    if start == len(data):
        start = len(model_file.serialise(model_file.parse(data, compiled=True)))
    kind = rng.randrange(6)
    if kind < 3 and start < len(data):
        return data[:start] + mutate_bytes(data[start:], rng)
    if kind == 3:
        return data[:start] + other[archive_start(other) :]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as made:
        # A bomb of zeros, or many small files.
        names = ["labels.txt", *(f"{i}.txt" for i in range(rng.choice((0, 0, 3000))))]
        for name in names:
            size = rng.choice((0, 10, 1000, 50_000_000 if name == "labels.txt" else 10))
            made.writestr(name, bytes([rng.choice((0, 10, 255))]) * size)
    return data[:start] + file.getvalue()


def _described(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Changes the metadata of the model: its bytes, or a field."""
    del other
    archive = data[archive_start(data) :]
    for _ in range(50):
        model = copy.deepcopy(model_file.parse(data, compiled=True))
        entries = [m for m in model.metadata or () if m.name == _METADATA]
        if not entries:
            model.metadata = [*(model.metadata or ()), schema.MetadataT(_METADATA, 0)]
            model.metadata[-1].buffer = rng.randrange(len(model.buffers))
            return model_file.serialise(model) + archive
        buffer = model.buffers[entries[0].buffer]
        blob = buffer.data.tobytes()
        try:
            if rng.random() < 0.5:
                blob = mutate_bytes(blob, rng)
            else:
                described = form.ModelMetadataT.InitFromObj(form.ModelMetadata.GetRootAs(blob))
                fields = list(model_changes.objects(described))
                model_changes.change(rng.choice(fields), described, rng)
                builder = flatbuffers.Builder()
                builder.Finish(described.Pack(builder), b"M001")
                blob = bytes(builder.Output())
            buffer.data = np.frombuffer(blob, np.uint8)
            return model_file.serialise(model) + archive
        except _UNWRITABLE:
            continue
    return data


def archive_start(data: bytes) -> int:
    """Where the zip archive that is appended to a model begins; its end if there is none."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return len(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return min((info.header_offset for info in archive.infolist()), default=len(data))
