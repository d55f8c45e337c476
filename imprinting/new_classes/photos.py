"""The photos of new classes, and which of them can be read."""

import dataclasses
import os
from collections.abc import Iterator, Mapping

from imprinting.photos import image_folder


@dataclasses.dataclass(frozen=True)
class Photos:
    """Photos in class folders.

    Attributes:
      folder: the folder that contains the class folders.
      names: the photos' paths, relative to `folder`.
      classes: for each class, by name and in order, the indices in `names` at which its photos
        begin and end.
      ignored: names of files that are not photos by name.
    """

    folder: str
    names: tuple[str, ...]
    classes: Mapping[str, tuple[int, int]]
    ignored: tuple[str, ...]

    @property
    def paths(self) -> list[str]:
        """The photos' paths."""
        return [os.path.join(self.folder, name) for name in self.names]

    def readable(self, bad: Mapping[int, str]) -> Iterator[tuple[str, list[int]]]:
        """Each class, with the indices of its photos that can be read."""
        for name, (begin, end) in self.classes.items():
            yield name, [index for index in range(begin, end) if index not in bad]

    def describe(self, bad: Mapping[int, str]) -> list[str]:
        """The photos that cannot be read, and why."""
        return [f"{self.names[index]}: {why}" for index, why in sorted(bad.items())]


def find(folder: str) -> Photos:
    """The photos in the class folders of a folder. Raises what `scan_classes` raises."""
    found = image_folder.scan_classes(folder)
    names: list[str] = []
    classes = {}
    for name, images in found.images.items():
        classes[name] = (len(names), len(names) + len(images))
        names += images
    return Photos(found.path, tuple(names), classes, found.ignored)


def check(photos: Photos, bad: Mapping[int, str], *, skip: bool) -> None:
    """Checks that enough photos can be read.

    Args:
      photos: all photos.
      bad: the reasons why photos cannot be read, by index.
      skip: whether to skip these.

    Raises:
      ValueError: if some cannot be read and are not to be skipped, or if a class has no photo that
        can be read.
    """
    if not bad:
        return
    described = image_folder.shorten(photos.describe(bad))
    if not skip:
        raise ValueError(
            f"expected photos that can be read in {photos.folder}, got {len(bad)} that cannot "
            f"({described}) among {len(photos.names)}; repair or remove them, or skip them with "
            "--skip_bad_images"
        )
    empty = [name for name, images in photos.readable(bad) if not images]
    if empty:
        raise ValueError(
            f"expected photos that can be read in each class folder of {photos.folder}, got none "
            f"in {image_folder.shorten(empty)} ({described}); add some, or remove the folder"
        )
