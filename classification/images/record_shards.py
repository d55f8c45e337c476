"""The record files of a data set: which images are in which file, and their writing.

A record is a tf.train.Example with these features of slim's ImageNet: `image/encoded`,
`image/format`, `image/height`, `image/width`, `image/channels`, `image/colorspace`,
`image/filename`, `image/class/label` and `image/class/text`.
"""

import collections
import concurrent.futures
import itertools
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from classification.data import records
from classification.data.dataset_info import Shard
from classification.images import image_files
from classification.images.image_files import EncodedImage
from imprinting.photos.image_folder import ImageFile, ImageFolder
from imprinting.photos.photo_file import BadImageError

# Several files, so that several workers can read them, each small enough to copy in seconds.
_LEAST_SHARDS = 8
_SHARD_BYTES = 100 << 20
# The number of images that each thread reads ahead of writing.
_READ_AHEAD = 4
_COLOR_SPACES = {1: b"Grayscale", 3: b"RGB"}


class PlannedShard(NamedTuple):
    """A record file to write.

    Attributes:
      name: of the file.
      split: "train", "validation" or "test".
      images: in the order of the records.
    """

    name: str
    split: str
    images: tuple[ImageFile, ...]


class WrittenShard(NamedTuple):
    """A record file that is written.

    Attributes:
      shard: its description.
      bad: the images that cannot be read, and so are not in it, with reasons.
      faulty: those that are damaged but have all their pixels, with descriptions of the damage.
    """

    shard: Shard
    bad: dict[str, str]
    faulty: dict[str, str]


def image_sizes(folder: ImageFolder) -> dict[str, int]:
    """The sizes of all images' files in bytes, by name; no file is opened."""
    images = itertools.chain.from_iterable(folder.splits.values())
    return {image.name: _size(os.path.join(folder.path, image.name)) for image in images}


def divide(folder: ImageFolder, sizes: Mapping[str, int]) -> list[PlannedShard]:
    """Divides the images among record files.

    Args:
      folder: the images.
      sizes: of their files, and perhaps of others, by name.

    Returns:
      The files of all splits, one split after the other.
    """
    shards = []
    for split, images in folder.splits.items():
        num_bytes = sum(sizes[image.name] for image in images)
        count = min(len(images), max(_LEAST_SHARDS, -(-num_bytes // _SHARD_BYTES)))
        borders = [len(images) * index // count for index in range(count + 1)]
        for index, (start, stop) in enumerate(itertools.pairwise(borders)):
            name = f"{split}-{index:05d}-of-{count:05d}"
            shards.append(PlannedShard(name, split, images[start:stop]))
    return shards


def write(
    path: str,
    folder: ImageFolder,
    shards: Sequence[PlannedShard],
    on_progress: Callable[[int, int], None] | None = None,
) -> Generator[WrittenShard, None, None]:
    """Writes record files, in order. Images are read on all processors, ahead of writing.

    Args:
      path: the folder for the record files.
      folder: the images.
      shards: the files to write.
      on_progress: called with the number of images that are done, and of all images of `shards`.

    Yields:
      Each file when it is complete.
    """
    num_threads = len(os.sched_getaffinity(0))
    images = [image for shard in shards for image in shard.images]
    # Threads are enough, because the decoders release Python's lock.
    with (
        image_files.Reader() as reader,
        concurrent.futures.ThreadPoolExecutor(num_threads) as pool,
    ):

        def read(image: ImageFile) -> tuple[bytes, str] | BadImageError:
            try:
                encoded = reader.read(os.path.join(folder.path, image.name))
            except BadImageError as error:
                return error
            return _example(image, encoded, folder.class_names[image.label]), encoded.complaint

        def results() -> Iterator[tuple[ImageFile, tuple[bytes, str] | BadImageError]]:
            waiting: collections.deque[concurrent.futures.Future] = collections.deque()
            for index, image in enumerate(images):
                upcoming = images[index + len(waiting) : index + _READ_AHEAD * num_threads]
                waiting.extend(pool.submit(read, ahead) for ahead in upcoming)
                result = waiting.popleft().result()
                if on_progress is not None:
                    on_progress(index + 1, len(images))
                yield image, result

        found = results()
        for shard in shards:
            file = os.path.join(path, shard.name)
            bad: dict[str, str] = {}
            faulty: dict[str, str] = {}
            with tf.io.TFRecordWriter(file) as writer:
                for image, result in itertools.islice(found, len(shard.images)):
                    if isinstance(result, BadImageError):
                        bad[image.name] = str(result)
                        continue
                    example, complaint = result
                    writer.write(example)
                    if complaint:
                        faulty[image.name] = complaint
            count = len(shard.images) - len(bad)
            yield WrittenShard(Shard(shard.name, count, os.path.getsize(file)), bad, faulty)


def rearrange(
    source: str,
    written: Sequence[PlannedShard],
    path: str,
    shards: Sequence[PlannedShard],
) -> list[Shard]:
    """Divides the records of complete files among others, without reading the images again.

    Args:
      source: the folder with the complete files.
      written: these files; they may lack images that are not in `shards`.
      path: the folder for the new files.
      shards: the files to write, with the same labels.

    Returns:
      The descriptions of the new files.

    Raises:
      ValueError: a file is damaged.
      OSError: a file cannot be read or written.
    """
    kept = {image.name for shard in shards for image in shard.images}
    places: dict[str, tuple[str, int, int]] = {}
    for shard in written:
        file = os.path.join(source, shard.name)
        names = [image.name for image in shard.images if image.name in kept]
        for name, (offset, length) in zip(names, records.spans(file), strict=True):
            places[name] = file, offset, length
    described = []
    for shard in shards:
        file = os.path.join(path, shard.name)
        with open(file, "wb") as target:
            found = (places[image.name] for image in shard.images)
            # Mostly one file after the other, since few images change their places.
            for old, group in itertools.groupby(found, key=lambda place: place[0]):
                with open(old, "rb") as records_file:
                    for _, offset, length in group:
                        records_file.seek(offset)
                        target.write(records_file.read(length))
        described.append(Shard(shard.name, len(shard.images), os.path.getsize(file)))
    return described


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        # It will be reported as unreadable.
        return 0


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
