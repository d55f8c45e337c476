"""Batches from TFRecord files of the form in which slim keeps ImageNet.

A record is a tf.train.Example with the features `image/encoded` (a JPEG or PNG file)
and `image/class/label` (1 to 1000, 0 for background). `image/format`, which such records
also have, is not read: the encoded bytes tell their own format.
"""

import functools
import os
from collections.abc import Sequence

import tensorflow as tf
from google.protobuf import message

from classification.data import preprocessing, records

NUM_CLASSES = 1001

_IMAGE = "image/encoded"
_LABEL = "image/class/label"
_NO_LABEL = -1

_FILES_AT_ONCE = 8
# Files written for training are shuffled already, so that a part of them will do here.
_SHUFFLE_BYTES = 256 << 20


def check_first_record(path: str) -> None:
    """Checks that a file's first record has the form described above.

    Raises:
      ValueError: it is no Example, or lacks a feature.
    """
    try:
        features = tf.train.Example.FromString(records.read_first(path)).features.feature
    except message.DecodeError as error:
        raise ValueError(
            f"Expected tf.train.Example records in {path}, but the first cannot be read as one. "
            "Write the records in slim's form."
        ) from error
    for name, kind in ((_IMAGE, "bytes_list"), (_LABEL, "int64_list")):
        values = len(getattr(features[name], kind).value)
        if values != 1:
            raise ValueError(
                f"Expected one value in the {kind} of {name} in each record, but the first "
                f"record of {path} has {values}. Write the records in slim's form."
            )


def encoded_image(record: bytes) -> bytes:
    """The image file in a record.

    Raises:
      ValueError: it is no Example, or holds no image.
    """
    try:
        values = tf.train.Example.FromString(record).features.feature[_IMAGE].bytes_list.value
    except message.DecodeError as error:
        raise ValueError("Expected a tf.train.Example, but it cannot be read as one.") from error
    if len(values) != 1 or not values[0]:
        raise ValueError(f"Expected an image under {_IMAGE}, but there is none.")
    return values[0]


def batches(
    files: Sequence[str],
    *,
    num_examples: int,
    num_classes: int,
    batch_size: int,
    image_size: int,
    is_training: bool,
    seed: int,
    num_shards: int,
    shard_index: int,
    shuffle_bytes: int = _SHUFFLE_BYTES,
) -> tf.data.Dataset:
    """The batches described in `dataset.Dataset.batches`.

    Args:
      files: the record files, in the order in which evaluation reads them, none empty.
      num_examples: how many records they hold together.
      num_classes: one more than the highest label allowed.
      batch_size, image_size, is_training, seed, num_shards, shard_index: see there.
      shuffle_bytes: of the records that shuffling mixes at once, in training.

    Raises (when run):
      tf.errors.InvalidArgumentError: a record lacks its image or its label, or the label
        is out of range, or the image cannot be decoded.
      tf.errors.DataLossError: a file is damaged.
    """
    by_file = len(files) >= num_shards
    num_bytes = sum(os.path.getsize(path) for path in files)
    paths = tf.data.Dataset.from_tensor_slices(list(files))
    if by_file:
        paths = paths.shard(num_shards, shard_index)
    if is_training:
        paths = paths.shuffle(len(files), seed=seed)
    examples = paths.interleave(
        _read_file,
        cycle_length=_FILES_AT_ONCE if is_training else 1,
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    if not by_file:
        examples = examples.shard(num_shards, shard_index)
    if is_training:
        buffer = min(num_examples, max(1, shuffle_bytes * num_examples // num_bytes))
        examples = examples.shuffle(buffer, seed=seed).repeat()
    decode = functools.partial(
        _decode,
        num_classes=num_classes,
        image_size=image_size,
        is_training=is_training,
        seed=(seed, shard_index),
    )
    return (
        examples.enumerate()
        .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size, drop_remainder=is_training)
        .prefetch(2)
    )


def _read_file(path: tf.Tensor) -> tf.data.Dataset:
    """A file's records, each with where it stands, for the messages of errors."""
    return (
        tf.data.TFRecordDataset(path)
        .enumerate()
        .map(lambda index, record: {"path": path, "index": index, "record": record})
    )


def _decode(
    count: tf.Tensor,
    example: dict[str, tf.Tensor],
    *,
    num_classes: int,
    image_size: int,
    is_training: bool,
    seed: tuple[int, int],
) -> dict[str, tf.Tensor]:
    features = tf.io.parse_single_example(
        example["record"],
        {
            _IMAGE: tf.io.FixedLenFeature([], tf.string, default_value=""),
            _LABEL: tf.io.FixedLenFeature([], tf.int64, default_value=_NO_LABEL),
        },
    )
    encoded, label = features[_IMAGE], features[_LABEL]
    place = ["in record", example["index"], "of", example["path"]]
    checks = [
        tf.debugging.Assert(
            tf.strings.length(encoded) > 0, [f"Expected an image under {_IMAGE}, got none", *place]
        ),
        tf.debugging.Assert(
            (label >= 0) & (label < num_classes),
            [f"Expected {_LABEL} in 0..{num_classes - 1}, got (-1: none)", label, *place],
        ),
    ]
    with tf.control_dependencies(checks):
        encoded = tf.identity(encoded)
    if is_training:
        # One sequence of seeds for each worker, so that no two distort alike.
        image_seed = tf.random.fold_in(tf.constant(seed, tf.int64), count)
        image = preprocessing.for_training(encoded, image_seed, image_size=image_size)
    else:
        image = preprocessing.for_evaluation(encoded, image_size=image_size)
    return {"image": image, "label": label}
