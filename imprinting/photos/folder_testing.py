"""What the tests of folders of images share."""

import pathlib
from typing import Any

from absl.testing import parameterized

from imprinting.photos import image_folder
from imprinting.photos.image_folder import ImageFolder


def names(folder: ImageFolder, split: str) -> list[str]:
    """The names of a split's images."""
    return [image.name for image in folder.splits[split]]


class FolderTestCase(parameterized.TestCase):
    """Creates a folder of empty files.

    Attributes:
      path: the folder.
    """

    def setUp(self) -> None:
        """Creates the folder."""
        super().setUp()
        self.path: str = self.create_tempdir().full_path

    def add(self, *files: str) -> None:
        """Adds files, by their paths relative to the folder."""
        for name in files:
            path = pathlib.Path(self.path, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def add_classes(self, sizes: dict[str, int]) -> None:
        """Adds class folders with these numbers of images."""
        for name, size in sizes.items():
            self.add(*(f"{name}/{index:02}.jpg" for index in range(size)))

    def assert_fails(self, expected: str, **options: Any) -> None:
        """Asserts that scanning the folder raises a ValueError that matches."""
        with self.assertRaisesRegex(ValueError, expected):
            image_folder.scan(self.path, **options)
