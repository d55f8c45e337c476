"""What the tests of this package share: writing record files, and running data sets."""

import pathlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf


def run_batches(dataset: tf.data.Dataset, *, limit: int | None = None) -> list[dict]:
    """The first batches of a data set, or all of them, as dicts of numpy arrays."""
    if limit is not None:
        dataset = dataset.take(limit)
    if tf.executing_eagerly():
        return [{key: value.numpy() for key, value in batch.items()} for batch in dataset]
    batch = tf.compat.v1.data.make_one_shot_iterator(dataset).get_next()
    batches = []
    with tf.compat.v1.Session() as session:
        try:
            while True:
                batches.append(session.run(batch))
        except tf.errors.OutOfRangeError:
            return batches


def write_records(path: str | pathlib.Path, records: Iterable[bytes]) -> None:
    """Writes a TFRecord file."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def make_example(features: Mapping[str, bytes | int]) -> bytes:
    """A serialised tf.train.Example with one value for each feature."""
    example = tf.train.Example()
    for name, value in features.items():
        if isinstance(value, bytes):
            example.features.feature[name].bytes_list.value.append(value)
        else:
            example.features.feature[name].int64_list.value.append(value)
    return example.SerializeToString()


def make_image_example(encoded: bytes, label: int) -> bytes:
    """A record in slim's form."""
    return make_example(
        {"image/encoded": encoded, "image/format": b"png", "image/class/label": label}
    )


def encode_png(image: np.ndarray) -> bytes:
    """An uncompressed PNG file of a uint8 image [height, width, 1 to 4 channels]."""
    if tf.executing_eagerly():
        return tf.io.encode_png(image, compression=0).numpy()
    with tf.compat.v1.Session() as session:
        return session.run(tf.io.encode_png(image, compression=0))


def write_grey_images(folder: str | pathlib.Path, split: str, sizes: Sequence[int]) -> None:
    """Writes a record file for each size, with that number of images of one colour each.

    Labels count all images from 0, and the grey value of an image is twice its label.
    """
    label = 0
    for index, size in enumerate(sizes):
        examples = []
        for _ in range(size):
            image = np.full([12, 10, 3], 2 * label, np.uint8)
            examples.append(make_image_example(encode_png(image), label))
            label += 1
        name = f"{split}-{index:05d}-of-{len(sizes):05d}"
        write_records(pathlib.Path(folder) / name, examples)
