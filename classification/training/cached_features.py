"""Computes the features of a frozen base once for each image, and keeps them.

A frozen base always computes the same features for the same image, if the image is not distorted.
Training of the layers above it therefore needs to run the base only once for each image.
"""

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import os
import time
from collections.abc import Callable, Generator, Iterator

import numpy as np
import tensorflow.compat.v1 as tf

from classification.data.dataset import Dataset
from classification.nets import factory, networks, variable_values
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from imprinting.base import atomic_files, large_arrays

MEMORY = "memory"

_FEATURES, _LABELS, _SECONDS = "features.npy", "labels.npy", "seconds.npy"
# Part of the key. Raise it after a change by which the same base and data give other features.
_FORM = 2
_BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class Features:
    """Features and labels of a data set's images, in its order.

    For each image, memory holds its label and, in `batches`, its place in the order of an epoch: 40
    bytes. The features of many images are in files that are mapped to memory.

    Attributes:
      values: float32 [images, depth].
      labels: int64 [images].
      seconds: how long the base took for all of them.
      was_kept: whether an earlier run computed them.
    """

    values: np.ndarray
    labels: np.ndarray
    seconds: float
    was_kept: bool = False

    @property
    def depth(self) -> int:
        """The number of the base's output channels."""
        return self.values.shape[1]

    def describe(self, store: str) -> str:
        """Where the features come from, in a sentence."""
        count = len(self.labels)
        took = f"{self.seconds:.1f} s ({count / self.seconds:.0f} images/s)"
        if self.was_kept:
            return f"Features of {count:,} images: kept in {store} by an earlier run, in {took}."
        place = "until training ends" if store == MEMORY else f"in {store}"
        return f"Features of {count:,} images: computed in {took}, and kept {place}."

    def describe_saving(self, images: int) -> str:
        """How much time the features of that many images would have taken, in a sentence."""
        without = images * self.seconds / len(self.labels)
        return (
            f"Keeping features: {images:,} images were trained on; for these, the base would have "
            f"taken {without:.0f} s, and took {0 if self.was_kept else self.seconds:.0f} s."
        )

    def batches(
        self, batch_size: int, *, seed: int, start: int, num_shards: int = 1, shard_index: int = 0
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Endless batches, with a different order in each epoch.

        Args:
          batch_size: images in a batch; a batch may span two epochs.
          seed: determines the order.
          start: how many batches to skip.
          num_shards: the number of workers among which the images are divided.
          shard_index: the number of this worker, from 0.

        Yields:
          float32 [batch_size, 1, 1, depth], int64 [batch_size].
        """
        own = np.arange(shard_index, len(self.labels), num_shards)

        @functools.lru_cache(maxsize=2)
        def order(epoch: int) -> np.ndarray:
            return own[np.random.default_rng([seed, shard_index, epoch]).permutation(len(own))]

        for first in itertools.count(start * batch_size, batch_size):
            epochs, places = np.divmod(np.arange(first, first + batch_size), len(own))
            chosen = np.concatenate([order(e)[places[epochs == e]] for e in np.unique(epochs)])
            yield self.values[chosen][:, np.newaxis, np.newaxis, :], self.labels[chosen]


def get(
    store: str,
    *,
    model: ModelConfig,
    checkpoint: Checkpoint,
    dataset: Dataset,
    on_progress: Callable[[int, int], None] | None = None,
) -> Features:
    """The features of a data set's images: kept ones, or newly computed ones.

    Images are preprocessed as in evaluation.

    Args:
      store: `MEMORY` for this process alone: up to 64 MB in memory, more in a temporary file (see
        `large_arrays.gather`). Or a folder to keep features in, which is created if it does not
        exist. The key is everything that the features depend on: the base's variables, the
        network's form, and the data's content.
      model: the network.
      checkpoint: one that holds the complete base.
      dataset: the images.
      on_progress: called after each batch with the number of images done and the total number.

    Raises:
      ValueError: if the checkpoint lacks a part of the base, or the kept features are damaged.
      OSError: if the features cannot be written.
    """
    seconds = 0.0

    def batches() -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        nonlocal seconds
        seconds = yield from _compute(model, checkpoint, dataset, on_progress)

    # After an error, too, TensorFlow's graphs must be left in the reverse order.
    with contextlib.closing(batches()) as computed:
        if store == MEMORY:
            values, labels = large_arrays.gather(computed)
            return Features(values, labels, seconds)
        folder = os.path.join(store, _key(model, checkpoint, dataset))
        was_kept = os.path.isdir(folder)
        if not was_kept:
            os.makedirs(store, exist_ok=True)
            with (
                atomic_files.name_path_in_errors(folder),
                atomic_files.atomic_folder(folder, (_FEATURES, _LABELS, _SECONDS)) as partial,
            ):
                path = os.path.join(partial, _FEATURES)
                np.save(os.path.join(partial, _LABELS), _write(path, computed, dataset))
                np.save(os.path.join(partial, _SECONDS), seconds)
    values, known, took = (_open(folder, name) for name in (_FEATURES, _LABELS, _SECONDS))
    return Features(values, np.array(known), float(took), was_kept)


def _write(
    path: str, batches: Iterator[tuple[np.ndarray, np.ndarray]], dataset: Dataset
) -> np.ndarray:
    """Writes features to a file of numpy's format; returns the labels, int64 [images]."""
    labels: list[np.ndarray] = []
    # Not through a memory mapping: a full disk would then kill the process.
    with open(path, "wb") as file:
        for batch, known in batches:
            if not labels:
                shape = (dataset.num_examples, batch.shape[1])
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(batch.astype("<f4").tobytes())
            labels.append(known)
    return np.concatenate(labels)


def _open(folder: str, name: str) -> np.ndarray:
    path = os.path.join(folder, name)
    try:
        return np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"expected kept features in {path}, got a file that cannot be read: {error}; remove "
            "that folder, and they are computed again"
        ) from error


