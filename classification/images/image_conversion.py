"""Converts a folder of images to a data set: record files in slim's form, and their description.

A record is a tf.train.Example with these features of slim's ImageNet: `image/encoded`,
`image/format`, `image/height`, `image/width`, `image/channels`, `image/colorspace`,
`image/filename`, `image/class/label` and `image/class/text`. `labels.txt` has the classes' names,
and `dataset.json` describes the record files (see `dataset_info`).
"""

import collections
import concurrent.futures
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import tensorflow.compat.v1 as tf

from classification.data import dataset_info, records, storage
from classification.data.dataset_info import DatasetInfo, Shard
from classification.images import image_files
from classification.images.image_files import EncodedImage
from imprinting.base import atomic_files, labels
from imprinting.photos import class_folders, image_folder, photo_file
from imprinting.photos.image_folder import ImageFile, ImageFolder
from imprinting.photos.photo_file import BadImageError

# Several files, so that several workers can read them, each small enough to copy in seconds.
_LEAST_SHARDS = 8
_SHARD_BYTES = 100 << 20
# The number of images that each thread reads ahead of writing.
_READ_AHEAD = 4
_COLOR_SPACES = {1: b"Grayscale", 3: b"RGB"}


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

    def scan() -> ImageFolder:
        return image_folder.scan(
            images_dir, seed=seed, validation_fraction=validation_fraction, without=skipped
        )

    _check_local(output_dir)
    skipped: dict[str, str] = {}
    folder = scan()
    _check_apart(images_dir, output_dir)
    with atomic_files.atomic_folder(output_dir, _earlier_names(output_dir)) as partial:
        while True:
            splits, bad, faulty = _write_splits(partial, folder, on_progress)
            if not bad:
                break
            if not skip_bad_images:
                raise ValueError(_complaint(folder, bad))
            for name in os.listdir(partial):
                os.remove(os.path.join(partial, name))
            skipped |= bad
            try:
                folder = scan()
            except ValueError as error:
                raise ValueError(f"with {_describe(skipped)} left out, {error}") from error
        for name, complaint in sorted(faulty.items()):
            photo_file.warn(os.path.join(folder.path, name), complaint)
        info = _info(folder, splits, skipped)
        atomic_files.write_atomically(
            os.path.join(partial, dataset_info.FILE_NAME), info.to_json().encode()
        )
        atomic_files.write_atomically(
            os.path.join(partial, records.LABELS_FILE), labels.numbered_text(folder.class_names)
        )
    return info


def _check_local(output_dir: str) -> None:
    """Refuses a path with a scheme, which would become a local folder named after the scheme."""
    if not storage.is_local(output_dir):
        raise ValueError(
            f"expected an output folder on this machine, got {output_dir}; write to a local folder "
            "and copy it there"
        )


def _check_apart(images_dir: str, output_dir: str) -> None:
    """Refuses an output folder inside the images, where the next conversion would find it."""
    images, output = os.path.realpath(images_dir), os.path.realpath(output_dir)
    if os.path.commonpath([images, output]) == images:
        raise ValueError(
            f"expected an output folder outside the folder of images, {images_dir}, got "
            f"{output_dir}; name another"
        )


def _earlier_names(folder: str) -> list[str]:
    """The names of the files of an earlier data set in a folder."""
    earlier = dataset_info.read(folder)
    if earlier is None:
        return []
    shards = [shard.path for split in earlier.splits.values() for shard in split]
    return [dataset_info.FILE_NAME, records.LABELS_FILE, *shards]


def _complaint(folder: ImageFolder, bad: Mapping[str, str]) -> str:
    return (
        f"expected images that can be read in {folder.path}, got {_describe(bad)} among "
        f"{_count(folder)}; repair or remove them, or leave them out by --skip_bad_images"
    )


def _describe(bad: Mapping[str, str]) -> str:
    names = image_folder.shorten(f"{name}: {why}" for name, why in sorted(bad.items()))
    return f"{len(bad)} that cannot be read ({names})"


def _count(folder: ImageFolder) -> int:
    return sum(len(images) for images in folder.splits.values())


