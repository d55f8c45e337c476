"""1,797 handwritten digits: a small real data set, with which programs need no download.

They are the test part of the "Optical Recognition of Handwritten Digits" data set (E.
Alpaydin, C. Kaynak, UCI Machine Learning Repository, 1998) in the scikit-learn wheel: 8 x 8
pixels, from 0 (paper) to 16 (ink), by 13 writers.

36 images of each digit, spread evenly over the file, are held out for evaluation. The same
writers also wrote training images, so the accuracy is that for known writers.
"""

import hashlib
import math

import numpy as np
import tensorflow as tf

from classification.data import epochs, shipped_files

NUM_CLASSES = 10
SIDE = 8

_MAX_VALUE = 16
_HELD_OUT_OF_EACH = 36

# The largest random movements of training images, in either direction.
_ROTATION = math.radians(10.0)
_ZOOM = 0.1
_SHEAR = 0.1
_SHIFT = 1.0 / 16.0


def load(split: str, *, csv_path: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of a split of the digits, in the order of the file.

    Args:
      split: "train" (1,437 images) or "validation" (360).
      csv_path: a gzipped file with a line for each image: its 64 pixels and its label. None
        for the one among the program's data files.

    Returns:
      uint8 [n, 8, 8] in 0..16, and int64 [n] in 0..9.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the split is unknown, or the file has other lines.
    """
    if split not in ("train", "validation"):
        raise ValueError(f'expected "train" or "validation" as the split, got "{split}"')
    path = csv_path or shipped_files.find("digits.csv.gz", variable="DIGITS_CSV")
    table = np.loadtxt(path, delimiter=",", dtype=np.int64, ndmin=2)
    if table.shape[1] != SIDE * SIDE + 1:
        raise ValueError(
            f"expected {SIDE * SIDE} pixels and a label in each line of {path}, got "
            f"{table.shape[1]} numbers"
        )
    images = table[:, :-1].astype(np.uint8).reshape(-1, SIDE, SIDE)
    labels = table[:, -1]
    chosen = _held_out(labels)
    if split == "train":
        chosen = ~chosen
    return images[chosen], labels[chosen]


def batches(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    batch_size: int,
    image_size: int,
    is_training: bool,
    seed: int,
    num_shards: int,
    shard_index: int,
    start: int,
) -> tf.data.Dataset:
    """Batches of images, as `dataset.Dataset.batches` describes them.

    Args:
      images: uint8 [n, 8, 8] in 0..16.
      labels: int64 [n].
      batch_size, image_size, is_training, seed, num_shards, shard_index, start: see there.
    """

    def own() -> tf.data.Dataset:
        return tf.data.Dataset.range(len(labels)).shard(num_shards, shard_index)

    if is_training:
        indices = epochs.endless(
            lambda epoch: epochs.shuffle(own(), len(labels), seed=seed, epoch=epoch),
            size=len(range(shard_index, len(labels), num_shards)),
            seen=start * batch_size,
        )
    else:
        indices = own()
    indices = indices.batch(batch_size, drop_remainder=is_training)

    def make(count: tf.Tensor, chosen: tf.Tensor) -> dict[str, tf.Tensor]:
        image = enlarge(tf.gather(images, chosen), image_size=image_size)
        if is_training:
            batch_seed = tf.random.fold_in(tf.constant([seed, shard_index], tf.int64), count)
            image = _move(image, batch_seed)
        image = 2.0 * image - 1.0
        image = tf.repeat(image, 3, axis=-1)
        return {"image": image, "label": tf.gather(labels, chosen)}

    # By batches: a call for 64 images takes hardly longer than a call for one.
    return indices.enumerate(start).map(make).prefetch(4)


def fingerprint(images: np.ndarray, labels: np.ndarray) -> str:
    """SHA-256, in hex, of images and labels."""
    return hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()


def enlarge(images: tf.Tensor, *, image_size: int) -> tf.Tensor:
    """Enlarges digits of 8 x 8 pixels in 0..16.

    Returns:
      float32 [n, image_size, image_size, 1] in [0, 1].
    """
    images = tf.cast(images, tf.float32)[..., tf.newaxis] / _MAX_VALUE
    return tf.image.resize(images, [image_size, image_size], method="bilinear")


def _move(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Rotates, zooms, shears and shifts each image by its own amounts; fills the edges with 0."""
    n = tf.shape(images)[0]
    size = images.shape[1]
    draws = tf.random.stateless_uniform([6, n], seed, -1.0, 1.0)
    angle, shear = _ROTATION * draws[0], _SHEAR * draws[1]
    zoom_x, zoom_y = 1.0 + _ZOOM * draws[2], 1.0 + _ZOOM * draws[3]
    shift_x, shift_y = size * _SHIFT * draws[4], size * _SHIFT * draws[5]
    # The position in the source of each pixel (x, y) of the result: A ((x, y) - c) + c + shift.
    xx, xy = tf.cos(angle) * zoom_x, (shear - tf.sin(angle)) * zoom_x
    yx, yy = tf.sin(angle) * zoom_y, tf.cos(angle) * zoom_y
    c = (size - 1) / 2.0
    zero = tf.zeros_like(angle)
    x0 = c - c * (xx + xy) + shift_x
    y0 = c - c * (yx + yy) + shift_y
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([xx, xy, x0, yx, yy, y0, zero, zero], axis=1),
        output_shape=[size, size],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(moved, images.shape)


def _held_out(labels: np.ndarray) -> np.ndarray:
    """Which images are held out, bool [n]: chosen by position, without random numbers."""
    chosen = np.zeros(len(labels), bool)
    for label in range(NUM_CLASSES):
        positions = np.flatnonzero(labels == label)
        if len(positions) <= _HELD_OUT_OF_EACH:
            raise ValueError(
                f"expected more than {_HELD_OUT_OF_EACH} images of each digit, got "
                f"{len(positions)} of {label}"
            )
        chosen[positions[np.arange(_HELD_OUT_OF_EACH) * len(positions) // _HELD_OUT_OF_EACH]] = True
    return chosen
