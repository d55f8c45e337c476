"""Converts a folder of images to a data set: record files in slim's form, and their description.

`labels.txt` has the classes' names, and `dataset.json` describes the record files (see
`record_shards` and `dataset_info`).
"""

import collections
import os
from collections.abc import Callable, Mapping, Sequence

from classification.data import dataset_info, records, storage
from classification.data.dataset_info import DatasetInfo, Shard
from classification.images import record_shards
from imprinting.base import atomic_files, labels
from imprinting.photos import class_folders, image_folder, photo_file
from imprinting.photos.image_folder import ImageFolder


def convert(
    images_dir: str,
    output_dir: str,
    *,
    seed: int = 0,
    validation_fraction: float | None = None,
    skip_bad_images: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> DatasetInfo:
    """Writes a data set. Equal images, names and seeds give equal bytes.

    Every image is decoded once, on all processors. If images are left out, the data set is the
    same as if their files did not exist; then the other images are read a second time. It warns
    of images that are damaged but have all their pixels.

    Args:
      images_dir: the folder of images, see `image_folder`.
      output_dir: the folder for the data set, on this machine: a new or empty folder, or one with
        an earlier data set, which is replaced. It is written atomically.
      seed: see `image_folder.scan`.
      validation_fraction: see `image_folder.scan`.
      skip_bad_images: whether to leave out images that cannot be read.
      on_progress: called with the number of images that are done, and of all images.

    Returns:
      The description of the data set.

    Raises:
      OSError: a folder is missing, cannot be read or written, or the output folder contains
        something else.
      ValueError: an image cannot be read; the folder of images, without those left out, is not
        as `image_folder.scan` expects; an earlier `dataset.json` is damaged; or the output
        folder is on another file system or inside the folder of images.
      MemoryError: there is too little memory for an image.
      tf.errors.OpError: a file cannot be written.
    """
    check_local(output_dir)
    skipped: dict[str, str] = {}
    folder = image_folder.scan(images_dir, seed=seed, validation_fraction=validation_fraction)
    check_apart(images_dir, output_dir)
    with atomic_files.atomic_folder(output_dir, earlier_names(output_dir)) as partial:
        while True:
            shards = record_shards.divide(folder, record_shards.image_sizes(folder))
            written = list(record_shards.write(partial, folder, shards, on_progress))
            bad = {name: why for shard in written for name, why in shard.bad.items()}
            if not bad:
                break
            if not skip_bad_images:
                raise ValueError(complaint(folder, bad))
            for name in os.listdir(partial):
                os.remove(os.path.join(partial, name))
            skipped |= bad
            folder = scan_without(
                images_dir, skipped, seed=seed, validation_fraction=validation_fraction
            )
        warn_of_faulty(folder, {n: why for shard in written for n, why in shard.faulty.items()})
        return describe(partial, folder, [shard.shard for shard in written], skipped)


def scan_without(
    images_dir: str, bad: Mapping[str, str], *, seed: int, validation_fraction: float | None
) -> ImageFolder:
    """Scans the folder again, as if images that cannot be read did not exist.

    Raises:
      ValueError: without them, the folder is not as `image_folder.scan` expects.
    """
    try:
        return image_folder.scan(
            images_dir, seed=seed, validation_fraction=validation_fraction, without=bad
        )
    except ValueError as error:
        raise ValueError(f"with {_describe(bad)} left out, {error}") from error


def warn_of_faulty(folder: ImageFolder, faulty: Mapping[str, str]) -> None:
    """Warns of images that are damaged but have all their pixels."""
    for name, damage in sorted(faulty.items()):
        photo_file.warn(os.path.join(folder.path, name), damage)


def describe(
    path: str, folder: ImageFolder, shards: Sequence[Shard], skipped: Mapping[str, str]
) -> DatasetInfo:
    """Writes `dataset.json` and `labels.txt` in a folder.

    Args:
      path: the folder.
      folder: the images, without those that were left out.
      shards: the record files, in order.
      skipped: the images that were left out, and why.

    Returns:
      The content of `dataset.json`.
    """
    info = _info(folder, shards, skipped)
    atomic_files.write_atomically(
        os.path.join(path, dataset_info.FILE_NAME), info.to_json().encode()
    )
    atomic_files.write_atomically(
        os.path.join(path, records.LABELS_FILE), labels.numbered_text(folder.class_names)
    )
    return info


def check_local(output_dir: str) -> None:
    """Refuses a path with a scheme, which would become a local folder named after the scheme."""
    if not storage.is_local(output_dir):
        raise ValueError(
            f"expected an output folder on this machine, got {output_dir}; write to a local folder "
            "and copy it there"
        )


def check_apart(images_dir: str, output_dir: str) -> None:
    """Refuses an output folder inside the images, where the next conversion would find it."""
    images, output = os.path.realpath(images_dir), os.path.realpath(output_dir)
    if os.path.commonpath([images, output]) == images:
        raise ValueError(
            f"expected an output folder outside the folder of images, {images_dir}, got "
            f"{output_dir}; name another"
        )


def earlier_names(folder: str) -> list[str]:
    """The names of the files of an earlier data set in a folder."""
    earlier = dataset_info.read(folder)
    if earlier is None:
        return []
    shards = [shard.path for split in earlier.splits.values() for shard in split]
    return [dataset_info.FILE_NAME, records.LABELS_FILE, *shards]


def complaint(folder: ImageFolder, bad: Mapping[str, str]) -> str:
    """What is wrong with images that cannot be read, and what to do."""
    return (
        f"expected images that can be read in {folder.path}, got {_describe(bad)} among "
        f"{_count(folder)}; repair or remove them, or leave them out by --skip_bad_images"
    )


def _describe(bad: Mapping[str, str]) -> str:
    names = image_folder.shorten(f"{name}: {why}" for name, why in sorted(bad.items()))
    return f"{len(bad)} that cannot be read ({names})"


def _count(folder: ImageFolder) -> int:
    return sum(len(images) for images in folder.splits.values())


def _info(folder: ImageFolder, shards: Sequence[Shard], skipped: Mapping[str, str]) -> DatasetInfo:
    numbers = range(len(folder.class_names))
    counts = {
        split: collections.Counter(image.label for image in images)
        for split, images in folder.splits.items()
    }
    return DatasetInfo(
        splits={
            split: tuple(shard for shard in shards if shard.path.startswith(f"{split}-"))
            for split in folder.splits
        },
        class_counts={
            split: tuple(count[label] for label in numbers) for split, count in counts.items()
        },
        seed=folder.seed,
        validation_fraction=folder.validation_fraction,
        split_folders={
            split: class_folders.printable(name) for split, name in folder.split_folders.items()
        },
        skipped={class_folders.printable(name): why for name, why in sorted(skipped.items())},
        ignored=tuple(map(class_folders.printable, folder.ignored)),
    )
