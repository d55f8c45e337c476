"""The photos of new classes: which there are, and which of them can be read."""

import dataclasses
import os
from collections.abc import Iterator, Mapping

from classification.images import image_folder


@dataclasses.dataclass(frozen=True)
class Photos:
    """Photos in class folders.

    Attributes:
      folder: that holds the class folders.
      names: of the photos, from there on.
      classes: by its name, in order, where the photos of a class begin and end among these.
      ignored: names of files that were not taken for photos.
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
        """Each class and its photos, but for those that cannot be read."""
        for name, (begin, end) in self.classes.items():
            yield name, [index for index in range(begin, end) if index not in bad]

    def describe(self, bad: Mapping[int, str]) -> list[str]:
        """Which photos cannot be read, and why."""
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
    """Checks that what can be read will do.

    Args:
      photos: all there are.
      bad: what is wrong with photos that cannot be read, by their index.
      skip: whether to leave these out.

    Raises:
      ValueError: if there are such, and they are not to be left out; or if a class has no others.
    """
    if not bad:
        return
    described = image_folder.shorten(photos.describe(bad))
    if not skip:
        raise ValueError(
            f"expected photos that can be read in {photos.folder}, got {len(bad)} that cannot "
            f"({described}) among {len(photos.names)}; mend or remove them, or leave them out by "
            "--skip_bad_images"
        )
    empty = [name for name, images in photos.readable(bad) if not images]
    if empty:
        raise ValueError(
            f"expected photos that can be read in each class folder of {photos.folder}, got none "
            f"in {image_folder.shorten(empty)} ({described}); add some, or remove the folder"
        )
