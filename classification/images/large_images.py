"""Images of more pixels than TensorFlow decodes: how far they are reduced, and what that takes."""

import resource
import threading

from PIL import Image

# MPO is what Pillow calls a JPEG with others behind it, as some cameras write.
JPEG_FORMATS = ("JPEG", "MPO")
# TensorFlow decodes images of less than 2**29 bytes, three a pixel.
MOST_PIXELS = (2**29 - 1) // 3
# What decoding a larger one takes, about: the pixels, in RGB, turned, and, where it is transparent,
# in RGBA and over white. A progressive JPEG's coefficients are kept besides.
_BYTES_A_PIXEL, _BYTES_A_TRANSPARENT_PIXEL, _BYTES_A_COEFFICIENT = 9, 20, 6
_MOST_REDUCED = 8

# Pillow's own limit is for servers, which take anybody's images; here memory is the limit.
Image.MAX_IMAGE_PIXELS = None

# Held while one is decoded, or each would find memory free that another takes.
one_at_a_time = threading.Lock()


class TooLargeError(ValueError):
    """An image has more pixels than fit in memory. The message does not say which it is."""


def factor(image: Image.Image) -> int:
    """By how much height and width are divided, a power of 2, for TensorFlow to decode an image."""
    found = 1
    while -(-image.width // found) * -(-image.height // found) > MOST_PIXELS:
        found *= 2
    return found


def check_memory(image: Image.Image, reduced: int) -> None:
    """Checks that there is memory to decode an image of too many pixels for TensorFlow.

    Args:
      image: opened, and not decoded.
      reduced: its `factor`.

    Raises:
      TooLargeError: if there is not.
    """
    pixels = image.width * image.height
    cost = float(_BYTES_A_TRANSPARENT_PIXEL if image.has_transparency_data else _BYTES_A_PIXEL)
    if image.format in JPEG_FORMATS:
        cost /= min(reduced, _MOST_REDUCED) ** 2
        cost += _BYTES_A_COEFFICIENT if image.info.get("progressive") else 0
    most = int(_free_memory() / cost)
    if pixels > most:
        raise TooLargeError(
            f"it has {image.width} x {image.height} pixels, {pixels / 1e6:,.0f} million, and free "
            f"memory is enough for {most / 1e6:,.0f} million; make it smaller, or free memory"
        )


def _free_memory() -> int:
    """Bytes of memory that this process can have, as far as the system tells."""
    with open("/proc/meminfo", encoding="ascii") as file:
        found = {line.split()[0]: int(line.split()[1]) for line in file}
    free = 1024 * found["MemAvailable:"]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        with open("/proc/self/statm", encoding="ascii") as file:
            free = min(free, limit - int(file.read().split()[0]) * resource.getpagesize())
    return max(0, free)