def _info(
    folder: ImageFolder, splits: Mapping[str, tuple[Shard, ...]], skipped: Mapping[str, str]
) -> DatasetInfo:
    numbers = range(len(folder.class_names))
    counts = {
        split: collections.Counter(image.label for image in images)
        for split, images in folder.splits.items()
    }
    return DatasetInfo(
        splits=splits,
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


def _write_splits(
    path: str, folder: ImageFolder, on_progress: Callable[[int, int], None] | None
) -> tuple[dict[str, tuple[Shard, ...]], dict[str, str], dict[str, str]]:
    """Writes the record files of all splits.

    Returns:
      The record files; the images that cannot be read, with reasons; and those that are damaged
      but have all their pixels, with descriptions of the damage.
    """
    bad: dict[str, str] = {}
    faulty: dict[str, str] = {}
    total = _count(folder)
    done = itertools.count(1)
    num_threads = len(os.sched_getaffinity(0))
    # Threads are enough, because the decoders release Python's lock.
    with (
        image_files.Reader() as reader,
        concurrent.futures.ThreadPoolExecutor(num_threads) as pool,
    ):

        def read(image: ImageFile) -> bytes | BadImageError:
            try:
                encoded = reader.read(os.path.join(folder.path, image.name))
            except BadImageError as error:
                return error
            if encoded.complaint:
                faulty[image.name] = encoded.complaint
            return _example(image, encoded, folder.class_names[image.label])

        def examples(images: Sequence[ImageFile]) -> Iterator[bytes | None]:
            """Yields a record for each image, or None if it cannot be read."""
            waiting: collections.deque[concurrent.futures.Future] = collections.deque()
            for index, image in enumerate(images):
                upcoming = images[index + len(waiting) : index + _READ_AHEAD * num_threads]
                waiting.extend(pool.submit(read, ahead) for ahead in upcoming)
                result = waiting.popleft().result()
                if on_progress is not None:
                    on_progress(next(done), total)
                if isinstance(result, BadImageError):
                    bad[image.name] = str(result)
                    yield None
                else:
                    yield result

        splits = {
            split: _write_split(
                os.path.join(path, split),
                examples(images),
                num_images=len(images),
                num_bytes=sum(_size(os.path.join(folder.path, image.name)) for image in images),
            )
            for split, images in folder.splits.items()
        }
    return splits, bad, faulty


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        # It will be reported as unreadable.
        return 0


def _write_split(
    prefix: str, examples: Iterator[bytes | None], *, num_images: int, num_bytes: int
) -> tuple[Shard, ...]:
    """Writes the record files of a split.

    Args:
      prefix: the start of the files' paths.
      examples: a record for each image, in order, or None for one that cannot be read.
      num_images: the number of images.
      num_bytes: the size of all their files together.
    """
    num_shards = min(num_images, max(_LEAST_SHARDS, -(-num_bytes // _SHARD_BYTES)))
    shards = []
    for index in range(num_shards):
        path = f"{prefix}-{index:05d}-of-{num_shards:05d}"
        start, stop = (num_images * end // num_shards for end in (index, index + 1))
        count = 0
        with tf.io.TFRecordWriter(path) as writer:
            for example in itertools.islice(examples, stop - start):
                if example is not None:
                    writer.write(example)
                    count += 1
        shards.append(Shard(os.path.basename(path), count, os.path.getsize(path)))
    return tuple(shards)


def _example(image: ImageFile, encoded: EncodedImage, class_name: str) -> bytes:
    example = tf.train.Example()
    for name, value in {
        "image/encoded": encoded.encoded,
        "image/format": encoded.format.encode(),
        "image/height": encoded.height,
        "image/width": encoded.width,
        "image/channels": encoded.channels,
        "image/colorspace": _COLOR_SPACES[encoded.channels],
        "image/filename": os.fsencode(image.name),
        "image/class/label": image.label,
        "image/class/text": class_name.encode(),
    }.items():
        feature = example.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        else:
            feature.int64_list.value.append(value)
    # Otherwise the order of the features, which are a map, is arbitrary.
    return example.SerializeToString(deterministic=True)
