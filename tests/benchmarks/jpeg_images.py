"""Writes JPEG files for benchmarks: parts of the photos that come with the build."""

import os

import numpy as np
import PIL.Image

from classification.data import shipped_files
from imprinting.photos import windows

_PHOTOGRAPHS = ("china.jpg", "flower.jpg")
_SHORT_SIDE = 256
_QUALITY = 90


def make(folder: str, number: int) -> None:
    """Writes JPEG files with parts of two photos, 256 pixels on their short side.

    Args:
      folder: where to write; `train` and `validation` in it get two class folders each.
      number: the number of files in `train`; `validation`, which conversion needs, gets two.

    Raises:
      FileNotFoundError: if the photos are missing.
    """
    for photograph in _PHOTOGRAPHS:
        path = shipped_files.find(photograph, variable=photograph.upper().replace(".", "_"))
        with PIL.Image.open(path) as image:
            pixels = np.asarray(image)
        height, width = pixels.shape[:2]
        label = photograph.removesuffix(".jpg")
        for split, count in (("train", number // len(_PHOTOGRAPHS)), ("validation", 1)):
            place = os.path.join(folder, split, label)
            os.makedirs(place)
            for index, window in enumerate(windows.parts(height, width, count)):
                part = PIL.Image.fromarray(np.ascontiguousarray(window.of(pixels)))
                factor = _SHORT_SIDE / min(part.size)
                size = (round(part.width * factor), round(part.height * factor))
                file = os.path.join(place, f"{index:05d}.jpg")
                part.resize(size).save(file, quality=_QUALITY)
