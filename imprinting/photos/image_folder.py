"""Finds the classes, images and splits in a folder of class folders of images.

The folder may contain the class folders (see `class_folders`); then a part of the images is held
out for validation. Or it contains a folder for each split, `train` and `validation` or `test`,
with any of their usual names (see `class_folders.split_of`), and these contain the class folders.
If there are only `train` and `test`, then `test` becomes the validation split, which is the one
that evaluation reads.

The choice of images depends only on their names and a seed.
"""

import dataclasses
import hashlib
import os
from collections.abc import Collection, Mapping, Sequence

from imprinting.base.labels import normalised
from imprinting.photos import class_folders
from imprinting.photos.class_folders import Classes, Scan, shorten

# The fraction of each class that is held out for validation.
DEFAULT_FRACTION = 0.2

_SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """An image file and its class.

    Attributes:
      name: its path relative to the folder of images, with '/'.
      label: the number of its class.
    """

    name: str
    label: int


@dataclasses.dataclass(frozen=True)
class ImageFolder:
    """The content of a folder of images.

    Attributes:
      path: the folder, or the folder in it that contains everything else.
      class_names: in order, index = label.
      splits: the images of "train", "validation" and perhaps "test", in the order in which to
        write them: those of train shuffled by the seed, the others by class and name.
      seed: the seed of `scan`.
      validation_fraction: the fraction of each class that is held out; None if the folder
        contains splits.
      split_folders: the folder of each split; empty if the folder contains no splits.
      ignored: names of files and hidden folders that are not images or classes.
    """

    path: str
    class_names: tuple[str, ...]
    splits: Mapping[str, tuple[ImageFile, ...]]
    seed: int
    validation_fraction: float | None
    split_folders: Mapping[str, str]
    ignored: tuple[str, ...]


def scan(
    path: str,
    *,
    seed: int = 0,
    validation_fraction: float | None = None,
    without: Collection[str] = (),
) -> ImageFolder:
    """Searches a folder of images, without opening any image.

    Args:
      path: the folder.
      seed: determines which images are for validation, and the order of train.
      validation_fraction: the fraction of each class to hold out, above 0 and below 1. It is
        rounded to a number of images that leaves at least one image on each side. None for a
        fifth, or for the splits in the folder.
      without: names of images to leave out, as if they did not exist.

    Raises:
      OSError: the folder is missing, is not a folder, or cannot be read.
      ValueError: there are fewer than two classes; a class has too few images; a class of
        another split is not in train; a name is not valid for a class, or two names differ only
        in their code points; a folder cannot be reached; a class folder contains folders; or the
        fraction is out of range, or was given for a folder with splits.
    """
    if validation_fraction is not None and not 0 < validation_fraction < 1:
        raise ValueError(
            f"expected a validation fraction above 0 and below 1, got {validation_fraction}"
        )
    found = Scan(path, without)
    folders = found.class_folders("")
    split_folders = _split_folders(found, folders)
    if split_folders:
        if validation_fraction is not None:
            raise ValueError(
                f"expected no validation fraction for a folder with splits, {found.root}, got "
                f"{validation_fraction}; leave it out"
            )
        splits = _given_splits(found, split_folders)
    else:
        validation_fraction = validation_fraction or DEFAULT_FRACTION
        classes = found.classes("", folders)
        _check_number(found.root, classes)
        splits = _split(found.root, classes, seed=seed, validation_fraction=validation_fraction)
    class_names = tuple(splits["train"])
    return ImageFolder(
        path=found.root,
        class_names=class_names,
        splits=_label(splits, class_names, seed=seed),
        seed=seed,
        validation_fraction=validation_fraction,
        split_folders=split_folders,
        ignored=tuple(sorted(found.ignored)),
    )


@dataclasses.dataclass(frozen=True)
class ClassFolders:
    """Class folders without splits.

    Attributes:
      path: the folder, or the folder in it that contains everything else.
      images: the images of each class, as paths relative to the folder with '/', by the classes'
        names in order.
      ignored: names of files and hidden folders that are not images or classes.
    """

    path: str
    images: Mapping[str, tuple[str, ...]]
    ignored: tuple[str, ...]


