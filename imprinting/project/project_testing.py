"""Projects and photos for tests."""

import dataclasses
import functools
import io
import shutil
import tempfile

import numpy as np
from absl.testing import absltest
from PIL import Image

from imprinting.project.project import Project


def photo(kind: int, number: int = 0, *, size: int = 96, form: str = "JPEG") -> bytes:
    """The file of a photo, uint8 [size, size, 3]; photos of a kind look alike.

    Args:
      kind: what it shows.
      number: which photo of it.
      size: its height and width.
      form: its format, as Pillow calls it.
    """
    random = np.random.default_rng(kind)
    colours = random.integers(0, 256, [2, 3])
    period = int(random.integers(4, 24))
    shift = np.random.default_rng(1000 * kind + number).integers(0, 24, 2)
    rows, columns = np.mgrid[:size, :size]
    stripes = ((rows + shift[0]) // period + (columns + shift[1]) // (2 * period)) % 2
    pixels = colours[stripes].astype(np.int16)
    pixels += np.random.default_rng(number).integers(-20, 21, pixels.shape).astype(np.int16)
    output = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(output, form)
    return output.getvalue()


def folder(test: absltest.TestCase) -> str:
    """A new folder, which is removed after the test."""
    return test.enter_context(tempfile.TemporaryDirectory())


def project(test: absltest.TestCase, **classes: int) -> Project:
    """A new project.

    Args:
      test: closes it.
      **classes: the number of photos of each class, by its name.
    """
    found = Project(folder(test) + "/project")
    test.addCleanup(found.close)
    for kind, (name, count) in enumerate(classes.items()):
        for number in range(count):
            found.add_photo(photo(kind, number), f"{name}_{number}.jpg", class_name=name)
    return found


@functools.cache
def _fitted_folder() -> tempfile.TemporaryDirectory:
    """The folder of a fitted project; a fit takes seconds."""
    found = tempfile.TemporaryDirectory()
    project = Project(found.name + "/project")
    for kind, name in enumerate(("one", "two")):
        for number in range(3):
            project.add_photo(photo(kind, number), f"{name}_{number}.jpg", class_name=name)
    project.fit()
    project.close()
    return found


def fitted_project(test: absltest.TestCase) -> Project:
    """A project of its own for the test, with three photos of two classes, and a fit to them."""
    place = folder(test) + "/project"
    shutil.copytree(_fitted_folder().name + "/project", place)
    found = Project(place)
    test.addCleanup(found.close)
    return found


def keep(project: Project, value: bool) -> None:
    """Turns the switch for the network's own classes."""
    project.change(lambda state: dataclasses.replace(state, keep_classes=value), "keep")
