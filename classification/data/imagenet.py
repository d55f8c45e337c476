"""Batches from TFRecord files in the form of slim's ImageNet.

A record is a tf.train.Example with the features `image/encoded` (a JPEG or PNG file)
and `image/class/label` (1 to 1000, 0 for background). Such records also have
`image/format`, which is not read, because the encoded bytes show their format.
"""

import functools
from collections.abc import Mapping, Sequence

import tensorflow as tf
from google.protobuf import message

from classification.data import epochs, explained, preprocessing, records
from classification.data.dataset_info import Shard
from imprinting.base.photo_crop import Crop

NUM_CLASSES = 1001

_IMAGE = "image/encoded"
_LABEL = "image/class/label"
_NO_LABEL = tf.int64.min
# The advice for a label that is too high by one, if a file names the classes.
_COUNTED_FROM_1 = (
    "if the records count classes from 1, put a name for class 0, such as background, first in the "
    "file of the classes' names"
)

_REPAIR = "repair the record or leave it out"

_FILES_AT_ONCE = 8
# Training files are usually shuffled already, so a buffer for a part of the data is enough.
_SHUFFLE_BYTES = 256 << 20


def check_first_record(path: str) -> None:
    """Checks that the first record of a file has the form of slim's ImageNet.

    Raises:
      ValueError: it is not an Example, or lacks a feature.
    """
    try:
        features = tf.train.Example.FromString(records.read_first(path)).features.feature
    except message.DecodeError as error:
        raise ValueError(
            f"expected tf.train.Example records in {path}, got a first record of another kind; "
            "write the records in slim's form"
        ) from error
    for name, kind in ((_IMAGE, "bytes_list"), (_LABEL, "int64_list")):
        values = len(getattr(features[name], kind).value)
        if values != 1:
            raise ValueError(
                f"expected one value in the {kind} of {name} in each record, got {values} in the "
                f"first record of {path}; write the records in slim's form"
            )


def encoded_image(record: bytes) -> bytes:
    """The image file in a record.

    Raises:
      ValueError: it is not an Example, or has no image.
    """
    return _encoded_image(_features(record))


def labelled_image(record: bytes, *, num_classes: int) -> tuple[bytes, int]:
    """The image file in a record, and its label.

    Raises:
      ValueError: it is not an Example, or has no image, or no label below `num_classes`.
    """
    features = _features(record)
    encoded, labels = _encoded_image(features), features[_LABEL].int64_list.value
    if len(labels) != 1 or not 0 <= labels[0] < num_classes:
        found = ", ".join(map(str, labels)) or "none"
        advice = f"; {_COUNTED_FROM_1}" if list(labels) == [num_classes] else ""
        raise ValueError(f"expected {_LABEL} in 0..{num_classes - 1}, got {found}{advice}")
    return encoded, labels[0]


def _features(record: bytes) -> Mapping[str, tf.train.Feature]:
    try:
        return tf.train.Example.FromString(record).features.feature
    except message.DecodeError as error:
        raise ValueError("expected a tf.train.Example, got a record of another kind") from error


def _encoded_image(features: Mapping[str, tf.train.Feature]) -> bytes:
    values = features[_IMAGE].bytes_list.value
    if len(values) != 1 or not values[0]:
        raise ValueError(f"expected an image under {_IMAGE}, got none")
    return values[0]