def scan_classes(path: str, *, without: Collection[str] = ()) -> ClassFolders:
    """Searches a folder of one or more class folders, without opening any image.

    Args:
      path: the folder.
      without: names of images to leave out, as if they did not exist.

    Raises:
      OSError: the folder is missing, is not a folder, or cannot be read.
      ValueError: there is no class; a class has no image; a name is not valid for a class, or two
        names differ only in their code points; a class folder contains folders, cannot be
        reached, or is a split.
    """
    found = Scan(path, without)
    folders = found.class_folders("")
    splits = [folder for folder in folders if class_folders.split_of(folder)]
    if any(map(found.holds_folders, splits)):
        one = next((f for f in splits if class_folders.split_of(f) == "train"), splits[0])
        raise ValueError(
            f"expected a folder for each class in {found.root}, got folders of splits, "
            f"{shorten(splits)}; name one of these, such as {found.path(one)}"
        )
    if len(splits) == len(folders) > 1:
        raise ValueError(
            f"expected a folder for each class in {found.root}, got only folders of splits, "
            f"{shorten(splits)}; put the images of each class in a folder named after it"
        )
    classes = found.classes("", folders)
    images = {name: tuple(names) for name, names in classes.items()}
    return ClassFolders(found.root, images, tuple(sorted(found.ignored)))


def _check_number(folder: str, classes: Classes) -> None:
    if len(classes) < 2:
        raise ValueError(
            f"expected at least two classes in {folder}, each a folder of images, got only "
            f"{shorten(classes)}; add other classes"
        )


def _split_folders(found: Scan, folders: Sequence[str]) -> dict[str, str]:
    """The folders of the splits, by split; empty if the folders are classes."""
    of_splits = [folder for folder in folders if class_folders.split_of(folder)]
    if len(of_splits) < len(folders):
        # A class may have the name of a split, but class folders contain no folders.
        if any(map(found.holds_folders, of_splits)):
            others = sorted(set(folders) - set(of_splits))
            raise ValueError(
                f"expected only folders of splits in {found.root}, such as {shorten(of_splits)}, "
                f"got also {shorten(others)}; move these elsewhere, or name the folder that "
                "contains the class folders"
            )
        return {}
    found_splits: dict[str, str] = {}
    for folder in of_splits:
        split = class_folders.split_of(folder) or ""
        other = found_splits.setdefault(split, folder)
        if other != folder:
            raise ValueError(
                f"expected one folder for each split in {found.root}, got {other} and {folder} for "
                f"{split}; put their images into one folder, or move one folder elsewhere"
            )
    if "train" not in found_splits or len(found_splits) == 1:
        raise ValueError(
            f"expected train, and validation or test, in {found.root}, got only "
            f"{', '.join(folders)}; add what is missing, or name the folder that contains the "
            "class folders"
        )
    if "validation" not in found_splits:
        found_splits["validation"] = found_splits.pop("test")
    return {split: found_splits[split] for split in _SPLITS if split in found_splits}


def _given_splits(found: Scan, split_folders: Mapping[str, str]) -> dict[str, Classes]:
    """The classes of the splits in a folder."""
    inner = {split: found.innermost(folder) for split, folder in split_folders.items()}
    splits = {
        split: found.classes(folder, found.class_folders(folder)) for split, folder in inner.items()
    }
    _check_number(found.path(split_folders["train"]), splits["train"])
    for split, classes in splits.items():
        unknown = sorted(set(classes) - set(splits["train"]))
        if unknown:
            raise ValueError(
                f"expected only classes of {split_folders['train']} in {split_folders[split]} of "
                f"{found.root}, got also {shorten(unknown)}; add images of them to train, or "
                "remove them"
            )
    return splits


def _split(
    root: str, classes: Classes, *, seed: int, validation_fraction: float
) -> dict[str, Classes]:
    """Holds out a part of each class."""
    single = [name for name, images in classes.items() if len(images) == 1]
    if single:
        raise ValueError(
            f"expected at least two images of each class in {root}, one to train on and one to "
            f"hold out, got one of {shorten(single)}; add other images, or remove the class"
        )
    train: Classes = {}
    validation: Classes = {}
    for name, images in classes.items():
        count = min(max(1, round(len(images) * validation_fraction)), len(images) - 1)
        drawn = sorted(images, key=lambda image: _draw(seed, "split", image))
        validation[name] = sorted(drawn[:count])
        train[name] = sorted(drawn[count:])
    return {"train": train, "validation": validation}


def _label(
    splits: Mapping[str, Classes], class_names: Sequence[str], *, seed: int
) -> dict[str, tuple[ImageFile, ...]]:
    """The images of the splits with their labels, in the order in which they are written."""
    labels = {name: label for label, name in enumerate(class_names)}
    images = {
        split: [ImageFile(f, labels[name]) for name, files in splits[split].items() for f in files]
        for split in _SPLITS
        if split in splits
    }
    # Readers only shuffle neighbouring records, so the records must be shuffled already.
    images["train"].sort(key=lambda image: _draw(seed, "order", image.name))
    return {split: tuple(files) for split, files in images.items()}


def _draw(seed: int, purpose: str, name: str) -> bytes:
    """A random number for a name, which does not depend on the machine or on other names."""
    return hashlib.sha256(f"{seed} {purpose} ".encode() + os.fsencode(normalised(name))).digest()
