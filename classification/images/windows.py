"""Parts of an image, at many places and scales."""

from typing import NamedTuple

import numpy as np

# The smallest part of an image, of its height and width: of the photographs that come along, of
# 427 rows, the middle 87.5 % of it is the 224 rows that the largest usual networks take.
_LEAST_PART = 0.6
# Multiples of these, less their whole parts, fill a cube evenly, however many are taken: the
# powers of 1/g, where g**4 = g + 1 (the generalised golden ratio; M. Roberts, "The unreasonable
# effectiveness of quasirandom sequences", 2018).
_STEPS = 1.2207440846057596 ** -np.arange(1.0, 4.0)


class Window(NamedTuple):
    """A part of an image, in pixels, as it is or mirrored."""

    top: int
    left: int
    height: int
    width: int
    mirrored: bool

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """This part of an image [height, width, channels]."""
        part = pixels[self.top :, self.left :][: self.height, : self.width]
        return part[:, ::-1] if self.mirrored else part


def parts(height: int, width: int, count: int) -> list[Window]:
    """Parts of an image: the whole, then ones of 0.6 of its height and width and up.

    These are spread evenly over sizes and places, and every other one is mirrored.

    Args:
      height: of the image, in pixels.
      width: likewise.
      count: how many parts.
    """
    found = [Window(0, 0, height, width, False)]
    for number in range(1, count):
        size, down, right = (0.5 + number * _STEPS) % 1.0
        part = 1.0 - (1.0 - _LEAST_PART) * size
        rows, columns = max(1, round(height * part)), max(1, round(width * part))
        top, left = round((height - rows) * down), round((width - columns) * right)
        found.append(Window(top, left, rows, columns, bool(number % 2)))
    return found
