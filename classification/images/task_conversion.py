"""One of several tasks that convert a folder of images to a data set together.

Each task writes its record files: numbers i, i + n, … of those of all splits. Whichever task finds
all of them complete makes the data set, with the same bytes as `image_conversion` (see
`task_folder` for why a task may be killed, run again or run twice).

If images are left out, the others belong to other splits and files. The task that makes the data
set then copies the records to where they belong, which needs no image to be read again, but the
space of the data set a second time.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import PIL
import tensorflow.compat.v1 as tf

from classification.base import task_folder
from classification.base.task_flags import Task
from classification.base.task_folder import TaskFolder
from classification.data import dataset_info
from classification.data.dataset_info import DatasetInfo, Shard
from classification.images import image_conversion, record_shards
from classification.images.record_shards import PlannedShard
from imprinting.base import atomic_files
from imprinting.photos import image_folder
from imprinting.photos.image_folder import ImageFolder

# Tasks of versions that divide images or write records in another way must not work together.
_VERSION = 1


class Converted(NamedTuple):
    """What a task has done.

    Attributes:
      images: the number of images that it has read.
      files: the number of record files that it has written.
      missing: the number of record files that other tasks have yet to write.
      info: the description of the data set; None if it is not complete.
    """

    images: int
    files: int
    missing: int
    info: DatasetInfo | None


def convert(
    images_dir: str,
    output_dir: str,
    task: Task,
    *,
    seed: int = 0,
    validation_fraction: float | None = None,
    skip_bad_images: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Converted:
    """Writes the record files of a task that are not yet complete, and perhaps the data set.

    Args:
      images_dir: see `image_conversion.convert`.
      output_dir: see `image_conversion.convert`. It is written when all tasks have ended; the
        parts are beside it.
      task: which of the tasks this is.
      seed: see `image_folder.scan`.
      validation_fraction: see `image_folder.scan`.
      skip_bad_images: whether to leave out images that cannot be read.
      on_progress: called with the number of images that are done, and of all images to read.

    Raises:
      OSError: see `image_conversion.convert`.
      ValueError: another task was given other images or flags; see also
        `image_conversion.convert`.
      MemoryError: there is too little memory for an image.
      tf.errors.OpError: a file cannot be written.
    """
    image_conversion.check_local(output_dir)
    folder = image_folder.scan(images_dir, seed=seed, validation_fraction=validation_fraction)
    image_conversion.check_apart(images_dir, output_dir)
    _check_replaceable(output_dir)
    sizes = record_shards.image_sizes(folder)
    shards = record_shards.divide(folder, sizes)
    parts = task_folder.opened(output_dir, _plan(folder, sizes, task))
    if parts.is_complete():
        parts.clean()
        return Converted(0, 0, 0, dataset_info.read(output_dir))
    own = [shard for shard in shards[task.index :: task.count] if parts.part(shard.name) is None]
    images = sum(len(shard.images) for shard in own)
    try:
        _write(parts, folder, own, skip_bad_images, on_progress)
        missing = parts.missing(shard.name for shard in shards)
        if missing:
            return Converted(images, len(own), len(missing), None)
        _finish(parts, images_dir, folder, sizes, shards, skip_bad_images)
    except (OSError, tf.errors.OpError):
        # Another process of the same task may have been faster, and the parts are gone.
        if not parts.is_complete():
            raise
    return Converted(images, len(own), 0, dataset_info.read(output_dir))


def _check_replaceable(output_dir: str) -> None:
    def check() -> None:
        atomic_files.check_replaceable(output_dir, image_conversion.earlier_names(output_dir))

    try:
        check()
    except OSError:
        # Another task may just have replaced it.
        check()


def _plan(folder: ImageFolder, sizes: Mapping[str, int], task: Task) -> dict[str, Any]:
    digest = hashlib.sha256()
    for name, size in sorted(sizes.items()):
        digest.update(os.fsencode(name) + b"\0%d\n" % size)
    return {
        "program": f"convert_images {_VERSION}",
        "TensorFlow": tf.__version__,
        "Pillow": PIL.__version__,
        "num_tasks": task.count,
        "seed": folder.seed,
        "validation_fraction": folder.validation_fraction,
        "images": len(sizes),
        "bytes": sum(sizes.values()),
        "hash of names and sizes": digest.hexdigest()[:16],
    }


def _write(
    parts: TaskFolder,
    folder: ImageFolder,
    shards: Sequence[PlannedShard],
    skip_bad_images: bool,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Writes record files; each is left for the others as soon as it is complete."""
    bad: dict[str, str] = {}
    faulty: dict[str, str] = {}
    with (
        parts.scratch() as scratch,
        contextlib.closing(record_shards.write(scratch, folder, shards, on_progress)) as found,
    ):
        for written in found:
            bad |= written.bad
            faulty |= written.faulty
            path = os.path.join(scratch, written.shard.path)
            if written.bad and not skip_bad_images:
                os.remove(path)
                continue
            more = {"num_examples": written.shard.num_examples, "bad": written.bad}
            parts.leave(written.shard.path, [path], more)
    if bad and not skip_bad_images:
        raise ValueError(image_conversion.complaint(folder, bad))
    image_conversion.warn_of_faulty(folder, faulty)


def _finish(
    parts: TaskFolder,
    images_dir: str,
    folder: ImageFolder,
    sizes: Mapping[str, int],
    shards: Sequence[PlannedShard],
    skip_bad_images: bool,
) -> None:
    """Makes the data set of the record files of all tasks."""
    described: list[Shard] = []
    skipped: dict[str, str] = {}
    for shard in shards:
        found = parts.part(shard.name)
        if found is None:
            raise OSError(
                f"expected {shard.name} in {parts.files} as it was written, got another or none; "
                "run the task again that writes it"
            )
        size = os.path.getsize(os.path.join(parts.files, shard.name))
        described.append(Shard(shard.name, found["num_examples"], size))
        skipped |= found["bad"]
    if skipped and not skip_bad_images:
        raise ValueError(image_conversion.complaint(folder, skipped))
    with parts.scratch() as scratch:
        target = parts.files
        if skipped:
            target = os.path.join(scratch, "data")
            os.mkdir(target)
            folder = image_conversion.scan_without(
                images_dir,
                skipped,
                seed=folder.seed,
                validation_fraction=None if folder.split_folders else folder.validation_fraction,
            )
            left = {image.name for images in folder.splits.values() for image in images}
            if left != sizes.keys() - skipped.keys():
                raise ValueError(
                    f"expected the same images in {folder.path} until all tasks have ended, got "
                    f"others; restore them, or remove {parts.path} to start anew"
                )
            described = record_shards.rearrange(
                parts.files, shards, target, record_shards.divide(folder, sizes)
            )
        # Not written in `files`: if this process is killed, nothing else may be left there.
        complete = os.path.join(scratch, "description")
        os.mkdir(complete)
        image_conversion.describe(complete, folder, described, skipped)
        for name in os.listdir(complete):
            os.replace(os.path.join(complete, name), os.path.join(target, name))
        _check_replaceable(parts.result)
        parts.publish(target)
