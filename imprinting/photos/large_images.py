"""Large images: how to reduce them, and the memory needed.

A file of some hundred bytes may say that it has a thousand million pixels, and may even have them,
all of one colour. So the memory for all images that are decoded at the same time is limited.
"""

import contextlib
import math
import os
import threading
from collections.abc import Iterator

from PIL import Image

# Pillow's name for a file of several JPEG images, which some cameras write, is MPO.
JPEG_FORMATS = ("JPEG", "MPO")
# TensorFlow decodes images of less than 2**29 bytes, with three bytes per pixel.
MOST_PIXELS = (2**29 - 1) // 3
# Roughly the memory for decoding: the pixels, the pixels in RGB, rotated, and, for a transparent
# image, in RGBA and over white. For a progressive JPEG, the coefficients are added.
_BYTES_PER_PIXEL, _BYTES_PER_TRANSPARENT_PIXEL, _BYTES_PER_COEFFICIENT = 9, 20, 6
_MOST_REDUCED = 8
# The most memory for decoding images, in bytes, and the measured need of `photo_file` for a pixel.
# WebP's decoder, and images with transparency or more than 8 bits, need several copies.
MOST_MEMORY = 8 * 10**8
_COST, _GREAT_COST = 14, 24
# The most pixels of a JPEG file: reading more takes longer than seconds.
MOST_JPEG_PIXELS = 1 << 30

# Pillow's own limit protects servers from malicious images; here memory is the limit.
Image.MAX_IMAGE_PIXELS = None

# Held while an image is decoded; otherwise several threads would count on the same free memory.
one_at_a_time = threading.Lock()

# How much of `MOST_MEMORY` is used, and what to wait for if that is too much.
_free = threading.Condition()
_used = [0.0]


class TooLargeError(ValueError):
    """An image has more pixels than fit in memory. The message does not name the file."""


def factor(image: Image.Image) -> int:
    """The power of 2 by which to divide height and width, so that TensorFlow decodes an image."""
    found = 1
    while -(-image.width // found) * -(-image.height // found) > MOST_PIXELS:
        found *= 2
    return found


def reduction(image: Image.Image) -> int:
    """The power of 2 by which to divide height and width, so that decoding fits in `MOST_MEMORY`.

    Args:
      image: an opened image, which is not decoded yet.

    Returns:
      1 if the image is not reduced, as all that are not JPEG; at most 8.

    Raises:
      TooLargeError: if the image has too many pixels even so.
    """
    pixels = image.width * image.height
    most = int(MOST_MEMORY / _cost(image, 1))
    if image.format in JPEG_FORMATS:
        found = 1
        while found < _MOST_REDUCED and pixels * _cost(image, found) > MOST_MEMORY:
            found *= 2
        most = min(int(MOST_MEMORY / _cost(image, _MOST_REDUCED)), MOST_JPEG_PIXELS)
        if pixels <= most:
            return found
    elif pixels <= most:
        return 1
    kind = " for such a JPEG" if image.format in JPEG_FORMATS else " unless it is a JPEG"
    raise TooLargeError(
        f"it has {image.width} x {image.height} pixels, {pixels:,}, and the most is {most:,}{kind}"
        "; make it smaller"
    )


def is_too_large_jpeg(width: int, height: int, *, is_progressive: bool) -> bool:
    """Whether a JPEG file has too many pixels to read even its entropy-coded data."""
    most = MOST_MEMORY // _BYTES_PER_COEFFICIENT if is_progressive else MOST_JPEG_PIXELS
    return width * height > most


@contextlib.contextmanager
def memory(image: Image.Image, reduced: int) -> Iterator[None]:
    """Waits until there is memory to decode an image, and holds it while the context is open.

    Args:
      image: an opened image, which is not decoded yet.
      reduced: its `reduction`.
    """
    need = min(MOST_MEMORY, image.width * image.height * _cost(image, reduced))
    with _free:
        _free.wait_for(lambda: _used[0] + need <= MOST_MEMORY)
        _used[0] += need
    try:
        yield
    finally:
        with _free:
            _used[0] -= need
            _free.notify_all()


def _cost(image: Image.Image, reduced: int) -> float:
    """The bytes for decoding each pixel of a file."""
    is_costly = image.format == "WEBP" or image.mode.startswith("I") or image.has_transparency_data
    cost = (_GREAT_COST if is_costly else _COST) / reduced**2
    if image.format in JPEG_FORMATS and image.info.get("progressive"):
        cost += _BYTES_PER_COEFFICIENT
    return cost


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
