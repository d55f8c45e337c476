"""Photos of all kinds, and random changes of their files, with a given random generator."""

import io
import random
import zlib
from typing import Any

import numpy as np
from PIL import Image

from tests.fuzz.byte_mutations import mutate_bytes

_PNG = b"\x89PNG"
_SIZES = (1, 255, 4096, 13_000, 30_000, 65_535, 2**24, 2**31 - 1, 2**32 - 1)


def photos() -> dict[str, bytes]:
    """Small valid photos, by the name of a file."""
    random_state = np.random.default_rng(0)
    coarse = random_state.integers(0, 256, [6, 8, 3], np.uint8)
    image = Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC)
    alpha = image.copy()
    alpha.putalpha(image.convert("L"))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    deep = Image.fromarray(random_state.integers(0, 2**16, [48, 64]).astype(np.uint16))
    frames: dict[str, Any] = {
        "save_all": True,
        "append_images": [image.rotate(90), image.rotate(180)],
        "duration": 50,
    }

    def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
        file = io.BytesIO()
        picture.save(file, kind, **options)
        return file.getvalue()

    palette = image.convert("P", palette=Image.Palette.ADAPTIVE)
    return {
        "a.jpg": encoded(image, "JPEG"),
        "progressive.jpg": encoded(image, "JPEG", progressive=True, quality=90),
        "exif.jpg": encoded(image, "JPEG", exif=exif, comment=b"text"),
        "grey.jpg": encoded(image.convert("L"), "JPEG", restart_marker_rows=1),
        "cmyk.jpg": encoded(image.convert("CMYK"), "JPEG"),
        "several.jpg": encoded(image, "MPO", save_all=True, append_images=[image.rotate(90)]),
        "a.png": encoded(image, "PNG", exif=exif),
        "alpha.png": encoded(alpha, "PNG"),
        "deep.png": encoded(deep, "PNG"),
        "palette.png": encoded(palette, "PNG", transparency=3),
        "bits.png": encoded(image.convert("1"), "PNG"),
        "animated.png": encoded(image, "PNG", **frames),
        "a.bmp": encoded(image, "BMP"),
        "palette.bmp": encoded(palette, "BMP"),
        "a.webp": encoded(image, "WEBP"),
        "lossless.webp": encoded(alpha, "WEBP", lossless=True, exif=exif),
        "animated.webp": encoded(image, "WEBP", **frames),
        "a.gif": encoded(palette, "GIF"),
        "animated.gif": encoded(palette, "GIF", **frames),
    }


def mutate(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Changes the file of a photo.

    Args:
      data: a valid photo.
      other: another one, pieces of which may be taken.
      rng: the random generator.
    """
    kind = rng.randrange(10)
    if kind < 5:
        return mutate_bytes(data, rng)
    if kind < 8:
        # Headers are at the start, and say how large the picture is.
        mutated = bytearray(data)
        for _ in range(rng.choice((1, 1, 2))):
            size = rng.choice((1, 2, 2, 4))
            at = rng.randrange(min(len(data) - size, rng.choice((26, 32, 64, 700))))
            value = rng.choice((*_SIZES, rng.randrange(2**32))) % 256**size
            mutated[at : at + size] = value.to_bytes(size, rng.choice(("big", "little")))
        if data.startswith(_PNG) and rng.random() < 0.7:
            # A wrong checksum of the header would hide everything else.
            mutated[29:33] = zlib.crc32(mutated[12:29]).to_bytes(4, "big")
        return bytes(mutated)
    start, end = sorted(rng.randrange(len(other) + 1) for _ in range(2))
    at = rng.randrange(len(data) + 1)
    if kind == 8:
        return data[:at] + other[start:end] + data[at + end - start :]
    return data[:at]