def batches(
    shards: Sequence[Shard],
    *,
    num_classes: int,
    batch_size: int,
    image_size: int,
    is_training: bool,
    seed: int,
    num_shards: int,
    shard_index: int,
    start: int,
    crop: Crop = Crop.STRETCHED,
    shuffle_bytes: int = _SHUFFLE_BYTES,
) -> tf.data.Dataset:
    """Batches of record files, as `dataset.Dataset.batches` describes them.

    Args:
      shards: the record files, in the order in which evaluation reads them; none is empty.
      num_classes: labels are below this number.
      batch_size, image_size, is_training, seed, num_shards, shard_index, start, crop: see there.
      shuffle_bytes: size of the shuffle buffer for training, in bytes of records.

    Raises (when run):
      tf.errors.InvalidArgumentError: a record lacks its image or its label, the label is
        out of range, the image cannot be decoded, or a file has become shorter.
      tf.errors.DataLossError: a file is damaged (see `records.find_damage`).
    """
    part = (num_shards, shard_index)
    if len(shards) >= num_shards:
        # Complete files, so that only one worker reads each.
        shards, part = shards[shard_index::num_shards], (1, 0)
    total = sum(shard.num_examples for shard in shards)
    buffer = max(1, shuffle_bytes * total // sum(shard.num_bytes for shard in shards))

    def read(epoch: tf.Tensor) -> tf.data.Dataset:
        files = _files(shards)
        # If workers share files, all must read them in the same order, whatever their seeds are.
        if is_training and part == (1, 0):
            files = epochs.shuffle(files, len(shards), seed=seed, epoch=epoch)
        examples = files.interleave(
            _read_file,
            cycle_length=_FILES_AT_ONCE if is_training else 1,
            num_parallel_calls=tf.data.AUTOTUNE,
        ).shard(*part)
        if is_training:
            examples = epochs.shuffle(examples, min(buffer, total), seed=seed, epoch=epoch)
        return examples

    seen = start * batch_size
    if is_training:
        size = len(range(part[1], total, part[0]))
        examples = epochs.endless(read, size=size, seen=seen)
    else:
        examples = read(tf.constant(0, tf.int64))
    decode = functools.partial(
        _decode,
        num_classes=num_classes,
        image_size=image_size,
        crop=crop,
        # A sequence of seeds for each worker, so that they distort images differently.
        seed=(seed, shard_index) if is_training else None,
    )
    return explained.batches(
        examples.enumerate(seen).map(lambda count, example: {"count": count, **example}),
        decode,
        [functools.partial(_explain, num_classes=num_classes), _explain_other_kind],
        batch_size=batch_size,
        drop_remainder=is_training,
    ).prefetch(2)


def _files(shards: Sequence[Shard]) -> tf.data.Dataset:
    paths, counts = ([getattr(s, name) for s in shards] for name in ("path", "num_examples"))
    return tf.data.Dataset.from_tensor_slices((paths, tf.constant(counts, tf.int64)))


def _read_file(path: tf.Tensor, count: tf.Tensor) -> tf.data.Dataset:
    """The records of a file, each with its position, which error messages need."""

    def fail(path: tf.Tensor) -> tf.Tensor:
        number = tf.strings.as_string(count)
        words = ["expected ", number, " records in ", path, ", got fewer than before; start again"]
        return explained.failure(tf.strings.join(words), tf.TensorSpec([], tf.string))

    # Every epoch must have the counted number of examples, since its end is computed from it.
    return (
        tf.data.TFRecordDataset(path)
        .concatenate(tf.data.Dataset.from_tensors(path).map(fail))
        .take(count)
        .enumerate()
        .map(lambda index, record: {"path": path, "index": index, "record": record})
    )


def _parse(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The encoded image of a record, empty if it has none, and its label."""
    features = tf.io.parse_single_example(
        record,
        {
            _IMAGE: tf.io.FixedLenFeature([], tf.string, default_value=""),
            _LABEL: tf.io.FixedLenFeature([], tf.int64, default_value=_NO_LABEL),
        },
    )
    return features[_IMAGE], features[_LABEL]


def _decode(
    example: dict[str, tf.Tensor],
    *,
    num_classes: int,
    image_size: int,
    crop: Crop,
    seed: tuple[int, int] | None,
) -> dict[str, tf.Tensor]:
    encoded, label = _parse(example["record"])
    if seed is None:
        image = preprocessing.for_evaluation(encoded, image_size=image_size, crop=crop)
    else:
        image_seed = tf.random.fold_in(tf.constant(seed, tf.int64), example["count"])
        image = preprocessing.for_training(encoded, image_seed, image_size=image_size)
    with tf.control_dependencies([tf.debugging.Assert(_is_label(label, num_classes), [label])]):
        return {"image": image, "label": tf.identity(label)}


def _is_label(label: tf.Tensor, num_classes: int) -> tf.Tensor:
    return (label >= 0) & (label < num_classes)


def _explain(example: dict[str, tf.Tensor], *, num_classes: int) -> tf.Tensor:
    """A sentence that says why an example cannot be used."""
    encoded, label = _parse(example["record"])
    number = tf.where(tf.equal(label, _NO_LABEL), "none", tf.strings.as_string(label))
    advice = tf.constant(_REPAIR)
    if num_classes != NUM_CLASSES:
        # For ImageNet there is no file of names, and its labels are counted from 1.
        one_too_high = tf.equal(label, num_classes)
        advice = tf.where(one_too_high, f"{_COUNTED_FROM_1}; otherwise {_REPAIR}", _REPAIR)
    reason = tf.where(
        tf.equal(tf.strings.length(encoded), 0),
        f"expected an image under {_IMAGE}, got none",
        tf.where(
            _is_label(label, num_classes),
            f"expected a JPEG or PNG image under {_IMAGE}, got one that cannot be decoded",
            tf.strings.join([f"expected {_LABEL} in 0..{num_classes - 1}, got ", number]),
        ),
    )
    return _with_place(reason, example, advice)


def _explain_other_kind(example: dict[str, tf.Tensor]) -> tf.Tensor:
    return _with_place(
        tf.constant("expected a tf.train.Example, got another kind"), example, _REPAIR
    )


def _with_place(
    reason: tf.Tensor, example: dict[str, tf.Tensor], advice: tf.Tensor | str
) -> tf.Tensor:
    place = [" in record ", tf.strings.as_string(example["index"]), " of ", example["path"]]
    return tf.strings.join([reason, *place, "; ", advice])
