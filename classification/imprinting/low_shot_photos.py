"""The photos that low-shot learning is measured on: folders of class folders, or TFRecords."""

import contextlib
import dataclasses
import glob
import os
from collections.abc import Sequence

from classification.data import dataset_info, image_folder, imagenet, records
from classification.data.dataset import Dataset, open_dataset

# By what they are called here, the splits of data: the first that is there is taken.
_SPLITS = {"train": ("train",), "test": ("test", "validation")}


@dataclasses.dataclass
class Photos:
    """Labelled image files.

    Attributes:
      paths: the files.
      names: what errors are to call them.
      labels: the numbers of their classes.
    """

    paths: list[str] = dataclasses.field(default_factory=list)
    names: list[str] = dataclasses.field(default_factory=list)
    labels: list[int] = dataclasses.field(default_factory=list)


def find(
    base_dir: str, novel_dir: str, base_names: Sequence[str], *, network: str, scratch: str
) -> tuple[dict[str, Photos], int]:
    """The photos to learn from and those to test with.

    Args:
      base_dir: of the base's classes. A folder of class folders, which stand in its folders `train`
        and `test` (or `validation`), or of TFRecord files `train-*` and `validation-*` (or
        `test-*`) with the classes' names, as `convert_images` writes.
      novel_dir: likewise, of other classes.
      base_names: the base's classes, in order.
      network: what errors call that which they come from.
      scratch: an empty folder, to which the images of TFRecords are copied.

    Returns:
      The photos of "train" and "test", and the number of classes: those of the base, then the
      novel ones by name.

    Raises:
      OSError: if a folder or file cannot be read.
      ValueError: if a folder does not hold what it should, a TFRecord file is damaged, or the
        classes are others than they should be.
    """
    labels = {name: label for label, name in enumerate(base_names)}
    if len(labels) < len(base_names):
        raise ValueError(f"expected classes of different names, got equal ones in {network}")
    found = {split: Photos() for split in _SPLITS}
    for flag, folder in (("base_dir", base_dir), ("novel_dir", novel_dir)):
        class_names, splits = _of_folder(folder, os.path.join(scratch, flag))
        for name in class_names:
            if (name in base_names) != (flag == "base_dir"):
                raise ValueError(
                    f"expected {'the' if flag == 'base_dir' else 'none of the'} classes of "
                    f"{network} in --{flag}, got {name}"
                )
            labels.setdefault(name, len(labels))
        for split, photos in splits.items():
            found[split].paths += photos.paths
            found[split].names += photos.names
            found[split].labels += [labels[class_names[label]] for label in photos.labels]
    absent = [name for name in base_names if labels[name] not in found["train"].labels]
    if absent:
        raise ValueError(
            f"expected photos of all classes of {network} in --base_dir, got none of "
            f"{image_folder.shorten(absent)}"
        )
    return found, len(labels)


def _of_folder(folder: str, scratch: str) -> tuple[Sequence[str], dict[str, Photos]]:
    """The classes' names, and the photos of each split."""
    if _holds_records(folder):
        return _of_records(folder, scratch)
    scanned = image_folder.scan(folder)
    splits = {}
    for split, named in _SPLITS.items():
        images = scanned.splits[next(name for name in named if name in scanned.splits)]
        paths = [os.path.join(folder, image.name) for image in images]
        splits[split] = Photos(paths, paths, [image.label for image in images])
    return scanned.class_names, splits


def _holds_records(folder: str) -> bool:
    if not os.path.isdir(folder):
        return False
    described = os.path.join(folder, dataset_info.FILE_NAME)
    train = glob.glob(os.path.join(glob.escape(folder), "train-*"))
    return any(os.path.isfile(path) for path in (described, *train))


def _of_records(folder: str, scratch: str) -> tuple[Sequence[str], dict[str, Photos]]:
    splits = {}
    class_names: Sequence[str] = ()
    for split, named in _SPLITS.items():
        dataset = _open(folder, named)
        class_names = _names(dataset)
        photos = splits[split] = Photos()
        os.makedirs(os.path.join(scratch, split))
        for record, index, payload in records.iterate(dataset.files):
            name = f"record {index} of {record}"
            try:
                encoded, label = imagenet.labelled_image(payload, num_classes=len(class_names))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            path = os.path.join(scratch, split, str(len(photos.paths)))
            with open(path, "wb") as file:
                file.write(encoded)
            photos.paths.append(path)
            photos.names.append(name)
            photos.labels.append(label)
    return class_names, splits


def _open(folder: str, splits: Sequence[str]) -> Dataset:
    """The first of several splits that is there."""
    for split in splits[:-1]:
        with contextlib.suppress(FileNotFoundError):
            return open_dataset(folder, split)
    return open_dataset(folder, splits[-1])


def _names(dataset: Dataset) -> tuple[str, ...]:
    if dataset.labels is None:
        raise ValueError(
            f"expected the classes' names in {dataset.source}, a line each in "
            f"{records.LABELS_FILE}, and there is no such file; write one"
        )
    return dataset.labels
