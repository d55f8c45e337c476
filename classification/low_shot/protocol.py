"""Ways to learn new classes from a few examples each, and their accuracies.

A network that knows base classes gets n examples of each novel class. Four accuracies on test
images follow, after Qi, Brown and Lowe, arXiv 1712.07136, section 4, and a harmonic mean of two.

All methods learn class vectors from embeddings of unit length, which are computed once for each
image. These may be in a file that is mapped to memory: what memory holds does not grow with the
images, but for 40 bytes each for labels and the like.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from classification.low_shot.embedded import Embedded
from imprinting.embedding import unit_vectors

# For fine-tuning: Adam's learning rate, relative to the components of a unit vector, and the number
# of steps, each with all examples. On groceries, three times as many steps are not more accurate.
_RATE = 0.03
_STEPS = 200


class Accuracies(NamedTuple):
    """Fractions of the test images that are classified correctly, in 0..1.

    Attributes:
      novel: of the novel classes' images, among the novel classes.
      novel_among_all: of the novel classes' images, among all classes.
      base_among_all: of the base classes' images, among all classes.
      all: of all images, among all classes.
      harmonic_mean: of `novel_among_all` and `base_among_all`, to which both kinds of classes
        contribute equally, however many images there are of each (as in the evaluation of
        generalised zero-shot learning: Xian, Lampert, Schiele and Akata, arXiv 1707.00600).
    """

    novel: float
    novel_among_all: float
    base_among_all: float
    all: float
    harmonic_mean: float


class Trial(NamedTuple):
    """One draw of examples, learned by one method.

    Attributes:
      method: its name.
      shots: examples of each novel class.
      seed: of the draw.
      accuracies: those of the test photos.
    """

    method: str
    shots: int
    seed: int
    accuracies: Accuracies


class Results(NamedTuple):
    """All trials, and what they are compared with.

    Attributes:
      trials: by method, shots and seed.
      base_alone: by the network's name, its accuracy on the base's test photos before novel classes
        joined.
      steps: the steps of quantisation, one after another, and the name of the method after each;
        the first is what they start from.
    """

    trials: list[Trial]
    base_alone: dict[str, float]
    steps: list[tuple[str, str]]


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """The classes to learn, and the examples of them.

    Attributes:
      base_vectors: float [b, d] of unit length, the class vectors of the base.
      examples: the images to learn from: all of the base's, and n of each novel class.
      num_classes: the number of base and novel classes.
      scale: the network's scale factor, by which cosines are multiplied.
      seed: that of all random numbers.
    """

    base_vectors: np.ndarray
    examples: Embedded
    num_classes: int
    scale: float
    seed: int

    @property
    def num_base(self) -> int:
        """The number of base classes."""
        return len(self.base_vectors)

    @property
    def novel(self) -> Embedded:
        """The examples of the novel classes."""
        return self.examples.of_classes(self.num_base, self.num_classes)

    def without_base(self) -> "Task":
        """The same task with only the novel classes, numbered from 0."""
        novel = self.novel
        return dataclasses.replace(
            self,
            base_vectors=self.base_vectors[:0],
            examples=dataclasses.replace(novel, labels=novel.labels - self.num_base),
            num_classes=self.num_classes - self.num_base,
        )


# Returns logits, or scores in the same order, [n, classes], for embeddings [n, d].
Classifier = Callable[[np.ndarray], np.ndarray]
Method = Callable[[Task], Classifier]


def draw(train: Embedded, *, num_base: int, shots: int, seed: int) -> Embedded:
    """Draws the images to learn from: all of the base's, and some of each novel class.

    With the same seed, the examples for fewer shots are among those for more.

    Args:
      train: all images for training.
      num_base: the number of base classes.
      shots: examples of each novel class.
      seed: that of the draw.

    Raises:
      ValueError: if a novel class has fewer.
    """
    random = np.random.default_rng(seed)
    chosen = [np.flatnonzero(train.labels < num_base)]
    for label in range(num_base, int(train.labels.max()) + 1):
        images = random.permutation(np.flatnonzero(train.labels == label))
        if len(images) < shots:
            raise ValueError(
                f"expected at least {shots} images of each novel class to learn from, got "
                f"{len(images)} of class {label}; ask for fewer shots"
            )
        chosen.append(np.sort(images[:shots]))
    return train.take(np.concatenate(chosen))


def accuracies(
    scores: np.ndarray,
    labels: np.ndarray,
    *,
    num_base: int,
    novel_scores: np.ndarray | None = None,
) -> Accuracies:
    """The accuracies of scores; of equal scores, that of the lower class counts as the highest.

    Args:
      scores: float or int [n, classes].
      labels: int [n]; of both base and novel classes.
      num_base: the number of base classes.
      novel_scores: float or int [n, novel classes], the scores among these classes; None means
        the last columns of `scores`.
    """
    return _of_right(labels, num_base, *_right(scores, labels, num_base, novel_scores))


def measure(
    classify: Classifier,
    test: Embedded,
    *,
    num_base: int,
    classify_novel: Classifier | None = None,
) -> Accuracies:
    """The accuracies of a classifier, which is given some images at a time; see `accuracies`.

    Args:
      classify: the classifier.
      test: images of both base and novel classes.
      num_base: the number of base classes.
      classify_novel: tells the novel classes apart; None means `classify`.
    """
    right, among_novel = [], []
    for some in test.pieces():
        novel_scores = classify_novel(some.plain) if classify_novel else None
        found = _right(classify(some.plain), some.labels, num_base, novel_scores)
        right.append(found[0])
        among_novel.append(found[1])
    return _of_right(test.labels, num_base, np.concatenate(right), np.concatenate(among_novel))


def accuracy(classify: Classifier, test: Embedded) -> float:
    """The fraction of images that are classified correctly, some at a time, in 0..1."""
    right = [classify(some.plain).argmax(axis=1) == some.labels for some in test.pieces()]
    return float(np.concatenate(right).mean())


def _right(
    scores: np.ndarray, labels: np.ndarray, num_base: int, novel_scores: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Which images are right among all classes, bool [n]; and of the novel ones, among these."""
    if novel_scores is None:
        novel_scores = scores[:, num_base:]
    is_novel = labels >= num_base
    among_novel = novel_scores[is_novel].argmax(axis=1) + num_base == labels[is_novel]
    return scores.argmax(axis=1) == labels, among_novel


