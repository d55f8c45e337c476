"""Photos for tests of imprinting."""

import pathlib

import numpy as np
from PIL import Image

from transforms.conversion import testing


def write(folder: pathlib.Path) -> None:
    """Writes 3 photos of each of two classes, blue and red."""
    random = np.random.default_rng(1)
    for name, colour in (("blue", (20, 30, 220)), ("red", (230, 20, 20))):
        (folder / name).mkdir(parents=True)
        for index in range(3):
            noise = random.integers(-20, 20, [testing.SIZE, testing.SIZE, 3])
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
