"""Checks a file that somebody sends as a photo, before all of it is decoded."""

import io

from PIL import Image

from imprinting.photos import photo_file
from imprinting.photos.photo_file import BadImageError

MOST_BYTES = 32 << 20
MOST_PIXELS = 120_000_000
_ENDINGS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp"}
_ENDINGS |= {"GIF": ".gif"}


def ending(data: bytes) -> str:
    """What the name of the photo's file should end with, by its contents, as in ".jpg".

    Args:
      data: the contents.

    Raises:
      BadImageError: if it has too many bytes or pixels, or is no image of a known kind.
    """
    if not data:
        raise BadImageError("it is empty")
    if len(data) > MOST_BYTES:
        raise BadImageError(
            f"it has {len(data):,} bytes, and the most is {MOST_BYTES:,}; make it smaller"
        )
    try:
        with Image.open(io.BytesIO(data), formats=photo_file.FORMATS) as image:
            kind, pixels = image.format, image.width * image.height
            size = f"{image.width} x {image.height}"
    # For damaged files, Pillow raises errors of all kinds.
    except Exception as error:
        raise BadImageError(photo_file.other_kind(data)) from error
    if pixels > MOST_PIXELS:
        raise BadImageError(
            f"it has {size} pixels, and the most is {MOST_PIXELS:,} in all; make it smaller"
        )
    return _ENDINGS[str(kind)]


def thumbnail(path: str, size: int) -> bytes:
    """A small version of a photo, as a JPEG file.

    Args:
      path: the photo's file.
      size: the most pixels of its height and width.

    Raises:
      BadImageError: see `ending`; or it is damaged.
      OSError: if there is no such file.
    """
    with open(path, "rb") as file:
        data = file.read()
    ending(data)
    try:
        with Image.open(io.BytesIO(data), formats=photo_file.FORMATS) as image:
            # Decodes a large JPEG at a fraction of its size, which is much faster.
            image.draft("RGB", (size * 2, size * 2))
            image.load()
            image.thumbnail((size * 2, size * 2), Image.Resampling.BOX)
            upright = photo_file.upright_rgb(image)
            upright.thumbnail((size, size), Image.Resampling.BILINEAR)
    # For damaged files, Pillow raises errors of all kinds.
    except Exception as error:
        raise BadImageError(f"it cannot be decoded: {error}") from error
    output = io.BytesIO()
    upright.save(output, "JPEG", quality=80)
    return output.getvalue()
