"""Data sets to train and evaluate on: one interface for the digits and for record files."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Sequence

import tensorflow as tf

from classification.data import dataset_info, digits, imagenet, records, storage
from classification.data.dataset_info import DatasetInfo, Shard
from imprinting.base.photo_crop import Crop


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One split of a set of labelled images.

    Attributes:
      name: "digits" or "imagenet".
      split: "train", "validation" or "test".
      source: "digits", or the folder of the record files: an absolute path, or one with a
        scheme.
      num_examples: number of images.
      num_classes: labels are below this number.
      labels: the classes' names, index = label; None if they are unknown.
      files: the record files, in the order of evaluation; empty for the digits. If reading
        ends with a tf.errors.DataLossError, `records.find_damage` finds the damaged file.
    """

    name: str
    split: str
    source: str
    num_examples: int
    num_classes: int
    labels: tuple[str, ...] | None
    files: tuple[str, ...] = dataclasses.field(repr=False)
    _make_batches: Callable[..., tf.data.Dataset] = dataclasses.field(repr=False, compare=False)
    _content: Callable[[], str] = dataclasses.field(repr=False, compare=False)

    def fingerprint(self) -> str:
        """SHA-256, in hex, of the data, which does not depend on where its files are.

        For record files, it is the hash of the records' lengths and checksums, in order, and
        of the number of classes. Each call computes it again, by reading 16 bytes per record.

        Raises:
          ValueError: a file is cut short or damaged.
          OSError: a file cannot be read.
        """
        return hashlib.sha256(f"{self.num_classes} {self._content()}".encode()).hexdigest()

    # The pipeline's functions have no `if` or `for` on tensors, and looking for them takes 0.2 s.
    @tf.autograph.experimental.do_not_convert
    def batches(
        self,
        *,
        batch_size: int,
        image_size: int,
        is_training: bool,
        seed: int = 0,
        num_shards: int = 1,
        shard_index: int = 0,
        start: int = 0,
        crop: Crop = Crop.STRETCHED,
    ) -> tf.data.Dataset:
        """Batches of images and labels, in eager mode or graph mode.

        For training, there is no end: each epoch is shuffled and distorted differently, and
        all batches are full. Equal arguments give equal batches, and `start` continues exactly
        where an earlier run stopped. For evaluation, every image comes once, in the order of
        the files; the last batch may be smaller.

        Args:
          batch_size: number of images in a batch.
          image_size: height and width of the images, in pixels.
          is_training: whether the batches are for training.
          seed: determines shuffling and distortion.
          num_shards: number of workers among which the images are divided.
          shard_index: number of this worker, from 0.
          start: for training, how many batches of this size an earlier run has taken.
          crop: for evaluation, which part of a photo the image is; digits are always complete.

        Returns:
          Elements {"image": float32 [b, image_size, image_size, 3] in [-1, 1],
          "label": int64 [b]}.

        Raises:
          ValueError: a number is out of range, or there are fewer images than workers.
        """
        sizes = {"batch_size": batch_size, "image_size": image_size, "num_shards": num_shards}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"expected a {name} of at least 1, got {value}")
        if not 0 <= shard_index < num_shards:
            raise ValueError(
                f"expected a shard_index in 0..{num_shards - 1} with num_shards {num_shards}, "
                f"got {shard_index}"
            )
        if start < 0 or (start and not is_training):
            raise ValueError(
                f"expected a start of at least 0, and 0 if is_training is false, got {start}"
            )
        if is_training and num_shards > self.num_examples:
            raise ValueError(
                f"expected at least one image for each worker, got {self.num_examples} images in "
                f"{self.source} for {num_shards} workers; use fewer workers"
            )
        dataset = self._make_batches(
            batch_size=batch_size,
            image_size=image_size,
            is_training=is_training,
            seed=seed,
            num_shards=num_shards,
            shard_index=shard_index,
            start=start,
            **({} if self.name == "digits" else {"crop": crop}),
        )
        options = tf.data.Options()
        options.deterministic = True
        return dataset.with_options(options)


