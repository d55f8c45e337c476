"""Counts of each class in an evaluation, and the pairs of classes that are confused."""

import dataclasses

import numpy as np

from classification.data.dataset import Dataset
from classification.evaluation.evaluator import Result
from classification.nets.model_config import ModelConfig

_PHOTOS_CONFUSED = 4
_PHOTOS_RIGHT = 2


@dataclasses.dataclass(frozen=True)
class ClassCounts:
    """The counts of one class.

    Attributes:
      label: the class.
      images: the number of its images.
      predicted: the number of images for which it is the network's answer.
      correct: the number of its images for which it is the answer.
      taken_for: the most frequent wrong answer for its images, the first of equally
        frequent ones; None if all are classified correctly.
      times_taken: the number of these answers.
    """

    label: int
    images: int
    predicted: int
    correct: int
    taken_for: int | None
    times_taken: int

    @property
    def recall(self) -> float | None:
        """The fraction of its images that are classified correctly; None without images."""
        return self.correct / self.images if self.images else None

    @property
    def precision(self) -> float | None:
        """The fraction of correct ones among the answers with it; None without answers."""
        return self.correct / self.predicted if self.predicted else None


@dataclasses.dataclass(frozen=True)
class Confusion:
    """Images of one class for which the answer is another.

    Attributes:
      label: the class.
      predicted: the answer.
      count: the number of images.
    """

    label: int
    predicted: int
    count: int


@dataclasses.dataclass(frozen=True)
class Examples:
    """Images that show a confusion, by their position in the data; see `examples`.

    Attributes:
      confusion: the confusion.
      images: the number of images of `confusion.label`.
      confused: images of `confusion.label` with the answer `confusion.predicted`.
      right: images of `confusion.predicted` that are classified correctly.
    """

    confusion: Confusion
    images: int
    confused: tuple[int, ...]
    right: tuple[int, ...]


def class_names(model: ModelConfig, dataset: Dataset) -> tuple[str, ...]:
    """The names of the network's classes; the number of a class that has no name."""
    known = model.labels or dataset.labels or ()
    return known + tuple(str(label) for label in range(len(known), model.num_classes))


def confusions(result: Result) -> list[Confusion]:
    """All pairs of confused classes, the most frequent first, then in order."""
    wrong = result.predictions != result.labels
    pairs = np.stack([result.labels[wrong], result.predictions[wrong]], axis=1)
    unique, counts = np.unique(pairs, axis=0, return_counts=True)
    found = [
        Confusion(int(label), int(predicted), int(count))
        for (label, predicted), count in zip(unique, counts, strict=True)
    ]
    return sorted(found, key=lambda x: (-x.count, x.label, x.predicted))


def count_classes(result: Result, num_classes: int) -> list[ClassCounts]:
    """The counts of each of the network's classes, in the order of their labels."""
    images = np.bincount(result.labels, minlength=num_classes)
    predicted = np.bincount(result.predictions, minlength=num_classes)
    right = result.labels[result.predictions == result.labels]
    correct = np.bincount(right, minlength=num_classes)
    most: dict[int, Confusion] = {}
    for confusion in confusions(result):
        most.setdefault(confusion.label, confusion)
    return [
        ClassCounts(
            label=label,
            images=int(images[label]),
            predicted=int(predicted[label]),
            correct=int(correct[label]),
            taken_for=most[label].predicted if label in most else None,
            times_taken=most[label].count if label in most else 0,
        )
        for label in range(num_classes)
    ]


def balanced_accuracy(classes: list[ClassCounts]) -> float:
    """The mean of the recalls of the classes that have images, in 0..1."""
    return float(np.mean([c.recall for c in classes if c.recall is not None]))


def examples(result: Result, confusion: Confusion) -> Examples:
    """Images that show a confusion: those of the highest probability, the first of equal ones.

    The errors with the highest probabilities are the most interesting: some are wrong labels.
    """
    label, predicted = confusion.label, confusion.predicted
    order = np.argsort(-result.probability, kind="stable")
    answered = order[result.predictions[order] == predicted]
    confused = answered[result.labels[answered] == label][:_PHOTOS_CONFUSED]
    right = answered[result.labels[answered] == predicted][:_PHOTOS_RIGHT]
    return Examples(
        confusion=confusion,
        images=int((result.labels == label).sum()),
        confused=tuple(confused.tolist()),
        right=tuple(right.tolist()),
    )
