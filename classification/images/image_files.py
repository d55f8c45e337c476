"""From an image file to the bytes of a record, which TensorFlow decodes to the same picture.

Most files are stored byte for byte as they are: JPEG in RGB or grey and PNG of eight bits,
upright and opaque. All others are stored as another file, of the picture that a viewer
shows: turned as EXIF says, in RGB, and over white where they are transparent. That file is a
PNG, which loses nothing, except where it comes from a JPEG or a WebP: then it is a JPEG of
quality 95 at full colour resolution, since a photograph's PNG would be five times as large and
slow to decode. A JPEG that has all its pixels and small faults otherwise is stored without these.
Of an animation, it is the first frame. What has more pixels than TensorFlow decodes is
stored at half its height and width, or a quarter, and so on. Colour profiles are left out of
account, as they are in training and on devices.
"""

import dataclasses
import io
import os
import warnings
from types import TracebackType
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from classification.images import class_folders, jpeg, large_images
from classification.images.large_images import JPEG_FORMATS

# Pillow knows more, but some of them run other programs.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")
_LOSSY_FORMATS = (*JPEG_FORMATS, "WEBP")
_JPEG_QUALITY = 95

# Where a PNG file has its bits a channel, and its kind of colour (W3C's "PNG specification",
# section 11.2.1, IHDR).
_PNG_BITS, _PNG_COLOUR = 24, 25
_PNG_GREY_OR_RGB = (0, 2)


# All formats are known then, also to threads that start at once.
Image.init()


class BadImageError(ValueError):
    """An image file cannot be read. The message says why, but not which file it is."""


class ImageWarning(UserWarning):
    """An image file is damaged, and has all its pixels. The message names the file."""


@dataclasses.dataclass(frozen=True)
class EncodedImage:
    """An image as it stands in a record.

    Attributes:
      encoded: a JPEG or PNG file.
      format: "jpeg" or "png".
      height: in pixels.
      width: likewise.
      channels: 3 for RGB, 1 for grey.
      complaint: what is wrong with the file all the same; '' where nothing is.
    """

    encoded: bytes
    format: str
    height: int
    width: int
    channels: int
    complaint: str = ""


