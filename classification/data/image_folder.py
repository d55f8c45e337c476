"""A folder of class folders of images: which classes there are, and which image is for what.

Each class is a folder named after it, with its images right in it. The class folders stand in
the folder itself, and a part of the images is then held out for validation. Or they stand in
its folders `train` and `validation` (or `val`) or `test`, which are the splits. Where `test`
is the only one beside `train`, it becomes the validation split, which is what evaluation
reads.

A file is taken for an image if its name ends as images' names do, whether it can be read or
not. Hidden files and all others are ignored, but listed.

What is chosen follows from the names and the seed alone.
"""

import dataclasses
import hashlib
import os
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence

# Of each class, held out for validation.
DEFAULT_FRACTION = 0.2

# With those of images that `image_files` cannot read: to leave them out is not for us.
_IMAGE_ENDINGS = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg"),
    *(".png", ".tif", ".tiff", ".webp"),
)
_SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
_NAMES_IN_ERRORS = 10

# Class names and the images of each, as paths from the folder with '/'.
_Classes = dict[str, list[str]]


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
      path: the folder.
      class_names: in order, index = label.
      splits: the images of "train", "validation" and perhaps "test", in the order in which
        they are to be written: those of train mixed by the seed, the others by class and name.
      seed: what was given.
      validation_fraction: the part of each class that is held out; None where the folder has
        splits of its own.
      ignored: names of files and hidden folders that were not taken for images or classes.
    """

    path: str
    class_names: tuple[str, ...]
    splits: Mapping[str, tuple[ImageFile, ...]]
    seed: int
    validation_fraction: float | None
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
        needs, or a class of another split is none of train; a name cannot be a class's;
        folders stand where images should; or the fraction is out of range, or given where
        the folder has splits of its own.
    """
    if validation_fraction is not None and not 0 < validation_fraction < 1:
        raise ValueError(
            f"expected a validation fraction above 0 and below 1, got {validation_fraction}"
        )
    found = _Scan(path, without)
    folders = found.class_folders("")
    if set(folders) <= set(_SPLIT_FOLDERS):
        if validation_fraction is not None:
            raise ValueError(
                f"expected no validation fraction where there are splits, as in {path}, got "
                f"{validation_fraction}; leave it out"
            )
        splits = _given_splits(found, folders)
    else:
        validation_fraction = validation_fraction or DEFAULT_FRACTION
        classes = found.classes("", folders)
        _check_number(path, classes)
        splits = _split(path, classes, seed=seed, validation_fraction=validation_fraction)
    class_names = tuple(splits["train"])
    return ImageFolder(
        path=path,
        class_names=class_names,
        splits=_label(splits, class_names, seed=seed),
        seed=seed,
        validation_fraction=validation_fraction,
        ignored=tuple(sorted(found.ignored)),
    )


@dataclasses.dataclass(frozen=True)
class ClassFolders:
    """Class folders, all of whose images are for one purpose.

    Attributes:
      images: by the class's name, in order, its images as paths from the folder with '/'.
      ignored: names of files and hidden folders that were not taken for images or classes.
    """

    images: Mapping[str, tuple[str, ...]]
    ignored: tuple[str, ...]


def scan_classes(path: str, *, without: Collection[str] = ()) -> ClassFolders:
    """Looks through a folder of class folders, one at least, and opens no image.

    Raises:
      OSError: the folder is missing, or no folder, or cannot be read.
      ValueError: a class has no image; a name cannot be a class's, or two are spelled alike;
        folders stand where images should.
    """
    found = _Scan(path, without)
    classes = found.classes("", found.class_folders(""))
    spelled: dict[str, str] = {}
    for name in classes:
        other = spelled.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            raise ValueError(
                f"expected class folders of different names in {path}, got two that are both "
                f"spelled {name}, with other code points; put their images into one"
            )
    images = {name: tuple(names) for name, names in classes.items()}
    return ClassFolders(images, tuple(sorted(found.ignored)))


