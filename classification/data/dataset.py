"""What the programs train and evaluate on: one interface for the digits and for ImageNet."""

import dataclasses
import functools
import os
from collections.abc import Callable

import tensorflow as tf

from classification.data import digits, imagenet, records

_SPLITS = ("train", "validation")


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One part of a set of labelled images.

    Attributes:
      name: "digits" or "imagenet".
      split: "train" or "validation".
      source: "digits", or the absolute path of the folder of the record files, which says
        the same wherever it is read.
      num_examples: how many images it holds, counted.
      num_classes: labels are below this.
      labels: the classes' names, index = label; None where they are unknown.
    """

    name: str
    split: str
    source: str
    num_examples: int
    num_classes: int
    labels: tuple[str, ...] | None
    _make_batches: Callable[..., tf.data.Dataset] = dataclasses.field(repr=False, compare=False)

    def batches(
        self,
        *,
        batch_size: int,
        image_size: int,
        is_training: bool,
        seed: int = 0,
        num_shards: int = 1,
        shard_index: int = 0,
    ) -> tf.data.Dataset:
        """Batches of images and labels; can be called in graph mode too.

        In training: without end, every epoch shuffled and distorted anew, full batches
        alone. Equal arguments give equal batches. In evaluation: one pass, in the order of
        the files, every image once; the last batch may be short.

        Args:
          batch_size: images in a batch.
          image_size: their height and width, in pixels.
          is_training: whether the batches are for training.
          seed: what shuffling and distortion follow from. A run that goes on where another
            stopped should take another one, or it sees the same batches again.
          num_shards: among how many workers the images are divided.
          shard_index: which of them this one is, from 0.

        Returns:
          Elements {"image": float32 [b, image_size, image_size, 3] in [-1, 1],
          "label": int64 [b]}.

        Raises:
          ValueError: a number is out of range, or there are fewer images than workers.
        """
        sizes = {"batch_size": batch_size, "image_size": image_size, "num_shards": num_shards}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"Expected a {name} of at least 1, got {value}.")
        if not 0 <= shard_index < num_shards:
            raise ValueError(
                f"Expected a shard_index in 0..{num_shards - 1} with num_shards {num_shards}, "
                f"got {shard_index}."
            )
        if is_training and num_shards > self.num_examples:
            raise ValueError(
                f"Expected at least an image for each worker, but {num_shards} workers share "
                f"the {self.num_examples} images of {self.source}. Use fewer workers."
            )
        dataset = self._make_batches(
            batch_size=batch_size,
            image_size=image_size,
            is_training=is_training,
            seed=seed,
            num_shards=num_shards,
            shard_index=shard_index,
        )
        options = tf.data.Options()
        options.deterministic = True
        return dataset.with_options(options)


def open_dataset(dataset_dir: str | None, split: str) -> Dataset:
    """Opens a part of a set of images: reads and checks its files, but decodes no image.

    Args:
      dataset_dir: the folder with TFRecord files named `train-*` and `validation-*`, as
        slim writes ImageNet (see `imagenet`), and, if the classes are not ImageNet's,
        `labels.txt` (see `records.read_labels`). '' or None: the digits.
      split: "train" or "validation".

    Raises:
      FileNotFoundError: the folder or the split's files are missing.
      NotADirectoryError: the folder is a file.
      ValueError: the split is unknown, a file is cut short or damaged, all are empty, the
        first record lacks a feature, or `labels.txt` has gaps.
    """
    if split not in _SPLITS:
        raise ValueError(f"Expected one of {', '.join(_SPLITS)} as the split, got {split!r}.")
    if not dataset_dir:
        return _open_digits(split)
    return _open_imagenet(dataset_dir, split)


def _open_digits(split: str) -> Dataset:
    images, labels = digits.load(split)
    return Dataset(
        name="digits",
        split=split,
        source="digits",
        num_examples=len(labels),
        num_classes=digits.NUM_CLASSES,
        labels=tuple(str(label) for label in range(digits.NUM_CLASSES)),
        _make_batches=functools.partial(digits.batches, images, labels),
    )


def _open_imagenet(folder: str, split: str) -> Dataset:
    files = records.find_files(folder, split)
    counts = records.count_each(files)
    # A worker that was given an empty file alone would have nothing to train on.
    files = tuple(path for path in files if counts[path])
    if not files:
        raise ValueError(
            f"Expected records in the files named {split}-* in {folder}, but all {len(counts)} "
            "are empty. Write the files again."
        )
    imagenet.check_first_record(files[0])
    num_examples = sum(counts.values())
    labels = records.read_labels(folder)
    num_classes = len(labels) if labels else imagenet.NUM_CLASSES
    return Dataset(
        name="imagenet",
        split=split,
        source=os.path.abspath(folder),
        num_examples=num_examples,
        num_classes=num_classes,
        labels=labels,
        _make_batches=functools.partial(
            imagenet.batches, files, num_examples=num_examples, num_classes=num_classes
        ),
    )
