"""Reads photos as the input of a deployed network: cropped, resized, in eight bits."""

import os
from typing import BinaryIO

import numpy as np
from PIL import Image

from imprinting.base.photo_crop import Crop
from imprinting.photos import bilinear, photo_file, windows

# What a photo can be given as: the path of a file; the contents of a file, or a file that is opened
# for reading bytes; an image of Pillow; or pixels, uint8 [height, width, 3] or, if it is grey,
# [height, width].
Source = str | os.PathLike[str] | bytes | bytearray | BinaryIO | Image.Image | np.ndarray


class PixelReader:
    """Reads photos as evaluation does. Several threads may use it at the same time."""

    def __init__(self, image_size: int, crop: Crop = Crop.STRETCHED) -> None:
        """Creates the reader.

        Args:
          image_size: height and width of its results, in pixels.
          crop: which part of a photo they are.
        """
        self._image_size, self._crop = image_size, crop

    def read(self, source: Source, *, views: int = 1) -> np.ndarray:
        """Reads a photo, and warns if its file is damaged but has all its pixels.

        Args:
          source: the photo; see `Source`.
          views: the number of views: the complete photo, then parts at many places and scales,
            every other one mirrored (see `windows.parts`).

        Returns:
          uint8 [views, image_size, image_size, 3]: the middle of each view, resized; the network's
          input is (q - 128) / 128.

        Raises:
          BadImageError: see `photo_file.read`; or it is an array of another type or shape.
          MemoryError: see `photo_file.read`.
        """
        pixels = _pixels(source)
        height, width = pixels.shape[:2]
        return np.stack(
            [self._resized(window.of(pixels)) for window in windows.parts(height, width, views)]
        )

    def _resized(self, pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[:2]
        top, left, rows, columns = self._crop.window(height, width)
        return bilinear.quanta(pixels[top : top + rows, left : left + columns], self._image_size)


def _pixels(source: Source) -> np.ndarray:
    """The pixels of a photo, uint8 [height, width, 3]."""
    if isinstance(source, (bytes, bytearray)):
        return photo_file.decode(bytes(source)).pixels
    if isinstance(source, Image.Image):
        return photo_file.of_image(source)
    if isinstance(source, np.ndarray):
        return _of_array(source)
    if isinstance(source, (str, os.PathLike)):
        return _of_file(os.fspath(source))
    data = source.read() if hasattr(source, "read") else None
    if not isinstance(data, bytes):
        raise photo_file.BadImageError(
            "expected a path, bytes, a file of bytes, an image of Pillow or an array, got "
            f"{type(source).__name__}"
        )
    return photo_file.decode(data).pixels


def _of_file(path: str) -> np.ndarray:
    photo = photo_file.read(path)
    photo_file.warn(path, photo.complaint)
    return photo.pixels


def _of_array(array: np.ndarray) -> np.ndarray:
    is_grey = array.ndim == 2
    is_photo = is_grey or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not is_photo or not array.size:
        raise photo_file.BadImageError(
            "expected pixels of a photo, uint8 [height, width, 3] in RGB or [height, width] in "
            f"grey, got {array.dtype} {[*array.shape]}; convert them"
        )
    return np.repeat(array[:, :, np.newaxis], 3, axis=2) if is_grey else array
