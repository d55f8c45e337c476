"""The features of a data set's photos, computed by several tasks together.

The photos are divided into parts of consecutive ones, and each task computes parts i, i + n, … They
are cut where a single run begins a batch. So every batch is one of a single run, and every feature
has the same bits on the same kind of processor. See `task_folder` for what is kept of the parts.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from classification.base.task_flags import Task
from classification.base.task_folder import TaskFolder
from classification.data import records
from classification.data.dataset import Dataset
from classification.fitting import view_features
from classification.fitting.view_features import Record, ViewFeatures
from classification.nets.model_config import ModelConfig

# Tasks of versions that compute or divide in another way must not work together.
_VERSION = 1
# A task that was killed loses at most the batches of a part, which take about a minute.
_MOST_BATCHES = 256


def plan(
    values: Mapping[str, np.ndarray],
    model: ModelConfig,
    dataset: Dataset,
    *,
    views: int,
    task: Task,
) -> dict[str, Any]:
    """What all tasks must agree on. 16 bytes of each record are read.

    Args:
      values: those of the base's variables.
      model: the network.
      dataset: the photos.
      views: the number of views of each photo.
      task: one of the tasks.
    """
    base = hashlib.sha256()
    for name, value in sorted(values.items()):
        base.update(f"{name} {value.dtype} {value.shape} ".encode() + value.tobytes())
    described = json.dumps(dataclasses.asdict(model)).encode()
    return {
        "program": f"fit_embedding {_VERSION}",
        "TensorFlow": tf.__version__,
        "NumPy": np.__version__,
        "num_tasks": task.count,
        "views": views,
        "network": model.describe(),
        "data set": model.dataset,
        "photos": dataset.num_examples,
        "hash of model.json": hashlib.sha256(described).hexdigest()[:16],
        "hash of the base": base.hexdigest()[:16],
        "hash of the photos": dataset.fingerprint()[:16],
    }


def divide(dataset: Dataset, *, views: int, task: Task) -> list[range]:
    """The numbers of the photos of each part, in order."""
    batch = view_features.photos_per_batch(views)
    num_batches = -(-dataset.num_examples // batch)
    size = batch * min(_MOST_BATCHES, -(-num_batches // task.count))
    total = dataset.num_examples
    return [range(start, min(start + size, total)) for start in range(0, total, size)]


def compute(
    folder: TaskFolder,
    values: Mapping[str, np.ndarray],
    model: ModelConfig,
    dataset: Dataset,
    *,
    views: int,
    task: Task,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Computes the parts of a task that are not complete, and returns how many parts are missing.

    Only the records of these parts are decoded.

    Args:
      folder: for the parts.
      values: those of the base's variables; see `features.of_images`.
      model: the network.
      dataset: the photos, in record files.
      views: the number of views of each photo.
      task: which of the tasks this is.
      on_progress: called with the number of photos done and the number to do.

    Raises:
      OSError: if a file cannot be read or written.
      ValueError: see `view_features.computed`.
    """
    parts = divide(dataset, views=views, task=task)
    own = [part for part in parts[task.index :: task.count] if folder.part(_name(part)) is None]
    total, done = sum(map(len, own)), 0
    batches = view_features.batches(values, model, dataset, _records(dataset, own), views=views)
    with folder.scratch() as scratch, contextlib.closing(batches):
        for part in own:
            begin = time.monotonic()
            path = os.path.join(scratch, _name(part))
            labels: list[int] = []
            with open(path, "wb") as file:
                while len(labels) < len(part):
                    batch = next(batches, None)
                    if batch is None:
                        raise ValueError(
                            f"expected {dataset.num_examples} images in {dataset.source}, got "
                            "fewer: it has changed"
                        )
                    file.write(batch.features.tobytes())
                    labels += batch.labels
                    done += len(batch.labels)
                    if on_progress is not None:
                        on_progress(done, total)
            found = {"labels": labels, "seconds": time.monotonic() - begin}
            folder.leave(_name(part), [path], found)
    return len(folder.missing(map(_name, parts)))


@contextlib.contextmanager
def joined(
    folder: TaskFolder, dataset: Dataset, *, views: int, task: Task
) -> Iterator[ViewFeatures]:
    """The features of all parts, in the order of the photos; see `view_features.joined`.

    Raises:
      OSError: if a file cannot be read or written, or is not as it was written.
    """
    paths, labels, seconds = [], list[int](), 0.0
    for part in divide(dataset, views=views, task=task):
        found = folder.part(_name(part))
        if found is None:
            raise OSError(
                f"expected {_name(part)} in {folder.files} as it was written, got another or none; "
                "run the task again that computes it"
            )
        paths.append(os.path.join(folder.files, _name(part)))
        labels += found["labels"]
        seconds += found["seconds"]
    with view_features.joined(
        paths, labels, views=views, seconds=seconds, folder=folder.path
    ) as features:
        yield features


def _name(part: range) -> str:
    return f"features-{part.start}-{part.stop}"


def _records(dataset: Dataset, parts: Sequence[range]) -> Generator[Record, None, None]:
    """Yields the records of some photos, without decoding others."""
    counts = records.count_each(dataset.files)
    for part in parts:
        first = 0
        for path, count in counts.items():
            start, stop = max(part.start - first, 0), min(part.stop - first, count)
            first += count
            if start < stop:
                with contextlib.closing(records.iterate([path])) as found:
                    yield from itertools.islice(found, start, stop)
