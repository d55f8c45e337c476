"""The report of an evaluation: a folder with numbers as JSON and CSV, and plots."""

import csv
import io
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from classification.base import report_wheels
from classification.data.dataset import Dataset
from classification.evaluation import class_counts, plots
from classification.evaluation.evaluator import Result
from classification.nets.checkpoint import Checkpoint
from imprinting.base import atomic_files
from imprinting.base.photo_crop import Crop

FILES = (
    "classes.csv",
    "confused_pairs.png",
    "confusion_matrix.csv",
    "confusion_matrix.png",
    "evaluation.json",
)
_PAIRS = 6


def write(
    folder: str,
    result: Result,
    *,
    names: tuple[str, ...],
    checkpoint: Checkpoint,
    dataset: Dataset,
    image_size: int,
    batch_size: int,
    crop: Crop = Crop.STRETCHED,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes the files `FILES` in a folder: the same bytes for the same results.

    Reads the data once more, for the photos of `confused_pairs.png`; only these are kept.

    Args:
      folder: an empty folder, which must exist.
      result: that of the evaluation.
      names: the network's classes.
      checkpoint: the one that was evaluated; only its name is written.
      dataset: the images that were evaluated.
      image_size: height and width of the photos, in pixels.
      crop: which part of each is shown.
      batch_size: how many photos to read at once.
      on_progress: called with the number of images read for photos, and of all to read.

    Raises:
      OSError: if a file cannot be written.
      tf.errors.OpError: if an image cannot be read.
    """
    matrix = report_wheels.sklearn_metrics().confusion_matrix(
        result.labels, result.predictions, labels=range(len(names))
    )
    confusions = class_counts.confusions(result)[:_PAIRS]
    rows = [class_counts.examples(result, confusion) for confusion in confusions]
    photos = read_photos(
        dataset,
        {image for row in rows for image in row.confused + row.right},
        image_size=image_size,
        batch_size=batch_size,
        crop=crop,
        on_progress=on_progress,
    )
    classes = class_table(result, names)
    summary = {
        **_summary(result, len(names)),
        "checkpoint": os.path.basename(checkpoint.prefix),
        "global_step": result.global_step,
        "dataset": os.path.basename(dataset.source),
        "split": dataset.split,
        "classes": classes,
    }
    matrix_rows = list(zip(names, matrix.tolist(), strict=True))
    contents = {
        "classes.csv": _csv([list(classes[0]), *(list(row.values()) for row in classes)]),
        "confused_pairs.png": plots.confused_pairs(
            rows, photos=photos, probability=result.probability, names=names
        ),
        "confusion_matrix.csv": _csv([["", *names], *([name, *row] for name, row in matrix_rows)]),
        "confusion_matrix.png": plots.confusion_matrix(matrix, names),
        "evaluation.json": (json.dumps(summary, indent=1, ensure_ascii=False) + "\n").encode(),
    }
    for name in FILES:
        atomic_files.write_atomically(os.path.join(folder, name), contents[name])


def _summary(result: Result, num_classes: int) -> dict[str, int | float]:
    classes = class_counts.count_classes(result, num_classes)
    return {
        "accuracy": result.accuracy,
        "recall_at_5": result.recall_at_5,
        "balanced_accuracy": class_counts.balanced_accuracy(classes),
        "num_examples": result.num_examples,
    }


def class_table(result: Result, names: Sequence[str]) -> list[dict[str, str | int | float | None]]:
    """A row for each class of the network, for `classes.csv` and `evaluation.json`.

    Precision is None if the class is never the answer, recall if it has no images, F1 if both
    are.
    """
    counts = class_counts.count_classes(result, len(names))
    scores = report_wheels.sklearn_metrics().precision_recall_fscore_support(
        result.labels,
        result.predictions,
        labels=range(len(names)),
        average=None,
        zero_division=np.nan,
    )
    precision, recall, f1, _ = (
        [None if np.isnan(x) else float(x) for x in np.asarray(values, float)] for values in scores
    )
    return [
        {
            "label": row.label,
            "name": names[row.label],
            "images": row.images,
            "precision": precision[row.label],
            "recall": recall[row.label],
            "f1": f1[row.label],
            "most_often_taken_for": None if row.taken_for is None else names[row.taken_for],
            "times_taken": row.times_taken,
        }
        for row in counts
    ]


def read_photos(
    dataset: Dataset,
    indices: Collection[int],
    *,
    image_size: int,
    batch_size: int,
    crop: Crop = Crop.STRETCHED,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[int, np.ndarray]:
    """Some images of a data set, as the network sees them.

    Args:
      dataset: the images; it is read up to the last one of `indices`.
      indices: those of the images to return, in the order of the data.
      image_size: height and width of the photos, in pixels.
      crop: which part of each is shown.
      batch_size: how many images to hold at once.
      on_progress: called after each batch with the number of images read, and of all to read.

    Returns:
      uint8 [image_size, image_size, 3] for each index.

    Raises:
      ValueError: if the data has fewer images.
      tf.errors.OpError: if an image cannot be read.
    """
    photos: dict[int, np.ndarray] = {}
    total = max(indices, default=-1) + 1
    done = 0
    with tf.Graph().as_default(), tf.Session() as session:
        batches = dataset.batches(
            batch_size=batch_size, image_size=image_size, is_training=False, crop=crop
        )
        images = tf.data.make_one_shot_iterator(batches).get_next()["image"]
        pixels = tf.saturate_cast(tf.round((images + 1.0) * 127.5), tf.uint8)
        while done < total:
            try:
                batch = session.run(pixels)
            except tf.errors.OutOfRangeError as error:
                raise ValueError(
                    f"expected {total} images in {dataset.source}, got {done}: the data has changed"
                ) from error
            for index in indices:
                if done <= index < done + len(batch):
                    photos[index] = batch[index - done].copy()
            done += len(batch)
            if on_progress is not None:
                on_progress(min(done, total), total)
    return photos


def _csv(rows: Iterable[Sequence[str | int | float | None]]) -> bytes:
    """A CSV file, in UTF-8.

    A name that a spreadsheet would treat as a formula gets an apostrophe in front.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow(
            [re.sub(r"^(?=[=+\-@\t\r])", "'", x) if isinstance(x, str) else x for x in row]
        )
    return text.getvalue().encode()
