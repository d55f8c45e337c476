"""Resizes pixels as TensorFlow 1's resize_bilinear does, to the bit, without TensorFlow.

Networks of this project, and the published ones that it starts from, are trained on photos that
were resized in this way. Output pixel i is sampled at input position i * scale, with scale = input
size / output size (`half_pixel_centers=False` and `align_corners=False` in TensorFlow). Other
libraries sample at (i + 0.5) * scale - 0.5, or average all input pixels below an output pixel.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_ROWS = 64


class _Positions(NamedTuple):
    """Between which input pixels the output pixels lie.

    Attributes:
      lower: int [n], the pixels before.
      upper: int [n], the pixels after.
      weights: float32 [n], those of the pixels after.
    """

    lower: np.ndarray
    upper: np.ndarray
    weights: np.ndarray


def quanta(pixels: np.ndarray, size: int) -> np.ndarray:
    """The input of a deployed network.

    Args:
      pixels: uint8 [height, width, 3].
      size: height and width of the result, in pixels.

    Returns:
      uint8 [size, size, 3]; the network's input is (q - 128) / 128. A channel p in 0..255 becomes
      q = p * 256 / 255, so that 2 (p / 255 - 0.5), with which networks are trained, is that input.
    """
    result = np.empty([size, size, 3], np.uint8)
    for begin, part in _parts(pixels, size):
        part *= np.float32(256.0 / 255.0)
        np.rint(part, out=part)
        np.minimum(part, np.float32(255.0), out=part)
        result[begin : begin + len(part)] = part
    return result


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Resizes pixels to a square.

    Args:
      pixels: uint8 [height, width, channels].
      size: height and width of the result.

    Returns:
      float32 [size, size, channels].
    """
    return np.concatenate([part for _, part in _parts(pixels, size)])


def _parts(pixels: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the result's rows, float32 [n, size, channels], with the number of the first.

    Some rows at a time are twice as fast as all, since they fit in the processor's cache, and their
    memory need not be taken from the system for each photo.
    """
    height, width, channels = pixels.shape
    rows, columns = _positions(height, size), _positions(width, size)
    # A row is one vector, whose elements are faster to take than pixels.
    before, after = (
        (index[:, np.newaxis] * channels + np.arange(channels)).reshape(-1)
        for index in (columns.lower, columns.upper)
    )
    weights = np.repeat(columns.weights, channels)
    for begin in range(0, size, _ROWS):
        part = slice(begin, begin + _ROWS)
        # Those above, then those below.
        taken = pixels[np.concatenate([rows.lower[part], rows.upper[part]])]
        taken = taken.reshape(len(taken), width * channels)
        both = _interpolated(taken[:, before], taken[:, after], weights)
        count = len(both) // 2
        result = _interpolated(both[:count], both[count:], rows.weights[part, np.newaxis])
        yield begin, result.reshape(count, size, channels)


def _interpolated(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns first + (second - first) * weights, in float32 and in this order, as TensorFlow does.

    If `second` is float32, it is overwritten.
    """
    start, result = first.astype(np.float32, copy=False), second.astype(np.float32, copy=False)
    result -= start
    result *= weights
    result += start
    return result


def _positions(length: int, size: int) -> _Positions:
    exact = np.arange(size, dtype=np.float32) * (np.float32(length) / np.float32(size))
    lower = np.floor(exact)
    upper = np.minimum(np.ceil(exact), length - 1)
    # Rounding in float32 may lead beyond the last pixel of a very long side.
    before = np.minimum(lower, length - 1)
    return _Positions(before.astype(np.intp), upper.astype(np.intp), exact - lower)
