"""Finds the photos for trials of low-shot learning, in class folders or TFRecords."""

import collections
import dataclasses
import os
from collections.abc import Collection, Sequence

from classification.data import dataset_info, imagenet, records, storage
from classification.data.dataset import Dataset, open_dataset
from imprinting.base.labels import normalised
from imprinting.photos import image_folder

# For each purpose, the splits of data that serve it; the first that exists is used.
_SPLITS = {"train": ("train",), "test": ("test", "validation")}


@dataclasses.dataclass
class LabelledPhotos:
    """Labelled image files.

    Attributes:
      paths: the files.
      names: their names in errors.
      labels: the numbers of their classes.
      sources: the folders, or splits of records, that they come from.
    """

    paths: list[str] = dataclasses.field(default_factory=list)
    names: list[str] = dataclasses.field(default_factory=list)
    labels: list[int] = dataclasses.field(default_factory=list)
    sources: list[str] = dataclasses.field(default_factory=list)


def find(
    base_dir: str, novel_dir: str, base_names: Sequence[str], *, network: str, scratch: str
) -> tuple[dict[str, LabelledPhotos], list[str]]:
    """The photos to learn from and the photos to test with.

    Args:
      base_dir: photos of the base classes: a folder with class folders in its folders `train` and
        `test` (or `validation`), or with TFRecord files `train-*` and `validation-*` (or `test-*`)
        and the names of the classes, as `convert_images` writes them.
      novel_dir: photos of other classes, in the same form.
      base_names: the names of the base classes, in order.
      network: the name of the network in errors.
      scratch: an empty folder, to which the images of TFRecords are copied.

    Returns:
      The photos of "train" and "test", and the names of all classes: those of the base, then the
      novel ones.

    Raises:
      OSError: if a folder or file cannot be read.
      ValueError: if a folder lacks photos, a TFRecord file is damaged, or the classes are not those
        expected.
    """
    names = list(base_names)
    if len(set(map(normalised, names))) < len(names):
        raise ValueError(f"expected classes of different names, got equal ones in {network}")
    found = {split: LabelledPhotos() for split in _SPLITS}
    for flag, folder in (("base_dir", base_dir), ("novel_dir", novel_dir)):
        class_names, splits = _of_folder(folder, os.path.join(scratch, flag))
        numbers = _numbers(class_names, names, is_base=flag == "base_dir", network=network)
        for split, photos in splits.items():
            found[split].paths += photos.paths
            found[split].names += photos.names
            found[split].sources += photos.sources
            found[split].labels += [numbers[label] for label in photos.labels]
        there = set(found["train"].labels)
        absent = [name for number, name in enumerate(names) if number not in there]
        if absent:
            raise ValueError(
                f"expected photos to learn from of all classes"
                f"{f' of {network}' if flag == 'base_dir' else ''} in --{flag}, got none of "
                f"{image_folder.shorten(absent)}"
            )
    check_tests(found["test"], num_base=len(base_names))
    return found, names


def without(photos: LabelledPhotos, bad: Collection[int]) -> LabelledPhotos:
    """The photos except those with the given indices."""
    kept = [index for index in range(len(photos.paths)) if index not in bad]
    return LabelledPhotos(
        paths=[photos.paths[index] for index in kept],
        names=[photos.names[index] for index in kept],
        labels=[photos.labels[index] for index in kept],
        sources=photos.sources,
    )


def check_tests(test: LabelledPhotos, *, num_base: int) -> None:
    """Raises a ValueError if there are no test photos of the base, or none of novel classes."""
    for flag, labels in (
        ("base_dir", [label for label in test.labels if label < num_base]),
        ("novel_dir", [label for label in test.labels if label >= num_base]),
    ):
        if not labels:
            raise ValueError(f"expected photos to test with in --{flag}, got none")


def check_shots(train: LabelledPhotos, names: Sequence[str], *, num_base: int, shots: int) -> None:
    """Raises a ValueError if a novel class has fewer photos than `shots`."""
    counts = collections.Counter(train.labels)
    for number in range(num_base, len(names)):
        if counts[number] < shots:
            raise ValueError(
                f"expected at least {shots} photos of each novel class to learn from, got "
                f"{counts[number]} of {names[number]}; ask for fewer --shots"
            )


def _numbers(
    class_names: Sequence[str], names: list[str], *, is_base: bool, network: str
) -> list[int]:
    """The number of each class of a folder; new names are appended to `names`."""
    if len(set(map(normalised, class_names))) < len(class_names):
        raise ValueError(
            "expected classes of different names, got equal ones among "
            f"{image_folder.shorten(class_names)}"
        )
    known = {normalised(name): number for number, name in enumerate(names)}
    numbers = []
    for name in class_names:
        number = known.get(normalised(name))
        if (number is not None) != is_base:
            raise ValueError(
                f"expected {'the' if is_base else 'none of the'} classes of {network} in "
                f"--{'base' if is_base else 'novel'}_dir, got {name}"
            )
        if number is None:
            number = len(names)
            names.append(name)
        numbers.append(number)
    return numbers


def _of_folder(folder: str, scratch: str) -> tuple[Sequence[str], dict[str, LabelledPhotos]]:
    """The names of the classes, and the photos for each purpose."""
    if _holds_records(folder):
        return _of_records(folder, scratch)
    scanned = image_folder.scan(folder)
    splits = {}
    for split, named in _SPLITS.items():
        there = next(name for name in named if name in scanned.splits)
        images = scanned.splits[there]
        paths = [os.path.join(scanned.path, image.name) for image in images]
        source = f"a part of {scanned.path}"
        if scanned.split_folders:
            source = os.path.join(scanned.path, scanned.split_folders[there])
        splits[split] = LabelledPhotos(paths, paths, [image.label for image in images], [source])
    return scanned.class_names, splits


def _holds_records(folder: str) -> bool:
    try:
        names = storage.list_folder(folder)
    except OSError:
        return False
    if dataset_info.FILE_NAME in names:
        return True
    # Files beside class folders may have any name.
    return "train" not in names and any(name.startswith("train-") for name in names)


def _of_records(folder: str, scratch: str) -> tuple[Sequence[str], dict[str, LabelledPhotos]]:
    splits = {}
    class_names: Sequence[str] = ()
    for split, named in _SPLITS.items():
        dataset = _open(folder, named)
        class_names = _names(dataset)
        photos = splits[split] = LabelledPhotos(sources=[f"{dataset.split} of {folder}"])
        os.makedirs(os.path.join(scratch, split))
        for record, index, payload in records.iterate(dataset.files):
            name = f"record {index} of {record}"
            try:
                encoded, label = imagenet.labelled_image(payload, num_classes=len(class_names))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            # Warnings name the file; so it is named after the record.
            file_name = f"{len(photos.paths)} (record {index} of {os.path.basename(record)})"
            path = os.path.join(scratch, split, file_name)
            with open(path, "wb") as file:
                file.write(encoded)
            photos.paths.append(path)
            photos.names.append(name)
            photos.labels.append(label)
    return class_names, splits


def _open(folder: str, splits: Sequence[str]) -> Dataset:
    """The first of several splits that exists."""
    info = dataset_info.read(folder)
    if info is not None:
        there = set(info.splits)
    else:
        there = {name.partition("-")[0] for name in storage.list_folder(folder)}
    return open_dataset(folder, next((split for split in splits if split in there), splits[-1]))


def _names(dataset: Dataset) -> tuple[str, ...]:
    if dataset.labels is None:
        raise ValueError(
            f"expected the names of the classes in {dataset.source}, one per line in "
            f"{records.LABELS_FILE}, got no such file; write one"
        )
    return dataset.labels
