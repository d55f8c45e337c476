"""Finds class folders and their images in folders as users, cameras and exporters create them.

Each class has a folder with its name, which contains its images. Hidden files and folders, and
those that operating systems and archivers create (`LEFT_BY_SYSTEMS`), are ignored. A file is an
image if its name has the ending of an image, whether it can be read or not. Other files are
ignored. What is ignored is listed.
"""

import os
import re
import unicodedata
from collections.abc import Collection, Iterable

from imprinting.base.labels import normalised

# Created by macOS archives, Synology and other network storage, Windows and Linux.
LEFT_BY_SYSTEMS = (
    *("__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "thumbs.db", "desktop.ini"),
    *("system volume information", "lost+found"),
)
# Endings of images in folders of photos, including those that are reported as unreadable.
IMAGE_ENDINGS = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg"),
    *(".png", ".tif", ".tiff", ".webp"),
)
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_NAMES_IN_ERRORS = 10
_RECORDS = re.compile(r"-[0-9]{5}-of-[0-9]{5}$")

# The images of each class, as paths relative to the folder with '/', by the class's name.
Classes = dict[str, list[str]]


def split_of(folder: str) -> str | None:
    """The split that a folder's name means: "train", "validation" or "test"; None for none."""
    name = folder.strip().lower()
    return next((split for split, names in _SPLITS.items() if name in names), None)


def printable(name: str) -> str:
    """A file's name as text, with escapes for bytes that are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def shorten(names: Iterable[str]) -> str:
    """The first ten names, and how many more there are."""
    names = list(names)
    text = ", ".join(printable(name) for name in names[:_NAMES_IN_ERRORS])
    more = len(names) - _NAMES_IN_ERRORS
    return f"{text} and {more} more" if more > 0 else text


class Scan:
    """Lists the folders below a root folder, in order of their names.

    Attributes:
      root: the given folder, or the folder in it that contains everything else, since exporters
        often create one around the data.
      ignored: names of files and folders that are not images or classes.
    """

    def __init__(self, root: str, without: Collection[str] = ()) -> None:
        """Finds the root.

        Args:
          root: the folder.
          without: names of images to leave out, as if they did not exist.

        Raises:
          OSError: there is no such folder, or it cannot be read.
        """
        if not os.path.exists(root):
            raise FileNotFoundError(
                f"expected a folder of class folders of images, got {root}: {_reason(root)}"
            )
        if not os.path.isdir(root):
            raise NotADirectoryError(
                f"expected a folder of class folders of images, got the file {root}; name a folder"
            )
        self.root = root
        self.ignored: list[str] = []
        self._without = set(without)
        inner = self.innermost("", until_split=True)
        if inner:
            self.root = os.path.join(self.root, inner)

    def class_folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder.

        Raises:
          OSError: it cannot be read.
          ValueError: there are none, or one cannot be reached.
        """
        folders, files, hidden = self._list(folder, of_folders=True)
        if not folders:
            if any(_RECORDS.search(file) for file in files):
                raise ValueError(
                    f"expected a folder for each class in {self.path(folder)}, got a data set in "
                    "TFRecord files; name a folder of photos (data sets are for train and eval, by "
                    "--dataset_dir)"
                )
            there = f" ({shorten(hidden)} ignored)" if hidden else ""
            raise ValueError(
                f"expected a folder for each class in {self.path(folder)}, got {len(files)} files "
                f"and no folder{there}; put the images of each class in a folder named after it"
            )
        self.ignored += [*files, *hidden]
        return folders

    def holds_folders(self, folder: str) -> bool:
        """Whether a folder contains folders, and so is not a class folder."""
        return bool(self._list(folder)[0])

    def classes(self, folder: str, names: Iterable[str]) -> Classes:
        """The images of the class folders in a folder, by the classes' names in order.

        Args:
          folder: relative to the root.
          names: of the class folders.

        Raises:
          OSError: a folder cannot be read.
          ValueError: a class has no image; a name is not valid for a class, or two names differ
            only in their code points; a class folder contains folders.
        """
        classes: Classes = {}
        others: dict[str, list[str]] = {}
        spelled: dict[str, str] = {}
        for folder_name in names:
            _check_name(folder_name)
            name = normalised(folder_name)
            if name in spelled:
                raise ValueError(
                    f"expected class folders with different names in {self.path(folder)}, got two "
                    f"named {name}, with different code points; put their images into one"
                )
            spelled[name] = folder_name
            inner = _join(folder, folder_name)
            folders, files, hidden = self._list(inner)
            if folders:
                advice = (
                    f"if {name} is a class, put its images directly into it; if it is a split, "
                    "name it train, validation or test"
                )
                if split_of(folders[0]) is not None:
                    advice = f"put class folders into split folders, as {folders[0]}/{name}"
                raise ValueError(
                    f"expected only images in the class folder {self.path(inner)}, got the folder "
                    f"{printable(folders[0])} in it; {advice}"
                )
            images = _images(files)
            others[name] = [*sorted(set(files) - set(images)), *hidden]
            self.ignored += others[name]
            classes[name] = [image for image in images if image not in self._without]
        empty = [name for name, images in classes.items() if not images]
        if empty:
            ignored = [file for name in empty for file in others[name]]
            there = f" (ignored because hidden or not named like images: {shorten(ignored)})"
            raise ValueError(
                f"expected images in each class folder of {self.path(folder)}, got none in "
                f"{shorten(empty)}{there if ignored else ''}; add some, or remove the folder"
            )
        return dict(sorted(classes.items()))

    def path(self, folder: str) -> str:
        """The path of a folder in the folder of images."""
        return os.path.join(self.root, folder) if folder else self.root

    def innermost(self, folder: str, *, until_split: bool = False) -> str:
        """The folder that contains the class folders: the given one, or one inside it.

        Args:
          folder: a folder of class folders, or of only one folder, which contains them at any
            depth.
          until_split: whether to stop before a folder with the name of a split.

        Raises:
          OSError: a folder cannot be read.
        """
        while True:
            folders, files, _ = self._list(folder)
            if len(folders) != 1 or _images(files):
                return folder
            if until_split and split_of(folders[0]) is not None:
                return folder
            inner = _join(folder, folders[0])
            folders, files, _ = self._list(inner)
            if not folders or _images(files):
                return folder
            folder = inner

    def _list(
        self, folder: str, *, of_folders: bool = False
    ) -> tuple[list[str], list[str], list[str]]:
        """The content of a folder.

        Args:
          folder: relative to the root.
          of_folders: whether it should contain folders. Then a link that leads nowhere, and so
            might be meant as a folder, is an error.

        Returns:
          The names of the folders, the paths of the files, and the paths of hidden ones.
        """
        folders, files, hidden = [], [], []
        try:
            with os.scandir(self.path(folder)) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name.lower() in LEFT_BY_SYSTEMS:
                        hidden.append(_join(folder, entry.name))
                    elif _is_folder(entry):
                        folders.append(entry.name)
                    elif of_folders and not _is_reached(entry):
                        raise ValueError(
                            f"expected folders in {self.path(folder)} that can be reached, got "
                            f"{printable(entry.name)}: {_reason(entry.path)}; repair or remove it"
                        )
                    else:
                        files.append(_join(folder, entry.name))
        except PermissionError as error:
            raise PermissionError(
                f"expected a folder that can be read, got {self.path(folder)}: "
                f"{_reason(self.path(folder), error)}; change its permissions, or remove it"
            ) from error
        return sorted(folders), sorted(files), sorted(hidden)


