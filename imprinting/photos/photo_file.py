"""Reads photos as a viewer shows them: upright, in RGB, and over white if they are transparent.

Of an animation, only the first frame is used. A JPEG file that would need more memory than
`large_images.MOST_MEMORY` is decoded at half its height and width, or a quarter, and so on. Colour
profiles are ignored, as they are in training and on devices.
"""

import io
import os
import warnings
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from imprinting.photos import class_folders, jpeg, large_images

# Pillow knows more formats, but some of them run other programs.
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")

# The most bytes of a file, which is read as a whole.
MOST_BYTES = 1 << 27

# Loads all formats before several threads need them.
Image.init()


class BadImageError(ValueError):
    """An image file cannot be read. The message says why, but does not name the file."""


class ImageWarning(UserWarning):
    """An image file is damaged but has all its pixels. The message names the file."""


class Checked(NamedTuple):
    """An image file that is not known to lack pixels.

    Attributes:
      data: the file, with damage removed that costs no pixels.
      complaint: the damage of the original file, which costs no pixels; '' for none.
      is_complete: whether it is known to have all its pixels.
      is_quiet: whether decoders have no warnings about it.
    """

    data: bytes
    complaint: str
    is_complete: bool
    is_quiet: bool


class Photo(NamedTuple):
    """A photo.

    Attributes:
      pixels: uint8 [height, width, 3].
      complaint: the damage of its file, which costs no pixels; '' for none.
    """

    pixels: np.ndarray
    complaint: str


def read(path: str) -> Photo:
    """Reads a JPEG, PNG, BMP, WebP or GIF file.

    Args:
      path: the file; its name may have any ending.

    Raises:
      BadImageError: it cannot be read, is not such an image, lacks pixels, or has too many.
      MemoryError: there is too little memory for it.
    """
    return decode(read_file(path), path)


def decode(data: bytes, path: str = "the photo") -> Photo:
    """The same for the contents of a file, which errors about memory call `path`."""
    checked = check(data)
    try:
        image = Image.open(io.BytesIO(checked.data), formats=FORMATS)
        factor = large_images.reduction(image)
        with large_images.memory(image, factor):
            if factor > 1:
                large_images.check_memory(image, factor)
                image.draft(image.mode, (image.width // factor, image.height // factor))
                if large_images.reduction(image) > 1:
                    raise BadImageError(
                        f"it cannot be reduced to less than {image.width} x {image.height} pixels; "
                        "make it smaller"
                    )
            return Photo(_pixels(image), checked.complaint)
    except (BadImageError, large_images.TooLargeError) as error:
        raise BadImageError(str(error)) from error
    except UnidentifiedImageError as error:
        raise BadImageError(other_kind(checked.data)) from error
    except MemoryError as error:
        # This does not mean that the file is bad.
        raise MemoryError(
            f"expected enough memory to decode {path}, got too little; make the image smaller"
        ) from error
    # For damaged files, Pillow raises errors of all kinds.
    except Exception as error:
        raise BadImageError(f"it cannot be decoded: {error}") from error


def of_image(image: Image.Image) -> np.ndarray:
    """The pixels of an image of Pillow, as a viewer shows it, uint8 [height, width, 3].

    Raises:
      BadImageError: it has no pixels, or its values have no known range.
    """
    if 0 in image.size:
        raise BadImageError(f"it has {image.width} x {image.height} pixels")
    if image.mode in ("I", "F"):
        raise BadImageError(
            f"it has Pillow's mode {image.mode}, whose values may have any range; convert it to "
            "RGB, 0..255"
        )
    try:
        return _pixels(image)
    except MemoryError:
        raise
    # For damaged files, Pillow raises errors of all kinds.
    except Exception as error:
        raise BadImageError(f"it cannot be decoded: {error}") from error


def warn(path: str, complaint: str) -> None:
    """Warns that an image file is damaged but has all its pixels, unless complaint is ''."""
    if complaint:
        # Without a registry, it warns every time.
        warnings.warn_explicit(
            f"{path} is damaged, though all its pixels are there: {complaint}",
            ImageWarning,
            path,
            0,
        )


def read_file(path: str) -> bytes:
    """The contents of a file.

    Raises:
      BadImageError: it is empty, has more than `MOST_BYTES`, cannot be opened, or is a folder, a
        pipe or the like.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise BadImageError("it is not a regular file")
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read() if size <= MOST_BYTES else b""
    except ValueError as error:
        raise BadImageError("its path has a zero byte") from error
    except OSError as error:
        link = class_folders.describe_link(path)
        raise BadImageError(
            f"it {f'is {link}, and ' if link else ''}cannot be opened: {error.strerror}"
        ) from error
    if size > MOST_BYTES:
        raise BadImageError(
            f"it has {size:,} bytes, and the most is {MOST_BYTES:,}; make it smaller"
        )
    if not data:
        raise BadImageError("it is empty")
    return data


def check(data: bytes) -> Checked:
    """Checks that a file does not lack pixels, if that can be seen without decoding it.

    Raises:
      BadImageError: pixels are missing.
    """
    if not data.startswith(jpeg.HEAD):
        return Checked(data, "", False, True)
    try:
        checked = jpeg.check(data)
    except ValueError as error:
        raise BadImageError(f"it cannot be decoded: {error}") from error
    if checked is None:
        return Checked(data, "", False, True)
    return Checked(checked.data, checked.complaint, True, checked.is_quiet)


def other_kind(data: bytes) -> str:
    """The reason why a file of an unsupported kind cannot be read."""
    # ISO/IEC 14496-12, section 4.3: the file begins with a box of its brands, 4 bytes each.
    if data[4:8] == b"ftyp":
        brands = data[8 : int.from_bytes(data[:4], "big")]
        if b"avif" in brands or b"avis" in brands:
            return "it is an AVIF image; convert it to JPEG first"
        if any(brand in brands for brand in (b"hei", b"hev", b"mif1", b"msf1")):
            return (
                "it is a HEIC image; convert it to JPEG first, by `heif-convert IN.heic OUT.jpg` "
                "(Debian's package libheif-examples) or macOS's `sips -s format jpeg IN.heic --out "
                "OUT.jpg`"
            )
    if data.startswith((b"II*\0", b"MM\0*")):
        return "it is a TIFF image; convert it to PNG or JPEG first"
    return "it is not a JPEG, PNG, BMP, WebP or GIF image"


def orientation(image: Image.Image) -> int:
    """How to rotate and mirror the picture, 1 to 8 (EXIF 2.3, section 4.6.4, Orientation)."""
    # A photo with damaged EXIF data is not rotated.
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except MemoryError:
        raise
    except Exception:
        return 1
    return value if value in range(1, 9) else 1


def upright_rgb(image: Image.Image) -> Image.Image:
    """The picture that a viewer shows, in mode RGB."""
    if orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        # Pillow would clip values to 255.
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    # Over white, as nearly all viewers and web pages show it. Invisible pixels may have any
    # colour, often black.
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(upright_rgb(image))