def _key(model: ModelConfig, checkpoint: Checkpoint, dataset: Dataset) -> str:
    # The number of classes and their names have no effect on features.
    form = dataclasses.replace(model, num_classes=1, labels=None, dataset="")
    text = hashlib.sha256(f"{_FORM} {form} {dataset.fingerprint()} {dataset.split}".encode())
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        _build(tf.placeholder(tf.float32, [1, model.image_size, model.image_size, 3]), model)
        names = sorted(v.op.name for v in _base())
    for name, value in checkpoint.read(names).items():
        text.update(name.encode())
        text.update(np.ascontiguousarray(value).tobytes())
    return text.hexdigest()[:32]


def _build(images: tf.Tensor, model: ModelConfig) -> tf.Tensor:
    return factory.build(images, model, embedding_only=True)["Features"]


def _base() -> list[tf.Variable]:
    return [v for v in tf.model_variables() if "/Logits/" not in v.op.name]


def _compute(
    model: ModelConfig,
    checkpoint: Checkpoint,
    dataset: Dataset,
    on_progress: Callable[[int, int], None] | None,
) -> Generator[tuple[np.ndarray, np.ndarray], None, float]:
    """Computes features.

    Yields:
      Of each batch, the features, float32 [n, depth], and the labels, int64 [n].

    Returns:
      How many seconds it took, with what was done with the batches.
    """
    done, total = 0, dataset.num_examples
    with tf.Graph().as_default(), tf.Session() as session:
        # Deterministic operations need a seed, even for initial values that are never used.
        tf.set_random_seed(0)
        batches = dataset.batches(
            batch_size=_BATCH_SIZE,
            image_size=model.image_size,
            is_training=False,
            crop=networks.get(model.network).crop,
        )
        batch = tf.data.make_one_shot_iterator(batches).get_next()
        output = _build(batch["image"], model)
        variable_values.load(session, checkpoint.read_all(_base()))
        begin = time.monotonic()
        while done < total:
            try:
                computed, labels = session.run([output, batch["label"]])
            except tf.errors.OutOfRangeError:
                raise ValueError(
                    f"expected {total} images in {dataset.source}, got {done}: it has changed"
                ) from None
            yield computed[:, 0, 0, :], labels.astype(np.int64)
            done += len(labels)
            if on_progress is not None:
                on_progress(done, total)
        return time.monotonic() - begin