def _images(files: Iterable[str]) -> list[str]:
    return [file for file in files if file.lower().endswith(IMAGE_ENDINGS)]


def describe_link(path: str) -> str:
    """Describes where a link leads, for errors; '' if the path is not a link."""
    try:
        return f"a link to {printable(os.readlink(path))}" if os.path.islink(path) else ""
    except OSError:
        return ""


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # For example, a circular link, or one into a folder without read permission.
        return False


def _is_reached(entry: os.DirEntry[str]) -> bool:
    try:
        entry.stat()
    except OSError:
        return False
    return True


def _reason(path: str, error: OSError | None = None) -> str:
    """Why a file or folder cannot be reached."""
    if error is None:
        try:
            os.stat(path)
        except OSError as raised:
            error = raised
    link = describe_link(path)
    why = "there is no such folder"
    if error is not None and (link or not isinstance(error, FileNotFoundError)):
        why = error.strerror or str(error)
    return f"{link}, but: {why}" if link else why


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _check_name(name: str) -> None:
    """Checks that a name can be a line of `labels.txt`."""
    is_line = printable(name) == name and name.strip() == name and len(name.splitlines()) == 1
    if not is_line or any(unicodedata.category(character) == "Cc" for character in name):
        raise ValueError(
            "expected class folders with names in UTF-8, of one line, without control characters "
            f"and without space at either end, got {name!r}; rename it"
        )