class Reader:
    """Reads image files; a context manager. Several threads may use one at once."""

    def __init__(self) -> None:
        with tf.Graph().as_default() as graph:
            self._encoded = tf.placeholder(tf.string, [])
            image = tf.io.decode_image(self._encoded, channels=3, expand_animations=False)
            self._decoded = image.op
            # Of a JPEG whose pixels are known to be there, a corner tells whether it is of a kind
            # that TensorFlow knows.
            corner = tf.image.decode_and_crop_jpeg(self._encoded, [0, 0, 1, 1], channels=3)
            self._decoded_corner = corner.op
        self._session = tf.Session(graph=graph)

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session.close()

    def read(self, path: str) -> EncodedImage:
        """Reads a JPEG, PNG, BMP, WebP or GIF file, and makes sure that all its pixels are there.

        Args:
          path: the file; what its name ends in does not matter.

        Raises:
          BadImageError: it cannot be read, or is no such image, or pixels are missing, or it has
            more than fit in memory.
          MemoryError: there is too little memory for it.
        """
        data, complaint, is_whole, is_quiet = _check(_read_file(path))
        try:
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
            factor = large_images.factor(image)
            if factor > 1:
                with large_images.one_at_a_time:
                    large_images.check_memory(image, factor)
                    # Where the format allows that, it is decoded smaller.
                    image.draft(image.mode, (image.width // factor, image.height // factor))
                    encoded = _encode(image)
                return dataclasses.replace(encoded, complaint=complaint)
            if not is_whole:
                image.load()
            is_upright = _orientation(image) == 1
            is_plain = is_quiet and is_upright and _is_plain(image, data)
            if is_plain and self._decodes(data, is_whole):
                kind = "jpeg" if image.format in JPEG_FORMATS else "png"
                size = image.height, image.width, len(image.getbands())
                return EncodedImage(data, kind, *size, complaint)
            return dataclasses.replace(_encode(image), complaint=complaint)
        except large_images.TooLargeError as error:
            raise BadImageError(str(error)) from error
        except UnidentifiedImageError as error:
            raise BadImageError(_other_kind(data)) from error
        except (MemoryError, tf.errors.ResourceExhaustedError) as error:
            # That tells nothing of the file.
            raise MemoryError(
                f"expected memory enough to decode {path}, and there is not; make it smaller"
            ) from error
        # On damaged files, Pillow raises errors of every kind.
        except Exception as error:
            raise BadImageError(f"it cannot be decoded: {error}") from error

    def _decodes(self, data: bytes, is_whole: bool) -> bool:
        # TensorFlow refuses some damaged files, and some rare kinds, that Pillow takes:
        # whatever is stored as it is must not stop a training.
        try:
            operation = self._decoded_corner if is_whole else self._decoded
            self._session.run(operation, {self._encoded: data})
        except tf.errors.InvalidArgumentError:
            return False
        return True


class PlainJpeg(NamedTuple):
    """A JPEG file that is upright and in RGB or grey; its height and width are in pixels.

    What is wrong with it all the same is its complaint, or ''.
    """

    encoded: bytes
    height: int
    width: int
    complaint: str


def plain_jpeg(path: str) -> PlainJpeg | None:
    """A JPEG file, where TensorFlow, if it can decode it, shows what a viewer shows.

    It is not decoded. None for all other files, of which `Reader` tells more.

    Raises:
      BadImageError: it cannot be read, or is empty, or pixels are missing.
    """
    data, complaint, is_whole, is_quiet = _check(_read_file(path))
    if not (is_whole and is_quiet):
        return None
    try:
        image = Image.open(io.BytesIO(data), formats=JPEG_FORMATS)
        is_plain = (
            large_images.factor(image) == 1 and _orientation(image) == 1 and _is_plain(image, data)
        )
    except MemoryError:
        raise
    # On damaged files, Pillow raises errors of every kind.
    except Exception:
        return None
    return PlainJpeg(data, image.height, image.width, complaint) if is_plain else None


def warn(path: str, complaint: str) -> None:
    """Warns of an image file that is damaged, and has all its pixels; of '' not."""
    if complaint:
        # Each time, which is what the missing registry stands for.
        warnings.warn_explicit(
            f"{path} is damaged, though all its pixels are there: {complaint}",
            ImageWarning,
            path,
            0,
        )


def _check(data: bytes) -> tuple[bytes, str, bool, bool]:
    """A file without small faults, what these were, whether it is whole, and decodes quietly."""
    if not data.startswith(jpeg.HEAD):
        return data, "", False, True
    try:
        checked = jpeg.check(data)
    except ValueError as error:
        raise BadImageError(f"it cannot be decoded: {error}") from error
    if checked is None:
        return data, "", False, True
    return checked.data, checked.complaint, True, checked.is_quiet


def _read_file(path: str) -> bytes:
    if os.path.exists(path) and not os.path.isfile(path):
        raise BadImageError("it is not a regular file")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        link = class_folders.describe_link(path)
        raise BadImageError(
            f"it {f'is {link}, and ' if link else ''}cannot be opened: {error.strerror}"
        ) from error
    if not data:
        raise BadImageError("it is empty")
    return data


def _other_kind(data: bytes) -> str:
    """What is wrong with an image of a kind that is not read, or with what is none."""
    # ISO/IEC 14496-12, section 4.3: a box of the file's type, its brands 4 bytes each.
    if data[4:8] == b"ftyp":
        brands = data[8 : int.from_bytes(data[:4])]
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
    return "it is no JPEG, PNG, BMP, WebP or GIF image"


def _orientation(image: Image.Image) -> int:
    """How the picture is to be turned, 1 to 8 (EXIF 2.3, section 4.6.4, Orientation)."""
    # A photograph whose EXIF data is damaged is shown as it lies.
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except MemoryError:
        raise
    except Exception:
        return 1
    return value if value in range(1, 9) else 1


def _is_plain(image: Image.Image, data: bytes) -> bool:
    """Whether TensorFlow decodes the file to the pixels that a viewer shows."""
    if image.format in JPEG_FORMATS:
        return image.mode in ("RGB", "L")
    return (
        image.format == "PNG"
        and data[_PNG_BITS] == 8
        and data[_PNG_COLOUR] in _PNG_GREY_OR_RGB
        and not image.has_transparency_data
    )


def _encode(image: Image.Image) -> EncodedImage:
    """An image as a new file, upright, in RGB, and of no more pixels than TensorFlow decodes."""
    turn = _orientation(image) != 1
    rgb = _to_rgb(ImageOps.exif_transpose(image) if turn else image)
    if (factor := large_images.factor(rgb)) > 1:
        rgb = rgb.reduce(factor)
    # What is known of the old file is not true of the new one.
    rgb.info.clear()
    file = io.BytesIO()
    if image.format in _LOSSY_FORMATS:
        rgb.save(file, "JPEG", quality=_JPEG_QUALITY, subsampling="4:4:4")
        return EncodedImage(file.getvalue(), "jpeg", rgb.height, rgb.width, 3)
    rgb.save(file, "PNG")
    return EncodedImage(file.getvalue(), "png", rgb.height, rgb.width, 3)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow would cut off what is above 255.
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    # Over white, as nearly all viewers and pages show it. The colours of pixels that are not
    # seen are arbitrary, and often black.
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