def _of_right(
    labels: np.ndarray, num_base: int, right: np.ndarray, among_novel: np.ndarray
) -> Accuracies:
    is_novel = labels >= num_base
    novel_among_all, base_among_all = (float(right[kind].mean()) for kind in (is_novel, ~is_novel))
    return Accuracies(
        novel=float(among_novel.mean()),
        novel_among_all=novel_among_all,
        base_among_all=base_among_all,
        all=float(right.mean()),
        harmonic_mean=harmonic_mean(novel_among_all, base_among_all),
    )


def harmonic_mean(first: float, second: float) -> float:
    """The harmonic mean 2 a b / (a + b) of two numbers in 0..1; 0 if one of them is 0."""
    return 2 * first * second / (first + second) if first and second else 0.0


def templates(examples: Embedded, first: int, last: int) -> np.ndarray:
    """The class vectors with which classes first..last-1 are imprinted.

    Each is the mean of the class's embeddings, themselves averaged over the views of each image,
    brought to unit length (arXiv 1712.07136, section 3.2).

    Returns:
      float32 [last - first, d].
    """
    means = [
        examples.of_classes(label, label + 1).averaged.mean(axis=0) for label in range(first, last)
    ]
    return unit_vectors.unit(np.stack(means))


def imprint(task: Task) -> Classifier:
    """Imprinting: the class vectors of the base, and templates of the novel classes."""
    novel = templates(task.examples, task.num_base, task.num_classes)
    return _cosines(np.concatenate([task.base_vectors, novel]))


def nearest_neighbour(task: Task) -> Classifier:
    """Nearest neighbour: the class of the closest example."""

    def classify(embeddings: np.ndarray) -> np.ndarray:
        closest = np.full([len(embeddings), task.num_classes], -np.inf, np.float32)
        for some in task.examples.pieces(row_bytes=4 * len(embeddings)):
            cosines = embeddings @ some.plain.T
            for label in np.unique(some.labels):
                best = cosines[:, some.labels == label].max(axis=1)
                closest[:, label] = np.maximum(closest[:, label], best)
        return closest

    return classify


def imprint_and_fine_tune(task: Task) -> Classifier:
    """Imprinting followed by fine-tuning (arXiv 1712.07136, section 3.3)."""
    novel = templates(task.examples, task.num_base, task.num_classes)
    return _cosines(_fine_tuned(task, np.concatenate([task.base_vectors, novel])))


def fine_tune_random(task: Task) -> Classifier:
    """Fine-tuning from the class vectors of the base, and random ones for the novel classes."""
    random = np.random.default_rng(task.seed)
    count = task.num_classes - task.num_base
    novel = unit_vectors.unit(random.normal(size=[count, task.base_vectors.shape[1]]))
    return _cosines(_fine_tuned(task, np.concatenate([task.base_vectors, novel])))


# Keys are the names in tables.
METHODS: dict[str, Method] = {
    "nearest neighbour": nearest_neighbour,
    "random + fine-tuning": fine_tune_random,
    "imprinting": imprint,
    "imprinting + fine-tuning": imprint_and_fine_tune,
}


def _cosines(vectors: np.ndarray) -> Classifier:
    return lambda embeddings: embeddings @ vectors.T


def _fine_tuned(task: Task, vectors: np.ndarray) -> np.ndarray:
    """Class vectors, trained on all examples; all classes have the same weight."""
    labels = task.examples.labels
    weights = 1.0 / np.bincount(labels, minlength=task.num_classes)[labels]
    weights /= weights.sum()
    with tf.Graph().as_default(), tf.Session() as session:
        variable = tf.Variable(vectors.astype(np.float32))
        normalised = tf.nn.l2_normalize(variable, axis=1)
        given = tf.placeholder(tf.float32, [None, vectors.shape[1]])
        given_labels = tf.placeholder(tf.int64, [None])
        given_weights = tf.placeholder(tf.float32, [None])
        logits = task.scale * tf.matmul(given, normalised, transpose_b=True)
        loss = tf.losses.sparse_softmax_cross_entropy(
            given_labels, logits, weights=given_weights, reduction=tf.losses.Reduction.SUM
        )
        (gradient,) = tf.gradients(loss, variable)
        given_gradient = tf.placeholder(tf.float32, vectors.shape)
        step = tf.train.AdamOptimizer(_RATE / vectors.shape[1] ** 0.5).apply_gradients(
            [(given_gradient, variable)]
        )
        session.run(tf.global_variables_initializer())
        for _ in range(_STEPS):
            total = np.zeros(vectors.shape, np.float32)
            begin = 0
            for some in task.examples.pieces():
                end = begin + len(some.labels)
                feed = {given: some.plain, given_labels: some.labels}
                total += session.run(gradient, {**feed, given_weights: weights[begin:end]})
                begin = end
            session.run(step, {given_gradient: total})
        return session.run(normalised)