def printable(name: str) -> str:
    """A file's name as text, whatever bytes it is made of."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def shorten(names: Iterable[str]) -> str:
    """The first ten of some names, and how many more there are."""
    names = list(names)
    text = ", ".join(printable(name) for name in names[:_NAMES_IN_ERRORS])
    more = len(names) - _NAMES_IN_ERRORS
    return f"{text} and {more} more" if more > 0 else text


class _Scan:
    """Looks into the folders below one, and keeps what is ignored. Names come in order."""

    def __init__(self, root: str, without: Collection[str]) -> None:
        if not os.path.exists(root):
            raise FileNotFoundError(
                f"expected a folder of class folders of images, got {root}: there is no such folder"
            )
        self.root = root
        self.ignored: list[str] = []
        self._without = set(without)

    def class_folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder."""
        folders, files = self._list(folder)
        if not folders:
            raise ValueError(
                f"expected a folder for each class in {self.path(folder)}, got {len(files)} files "
                "and no folder; put the images of each class in a folder named after it"
            )
        self.ignored += files
        return folders

    def classes(self, folder: str, names: Iterable[str]) -> _Classes:
        """The images in class folders that stand in a folder."""
        classes: _Classes = {}
        for name in names:
            _check_name(name)
            folders, files = self._list(_join(folder, name))
            if folders:
                raise ValueError(
                    f"expected images alone in the class folder {self.path(_join(folder, name))}, "
                    f"got the folder {printable(folders[0])} in it; put the images right into "
                    "the class folder"
                )
            images = [file for file in files if file.lower().endswith(_IMAGE_ENDINGS)]
            self.ignored += sorted(set(files) - set(images))
            classes[name] = [image for image in images if image not in self._without]
        empty = [name for name, images in classes.items() if not images]
        if empty:
            raise ValueError(
                f"expected images in each class folder of {self.path(folder)}, got none in "
                f"{shorten(empty)}; add some, or remove the folder"
            )
        return classes

    def path(self, folder: str) -> str:
        """The path of a folder in the folder of images."""
        return os.path.join(self.root, folder) if folder else self.root

    def _list(self, folder: str) -> tuple[list[str], list[str]]:
        """The folders' names and the files' paths in a folder, without hidden ones."""
        folders, files = [], []
        with os.scandir(self.path(folder)) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    self.ignored.append(_join(folder, entry.name))
                elif _is_folder(entry):
                    folders.append(entry.name)
                else:
                    files.append(_join(folder, entry.name))
        return sorted(folders), sorted(files)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # Such as a link that leads in a circle: whoever reads it as a file will tell its name.
        return False


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _check_name(name: str) -> None:
    """Checks that a name comes back from a line of `labels.txt`."""
    if printable(name) != name or name.strip() != name or len(name.splitlines()) != 1:
        raise ValueError(
            "expected class folders named in UTF-8, on one line, without space at either end, "
            f"got {name!r}; rename it"
        )


def _check_number(folder: str, classes: _Classes) -> None:
    if len(classes) < 2:
        raise ValueError(
            f"expected at least two classes in {folder}, each a folder of images, got "
            f"{shorten(classes)} alone; add others to tell it from"
        )


def _given_splits(found: _Scan, folders: list[str]) -> dict[str, _Classes]:
    """The classes of the splits that a folder has."""
    root = found.root
    if {"validation", "val"} <= set(folders):
        raise ValueError(f"expected one of validation and val in {root}, got both; remove one")
    if "train" not in folders or len(folders) == 1:
        raise ValueError(
            f"expected train beside validation or test in {root}, got {', '.join(folders)} alone; "
            "add what is missing, or name the folder that holds the class folders"
        )
    splits: dict[str, _Classes] = {}
    for folder in folders:
        splits[_SPLIT_FOLDERS[folder]] = found.classes(folder, found.class_folders(folder))
    _check_number(found.path("train"), splits["train"])
    for split, classes in splits.items():
        unknown = sorted(set(classes) - set(splits["train"]))
        if unknown:
            raise ValueError(
                f"expected classes of train alone in {split} of {root}, got {shorten(unknown)}; "
                "add images of them to train, or remove them"
            )
    if "validation" not in splits:
        splits["validation"] = splits.pop("test")
    return splits


def _split(
    root: str, classes: _Classes, *, seed: int, validation_fraction: float
) -> dict[str, _Classes]:
    """Holds out a part of each class."""
    single = [name for name, images in classes.items() if len(images) == 1]
    if single:
        raise ValueError(
            f"expected at least two images of each class in {root}, one to train on and one to "
            f"hold out, got one of {shorten(single)}; add others, or remove the class"
        )
    train: _Classes = {}
    validation: _Classes = {}
    for name, images in classes.items():
        count = min(max(1, round(len(images) * validation_fraction)), len(images) - 1)
        drawn = sorted(images, key=lambda image: _draw(seed, "split", image))
        validation[name] = sorted(drawn[:count])
        train[name] = sorted(drawn[count:])
    return {"train": train, "validation": validation}


def _label(
    splits: Mapping[str, _Classes], class_names: Sequence[str], *, seed: int
) -> dict[str, tuple[ImageFile, ...]]:
    """The images of the splits with their labels, in the order in which they are written."""
    labels = {name: label for label, name in enumerate(class_names)}
    images = {
        split: [ImageFile(f, labels[name]) for name, files in splits[split].items() for f in files]
        for split in dict.fromkeys(_SPLIT_FOLDERS.values())
        if split in splits
    }
    # Readers mix what lies near each other: what is written must be mixed already.
    images["train"].sort(key=lambda image: _draw(seed, "order", image.name))
    return {split: tuple(files) for split, files in images.items()}


def _draw(seed: int, purpose: str, name: str) -> bytes:
    """A random number for a name: the same on every machine, and whatever other names there are."""
    return hashlib.sha256(f"{seed} {purpose} ".encode() + os.fsencode(name)).digest()
