"""Parts of an image, at many places and scales."""

from typing import NamedTuple

import numpy as np

# The smallest part, as a fraction of height and width. For photos of 427 rows, such as the samples,
# the middle 87.5 % of this part are the 224 rows that the largest usual networks need.
_LEAST_PART = 0.6
# The fractional parts of their multiples fill a cube evenly, however many are used: the powers of
# 1/g, with g**4 = g + 1 (the generalised golden ratio; M. Roberts, "The unreasonable effectiveness
# of quasirandom sequences", 2018).
_STEPS = 1.2207440846057596 ** -np.arange(1.0, 4.0)


class Window(NamedTuple):
    """A part of an image, in pixels, which may be mirrored."""

    top: int
    left: int
    height: int
    width: int
    mirrored: bool

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """Returns this part of an image [height, width, channels]."""
        part = pixels[self.top :, self.left :][: self.height, : self.width]
        return part[:, ::-1] if self.mirrored else part


def parts(height: int, width: int, count: int) -> list[Window]:
    """Parts of an image: the complete image, then parts of at least 0.6 of its height and width.

    The parts are spread evenly over sizes and places, and every other one is mirrored.

    Args:
      height: the image's, in pixels.
      width: the image's, in pixels.
      count: the number of parts.
    """
    found = [Window(0, 0, height, width, False)]
    for number in range(1, count):
        size, down, right = (0.5 + number * _STEPS) % 1.0
        part = 1.0 - (1.0 - _LEAST_PART) * size
        rows, columns = max(1, round(height * part)), max(1, round(width * part))
        top, left = round((height - rows) * down), round((width - columns) * right)
        found.append(Window(top, left, rows, columns, bool(number % 2)))
    return found
