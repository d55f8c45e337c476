"""Evaluates a checkpoint's network: its answer for each image."""

import contextlib
import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow.compat.v1 as tf

from classification.data import records
from classification.data.dataset import Dataset
from classification.nets import factory, networks, variable_values
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig

_TOP = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """A network's answers for all images, in the order of the data.

    Attributes:
      labels: int64 [n], the images' classes.
      top: int [n, k], the classes of the highest logits, the highest first; k is 5, or the
        number of classes if that is less.
      probability: float32 [n], the probability of the first of these, in 0..1.
      global_step: that of the checkpoint; None if it does not say.
    """

    labels: np.ndarray
    top: np.ndarray
    probability: np.ndarray
    global_step: int | None

    @property
    def predictions(self) -> np.ndarray:
        """Int [n], the class of the highest logit."""
        return self.top[:, 0]

    @property
    def num_examples(self) -> int:
        """The number of images."""
        return len(self.labels)

    @property
    def num_correct(self) -> int:
        """The number of images whose label has the highest logit."""
        return int((self.predictions == self.labels).sum())

    @property
    def num_in_top_5(self) -> int:
        """The number of images whose label is among the five highest logits."""
        return int((self.top == self.labels[:, np.newaxis]).sum())

    @property
    def accuracy(self) -> float:
        """The fraction of the images that are classified correctly, in 0..1."""
        return self.num_correct / self.num_examples

    @property
    def recall_at_5(self) -> float:
        """The fraction of the images whose label is among the five highest logits, in 0..1."""
        return self.num_in_top_5 / self.num_examples


def evaluate(
    *,
    checkpoint: Checkpoint,
    model: ModelConfig,
    dataset: Dataset,
    batch_size: int,
    num_examples: int | None = None,
    master: str = "",
    on_progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Evaluates a checkpoint's network on a set of images, each counted once.

    Of equal logits, that of the lower label counts as the higher one.

    Args:
      checkpoint: the checkpoint.
      model: its network.
      dataset: the images.
      batch_size: how many images to compute at once; it does not affect the result.
      num_examples: evaluate at most this many images, the first ones; None for all.
      master: address of the TensorFlow server to run on; '' for this process.
      on_progress: called after each batch with the number of images done, and of all.

    Raises:
      ValueError: if a number is below 1, the checkpoint does not hold the complete network, the
        data's classes are not the network's, a record file is damaged, or the network's
        results are not finite.
      tf.errors.OpError: if an image cannot be read.
    """
    for name, value in (("batch_size", batch_size), ("num_examples", num_examples)):
        if value is not None and value < 1:
            raise ValueError(f"expected {name} to be at least 1, got {value}")
    _check_classes(model, dataset)
    total = min(num_examples or dataset.num_examples, dataset.num_examples)
    with contextlib.ExitStack() as stack:
        stack.enter_context(tf.Graph().as_default())
        # Deterministic operations need a seed, even for initial values that are never used.
        tf.set_random_seed(0)
        batches = dataset.batches(
            batch_size=min(batch_size, total),
            image_size=model.image_size,
            is_training=False,
            crop=networks.get(model.network).crop,
        )
        batch = tf.data.make_one_shot_iterator(batches).get_next()
        end_points = factory.build(batch["image"], model)
        logits = end_points["Logits"]
        fetches = {
            "label": batch["label"],
            "top": tf.nn.top_k(logits, min(_TOP, model.num_classes)).indices,
            "probability": tf.reduce_max(end_points["Predictions"], axis=1),
            "finite": tf.reduce_all(tf.is_finite(logits)),
        }
        values = checkpoint.read_all(tf.global_variables())
        session = stack.enter_context(tf.Session(master))
        variable_values.load(session, values)
        done = 0
        collected: dict[str, list[np.ndarray]] = {"label": [], "top": [], "probability": []}
        while done < total:
            try:
                computed = session.run(fetches)
            except tf.errors.OutOfRangeError:
                break
            except tf.errors.DataLossError as error:
                raise ValueError(
                    records.find_damage(dataset.files)
                    or f"expected complete record files in {dataset.source}, got one that was "
                    "damaged when it was read, and is complete now; evaluate again"
                ) from error
            if not computed["finite"]:
                raise ValueError(
                    f"expected finite logits, got NaN or infinity: the network in "
                    f"{checkpoint} has diverged in training; take an earlier checkpoint"
                )
            _check_labels(computed["label"][: total - done], model, dataset)
            for name, parts in collected.items():
                parts.append(computed[name][: total - done])
            done += len(collected["label"][-1])
            if on_progress is not None:
                on_progress(done, total)
    if done < total:
        raise ValueError(
            f"expected {total} images in {dataset.source}, got {done}: the data has changed"
        )
    labels, top, probability = (np.concatenate(parts) for parts in collected.values())
    return Result(labels, top, probability, checkpoint.global_step)


def write_summaries(folder: str, result: Result) -> None:
    """Writes the result for TensorBoard at the checkpoint's step; makes the folder if necessary.

    Raises:
      OSError, tf.errors.OpError: if it cannot be written.
    """
    values = [
        tf.Summary.Value(tag=name, simple_value=getattr(result, name))
        for name in ("accuracy", "recall_at_5")
    ]
    with tf.Graph().as_default(), tf.summary.FileWriter(folder) as writer:
        writer.add_summary(tf.Summary(value=values), result.global_step or 0)


def _check_classes(model: ModelConfig, dataset: Dataset) -> None:
    """Checks that the network's classes are the data's."""
    if model.labels is not None and dataset.labels is not None:
        pairs = zip(model.labels, dataset.labels, strict=False)
        differing = [(i, *pair) for i, pair in enumerate(pairs) if pair[0] != pair[1]]
        if differing:
            label, ours, theirs = differing[0]
            raise ValueError(
                f"expected the classes that the network was trained on, but class {label} is "
                f"{ours!r} in its model.json and {theirs!r} in {dataset.source}; name its own data "
                "with --dataset_dir"
            )
    # Data without names may have any number of classes: its labels are checked one by one.
    # A network may have more classes than the data that it was trained on.
    if dataset.labels is None or model.num_classes == dataset.num_classes:
        return
    if model.num_classes < dataset.num_classes or model.dataset != dataset.source:
        raise ValueError(
            f"expected data of {model.num_classes} classes, which the network has, got "
            f"{dataset.num_classes} classes in {dataset.source}; name the data with --dataset_dir, "
            "or, if the checkpoint has no model.json, the number of classes with --num_classes"
        )


def _check_labels(labels: np.ndarray, model: ModelConfig, dataset: Dataset) -> None:
    wrong = labels[(labels < 0) | (labels >= model.num_classes)]
    if len(wrong):
        raise ValueError(
            f"expected labels in 0..{model.num_classes - 1}, which the network has, got "
            f"{wrong[0]} in {dataset.source}"
        )
