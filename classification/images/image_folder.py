"""A folder of class folders of images: which classes there are, and which image is for what.

The class folders (see `class_folders`) stand in the folder itself, and a part of the images is
then held out for validation. Or they stand in its folders `train` and `validation` or `test`,
which are the splits, by any of their usual names (see `class_folders.split_of`). Where `test` is
the only one beside `train`, it becomes the validation split, which is what evaluation reads.

What is chosen follows from the names and the seed alone.
"""

import dataclasses
import hashlib
import os
from collections.abc import Collection, Mapping, Sequence

from classification.images import class_folders
from classification.images.class_folders import Classes, Scan, shorten
from transforms.base.labels import normalised

# Of each class, held out for validation.
DEFAULT_FRACTION = 0.2

_SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """An image file and what it shows.

    Attributes:
      name: its path from the folder of images, with '/'.
      label: the number of its class.
    """

    name: str
    label: int


@dataclasses.dataclass(frozen=True)
class ImageFolder:
    """What a folder of images holds.

    Attributes:
      path: the folder, or the one in it that holds all else.
      class_names: in order, index = label.
      splits: the images of "train", "validation" and perhaps "test", in the order in which
        they are to be written: those of train mixed by the seed, the others by class and name.
      seed: what was given.
      validation_fraction: the part of each class that is held out; None where the folder has
        splits of its own.
      split_folders: by the split, the folder that it was taken from; none where the folder has no
        splits of its own.
      ignored: names of files and hidden folders that were not taken for images or classes.
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
    """Looks through a folder of images, and opens none of them.

    Args:
      path: the folder.
      seed: from which the choice of images for validation, and the order in train, follow.
      validation_fraction: of each class, above 0 and below 1: the part that is held out,
        rounded to a whole number of images, but at least one, and at least one is left.
        None: a fifth, or the folder's own splits.
      without: names of images that are passed over, as if they were not there.

    Raises:
      OSError: the folder is missing, or no folder, or cannot be read.
      ValueError: there are fewer than two classes, or a class has not the images that it
        needs, or a class of another split is none of train; a name cannot be a class's, or
        two are spelled alike; a folder cannot be reached; folders stand where images should;
        or the fraction is out of range, or given where the folder has splits of its own.
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
                f"expected no validation fraction where there are splits, as in {found.root}, got "
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
    """Class folders, all of whose images are for one purpose.

    Attributes:
      path: the folder, or the one in it that holds all else.
      images: by the class's name, in order, its images as paths from the folder with '/'.
      ignored: names of files and hidden folders that were not taken for images or classes.
    """

    path: str
    images: Mapping[str, tuple[str, ...]]
    ignored: tuple[str, ...]


def scan_classes(path: str, *, without: Collection[str] = ()) -> ClassFolders:
    """Looks through a folder of class folders, one at least, and opens no image.

    Raises:
      OSError: the folder is missing, or no folder, or cannot be read.
      ValueError: a class has no image; a name cannot be a class's, or two are spelled alike;
        folders stand where images should, or cannot be reached, or are splits.
    """
    found = Scan(path, without)
    folders = found.class_folders("")
    splits = [folder for folder in folders if class_folders.split_of(folder)]
    if any(map(found.holds_folders, splits)):
        one = next((f for f in splits if class_folders.split_of(f) == "train"), splits[0])
        raise ValueError(
            f"expected a folder for each class in {found.root}, got folders of splits, "
            f"{shorten(splits)}; name one of these, as {found.path(one)}"
        )
    if len(splits) == len(folders) > 1:
        raise ValueError(
            f"expected a folder for each class in {found.root}, got folders of splits alone, "
            f"{shorten(splits)}; put the images of each class in a folder named after it"
        )
    classes = found.classes("", folders)
    images = {name: tuple(names) for name, names in classes.items()}
    return ClassFolders(found.root, images, tuple(sorted(found.ignored)))


def _check_number(folder: str, classes: Classes) -> None:
    if len(classes) < 2:
        raise ValueError(
            f"expected at least two classes in {folder}, each a folder of images, got "
            f"{shorten(classes)} alone; add others to tell it from"
        )


def _split_folders(found: Scan, folders: Sequence[str]) -> dict[str, str]:
    """The splits that a folder's folders are, and which is which; none where they are classes."""
    of_splits = [folder for folder in folders if class_folders.split_of(folder)]
    if len(of_splits) < len(folders):
        # A class may be named as a split, but classes hold no folders.
        if any(map(found.holds_folders, of_splits)):
            others = sorted(set(folders) - set(of_splits))
            raise ValueError(
                f"expected folders of splits alone in {found.root}, as {shorten(of_splits)}, got "
                f"{shorten(others)} beside them; move these elsewhere, or name the folder that "
                "holds the class folders"
            )
        return {}
    found_splits: dict[str, str] = {}
    for folder in of_splits:
        split = class_folders.split_of(folder) or ""
        other = found_splits.setdefault(split, folder)
        if other != folder:
            raise ValueError(
                f"expected one folder for each split in {found.root}, got {other} and {folder} for "
                f"{split}; put their images into one, or move one elsewhere"
            )
    if "train" not in found_splits or len(found_splits) == 1:
        raise ValueError(
            f"expected train beside validation or test in {found.root}, got {', '.join(folders)} "
            "alone; add what is missing, or name the folder that holds the class folders"
        )
    if "validation" not in found_splits:
        found_splits["validation"] = found_splits.pop("test")
    return {split: found_splits[split] for split in _SPLITS if split in found_splits}


def _given_splits(found: Scan, split_folders: Mapping[str, str]) -> dict[str, Classes]:
    """The classes of the splits that a folder has."""
    inner = {split: found.innermost(folder) for split, folder in split_folders.items()}
    splits = {
        split: found.classes(folder, found.class_folders(folder)) for split, folder in inner.items()
    }
    _check_number(found.path(split_folders["train"]), splits["train"])
    for split, classes in splits.items():
        unknown = sorted(set(classes) - set(splits["train"]))
        if unknown:
            raise ValueError(
                f"expected classes of {split_folders['train']} alone in {split_folders[split]} of "
                f"{found.root}, got {shorten(unknown)}; add images of them to train, or remove them"
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
            f"hold out, got one of {shorten(single)}; add others, or remove the class"
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
    # Readers mix what lies near each other: what is written must be mixed already.
    images["train"].sort(key=lambda image: _draw(seed, "order", image.name))
    return {split: tuple(files) for split, files in images.items()}


def _draw(seed: int, purpose: str, name: str) -> bytes:
    """A random number for a name: the same on every machine, and whatever other names there are."""
    return hashlib.sha256(f"{seed} {purpose} ".encode() + os.fsencode(normalised(name))).digest()
