"""Reads an image file as a JPEG or PNG file that TensorFlow decodes to the same picture.

Most files are not changed: upright JPEG files in RGB or grey, and upright, opaque PNG files of
eight bits. From other files, a new file is made of the picture that a viewer shows: rotated as
EXIF says, in RGB, and over white if it is transparent. The new file is a PNG, which is lossless.
But if the old file is a JPEG or a WebP, the new one is a JPEG of quality 95 with full colour
resolution, since a PNG of a photo would be five times as large and slow to decode.

Damage that costs no pixels is removed from a JPEG file. Of an animation, only the first frame is
used. An image with more pixels than TensorFlow decodes is reduced to half its height and width, or
to a quarter, and so on. Colour profiles are ignored, as they are in training and on devices.
"""

import contextlib
import dataclasses
import io

import tensorflow.compat.v1 as tf
from PIL import Image, UnidentifiedImageError

from imprinting.photos import large_images, photo_file
from imprinting.photos.large_images import JPEG_FORMATS
from imprinting.photos.photo_file import BadImageError

_LOSSY_FORMATS = (*JPEG_FORMATS, "WEBP")
_JPEG_QUALITY = 95

# The positions of the bits per channel and of the colour type in a PNG file (W3C's "PNG
# specification", section 11.2.1, IHDR).
_PNG_BITS, _PNG_COLOUR = 24, 25
_PNG_GREY_OR_RGB = (0, 2)


@dataclasses.dataclass(frozen=True)
class EncodedImage:
    """An image for a record.

    Attributes:
      encoded: a JPEG or PNG file.
      format: "jpeg" or "png".
      height: in pixels.
      width: in pixels.
      channels: 3 for RGB, 1 for grey.
      complaint: the damage of the original file, which costs no pixels; '' for none.
    """

    encoded: bytes
    format: str
    height: int
    width: int
    channels: int
    complaint: str = ""


class Reader(contextlib.ExitStack):
    """Reads image files; a context manager. Several threads may use it at the same time."""

    def __init__(self) -> None:
        super().__init__()
        with tf.Graph().as_default() as graph:
            self._encoded = tf.placeholder(tf.string, [])
            image = tf.io.decode_image(self._encoded, channels=3, expand_animations=False)
            self._decoded = image.op
            # For a JPEG that is known to have all its pixels, decoding a corner shows whether
            # TensorFlow can decode it.
            corner = tf.image.decode_and_crop_jpeg(self._encoded, [0, 0, 1, 1], channels=3)
            self._decoded_corner = corner.op
        self._session = tf.Session(graph=graph)
        self.callback(self._session.close)

    def read(self, path: str) -> EncodedImage:
        """Reads a JPEG, PNG, BMP, WebP or GIF file, and checks that it has all its pixels.

        Args:
          path: the file; its name may have any ending.

        Raises:
          BadImageError: it cannot be read, is not such an image, lacks pixels, or has more pixels
            than fit in memory.
          MemoryError: there is too little memory for it.
        """
        data, complaint, is_complete, is_quiet = photo_file.check(photo_file.read_file(path))
        try:
            image = Image.open(io.BytesIO(data), formats=photo_file.FORMATS)
            factor = large_images.factor(image)
            if factor > 1:
                with large_images.one_at_a_time:
                    large_images.check_memory(image, factor)
                    # Decodes a smaller image, if the format supports that.
                    image.draft(image.mode, (image.width // factor, image.height // factor))
                    encoded = _encode(image)
                return dataclasses.replace(encoded, complaint=complaint)
            if not is_complete:
                image.load()
            is_upright = photo_file.orientation(image) == 1
            is_plain = is_quiet and is_upright and _is_plain(image, data)
            if is_plain and self._decodes(data, is_complete):
                kind = "jpeg" if image.format in JPEG_FORMATS else "png"
                size = image.height, image.width, len(image.getbands())
                return EncodedImage(data, kind, *size, complaint)
            return dataclasses.replace(_encode(image), complaint=complaint)
        except large_images.TooLargeError as error:
            raise BadImageError(str(error)) from error
        except UnidentifiedImageError as error:
            raise BadImageError(photo_file.other_kind(data)) from error
        except (MemoryError, tf.errors.ResourceExhaustedError) as error:
            # This does not mean that the file is bad.
            raise MemoryError(
                f"expected enough memory to decode {path}, got too little; make the image smaller"
            ) from error
        # For damaged files, Pillow raises errors of all kinds.
        except Exception as error:
            raise BadImageError(f"it cannot be decoded: {error}") from error

    def _decodes(self, data: bytes, is_complete: bool) -> bool:
        # TensorFlow refuses some damaged files and some rare kinds that Pillow accepts. A file
        # that is stored unchanged must not stop a training.
        try:
            operation = self._decoded_corner if is_complete else self._decoded
            self._session.run(operation, {self._encoded: data})
        except tf.errors.InvalidArgumentError:
            return False
        return True


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
    """Makes a new file: upright, in RGB, and with no more pixels than TensorFlow decodes."""
    rgb = photo_file.upright_rgb(image)
    if (factor := large_images.factor(rgb)) > 1:
        rgb = rgb.reduce(factor)
    # The metadata of the old file is wrong for the new one.
    rgb.info.clear()
    file = io.BytesIO()
    if image.format in _LOSSY_FORMATS:
        rgb.save(file, "JPEG", quality=_JPEG_QUALITY, subsampling="4:4:4")
        return EncodedImage(file.getvalue(), "jpeg", rgb.height, rgb.width, 3)
    rgb.save(file, "PNG")
    return EncodedImage(file.getvalue(), "png", rgb.height, rgb.width, 3)