def open_dataset(dataset_dir: str | None, split: str) -> Dataset:
    """Opens a split of a set of images. It reads and checks files, but decodes no image.

    Args:
      dataset_dir: the folder of TFRecord files named `train-*`, `validation-*` and `test-*`,
        in the form of slim's ImageNet (see `imagenet`), on any of TensorFlow's file systems.
        If the classes are not ImageNet's, it also has a `labels.txt` (see
        `records.read_labels`). A `dataset.json` in it (see `dataset_info`) says which record
        files there are and what they hold. '' or None for the digits.
      split: "train", "validation" or "test"; the digits have no test split.

    Raises:
      FileNotFoundError: the folder or the split's files are missing.
      NotADirectoryError: the folder is a file.
      OSError: the folder or a file cannot be read.
      ValueError: the split is unknown, a file is truncated, damaged or not the one that
        `dataset.json` describes, all files are empty, the first record lacks a feature, or
        `labels.txt` has gaps.
    """
    if split not in dataset_info.SPLITS:
        raise ValueError(
            f"expected one of {', '.join(dataset_info.SPLITS)} as the split, got {split!r}"
        )
    if not dataset_dir:
        return _open_digits(split)
    return _open_records(dataset_dir, split)


def _open_digits(split: str) -> Dataset:
    images, labels = digits.load(split)
    return Dataset(
        name="digits",
        split=split,
        source="digits",
        num_examples=len(labels),
        num_classes=digits.NUM_CLASSES,
        labels=tuple(str(label) for label in range(digits.NUM_CLASSES)),
        files=(),
        _make_batches=functools.partial(digits.batches, images, labels),
        _content=functools.partial(digits.fingerprint, images, labels),
    )


def _open_records(folder: str, split: str) -> Dataset:
    info = dataset_info.read(folder)
    shards = _counted(folder, split) if info is None else _described(folder, split, info)
    # A worker that got only an empty file would have nothing to train on.
    full = [shard for shard in shards if shard.num_examples]
    if not full:
        raise ValueError(
            f"expected records in the files of {split} in {folder}, got {len(shards)} empty files; "
            "write the files again"
        )
    files = tuple(shard.path for shard in full)
    imagenet.check_first_record(files[0])
    labels = records.read_labels(folder)
    num_classes = _num_classes(folder, labels, info)
    return Dataset(
        name="imagenet",
        split=split,
        source=storage.location(folder),
        num_examples=sum(shard.num_examples for shard in full),
        num_classes=num_classes,
        labels=labels,
        files=files,
        _make_batches=functools.partial(imagenet.batches, full, num_classes=num_classes),
        _content=functools.partial(records.fingerprint, files),
    )


def _counted(folder: str, split: str) -> list[Shard]:
    """The record files in the folder, with the numbers of their records."""
    files = records.find_files(folder, split)
    counts = records.count_each(list(files))
    return [Shard(path, counts[path], size) for path, size in files.items()]


def _described(folder: str, split: str, info: DatasetInfo) -> list[Shard]:
    """The record files that `dataset.json` names, after a check of their sizes."""
    where = os.path.join(folder, dataset_info.FILE_NAME)
    if split not in info.splits:
        raise FileNotFoundError(
            f"expected a split {split} in {where}, got only {', '.join(info.splits)}; use one of "
            "these, or convert the images again"
        )
    shards = [
        dataclasses.replace(shard, path=storage.join(folder, shard.path))
        for shard in info.splits[split]
    ]
    _check_sizes(where, shards)
    return shards


def _check_sizes(where: str, shards: Sequence[Shard]) -> None:
    try:
        sizes = storage.sizes([shard.path for shard in shards])
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"expected the record files that {where} names, got an error: {error}; copy or convert "
            "the images again"
        ) from error
    for shard, size in zip(shards, sizes, strict=True):
        if size != shard.num_bytes:
            found = "a folder" if size is None else f"{size} bytes"
            raise ValueError(
                f"expected {shard.num_bytes} bytes in {shard.path}, as {where} says, got {found}; "
                "the file is truncated or changed: copy or convert the images again"
            )


def _num_classes(folder: str, labels: Sequence[str] | None, info: DatasetInfo | None) -> int:
    counts = next(iter(info.class_counts.values()), None) if info else None
    if labels is None:
        return imagenet.NUM_CLASSES if counts is None else len(counts)
    if counts is not None and len(counts) != len(labels):
        raise ValueError(
            f"expected the same number of classes in {dataset_info.FILE_NAME} and "
            f"{records.LABELS_FILE} in {folder}, got {len(counts)} and {len(labels)}; convert the "
            "images again"
        )
    return len(labels)
