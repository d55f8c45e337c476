"""Images with more pixels than TensorFlow decodes: how to reduce them, and the memory needed."""

import math
import os
import threading

from PIL import Image

# Pillow's name for a file of several JPEG images, which some cameras write, is MPO.
JPEG_FORMATS = ("JPEG", "MPO")
# TensorFlow decodes images of less than 2**29 bytes, with three bytes per pixel.
MOST_PIXELS = (2**29 - 1) // 3
# Roughly the memory for decoding: the pixels, the pixels in RGB, rotated, and, for a transparent
# image, in RGBA and over white. For a progressive JPEG, the coefficients are added.
_BYTES_PER_PIXEL, _BYTES_PER_TRANSPARENT_PIXEL, _BYTES_PER_COEFFICIENT = 9, 20, 6
_MOST_REDUCED = 8

# Pillow's own limit protects servers from malicious images; here memory is the limit.
Image.MAX_IMAGE_PIXELS = None

# Held while an image is decoded; otherwise several threads would count on the same free memory.
one_at_a_time = threading.Lock()


class TooLargeError(ValueError):
    """An image has more pixels than fit in memory. The message does not name the file."""


def factor(image: Image.Image) -> int:
    """The power of 2 by which to divide height and width, so that TensorFlow decodes an image."""
    found = 1
    while -(-image.width // found) * -(-image.height // found) > MOST_PIXELS:
        found *= 2
    return found


def check_memory(image: Image.Image, reduced: int) -> None:
    """Checks that there is enough memory to decode an image that must be reduced.

    Args:
      image: an opened image, which is not decoded yet.
      reduced: its `factor`.

    Raises:
      TooLargeError: if there is too little memory.
    """
    pixels = image.width * image.height
    cost = float(_BYTES_PER_TRANSPARENT_PIXEL if image.has_transparency_data else _BYTES_PER_PIXEL)
    if image.format in JPEG_FORMATS:
        cost /= min(reduced, _MOST_REDUCED) ** 2
        cost += _BYTES_PER_COEFFICIENT if image.info.get("progressive") else 0
    most = _free_memory() / cost
    if pixels > most:
        raise TooLargeError(
            f"it has {image.width} x {image.height} pixels, {pixels / 1e6:,.0f} million, and free "
            f"memory is enough for {most / 1e6:,.0f} million; make it smaller, or free memory"
        )


def _free_memory() -> float:
    """How much more memory this process can use, in bytes, according to Linux."""
    if not os.path.exists("/proc/meminfo"):
        return math.inf
    import resource  # Other systems may lack it.

    with open("/proc/meminfo", encoding="ascii") as file:
        found = {line.split()[0]: int(line.split()[1]) for line in file}
    free = 1024 * found["MemAvailable:"]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        with open("/proc/self/statm", encoding="ascii") as file:
            free = min(free, limit - int(file.read().split()[0]) * resource.getpagesize())
    return max(0, free)
