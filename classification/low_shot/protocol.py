"""Ways to learn new classes from a few examples each, and their accuracies.

A network that knows base classes gets n examples of each novel class. Four accuracies on test
images follow, after Qi, Brown and Lowe, arXiv 1712.07136, section 4, and a harmonic mean of two.

All methods learn class vectors from embeddings of unit length, which are computed once for each
image.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from imprinting.embedding import unit_vectors

# For fine-tuning: Adam's learning rate, relative to the components of a unit vector, and the number
# of steps, each with all examples. On groceries, three times as many steps are not more accurate.
_RATE = 0.03
_STEPS = 200


@dataclasses.dataclass(frozen=True, eq=False)
class Embedded:
    """The embeddings and labels of images.

    Attributes:
      embeddings: float32 [n, d] of unit length, or [n, v, d] of v views of each image; the first
        view is the image as evaluation sees it.
      labels: int [n], the images' classes; numbers of base classes come first.
    """

    embeddings: np.ndarray
    labels: np.ndarray

    @property
    def plain(self) -> np.ndarray:
        """Float32 [n, d], embeddings of the images as evaluation sees them."""
        return self.embeddings if self.embeddings.ndim == 2 else self.embeddings[:, 0]

    @property
    def averaged(self) -> np.ndarray:
        """Float32 [n, d] of unit length, the mean over the views of each image."""
        return self.plain if self.embeddings.ndim == 2 else unit_vectors.mean(self.embeddings)

    def take(self, indices: np.ndarray) -> "Embedded":
        """Some of the images."""
        return Embedded(self.embeddings[indices], self.labels[indices])


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

    def without_base(self) -> "Task":
        """The same task with only the novel classes, numbered from 0."""
        novel = self.examples.take(np.flatnonzero(self.examples.labels >= self.num_base))
        return dataclasses.replace(
            self,
            base_vectors=self.base_vectors[:0],
            examples=Embedded(novel.embeddings, novel.labels - self.num_base),
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
    if novel_scores is None:
        novel_scores = scores[:, num_base:]
    is_novel = labels >= num_base
    right = scores.argmax(axis=1) == labels
    among_novel = novel_scores[is_novel].argmax(axis=1) + num_base == labels[is_novel]
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
    vectors = examples.averaged
    means = [vectors[examples.labels == label].mean(axis=0) for label in range(first, last)]
    return unit_vectors.unit(np.stack(means))


def imprint(task: Task) -> Classifier:
    """Imprinting: the class vectors of the base, and templates of the novel classes."""
    novel = templates(task.examples, task.num_base, task.num_classes)
    return _cosines(np.concatenate([task.base_vectors, novel]))


def nearest_neighbour(task: Task) -> Classifier:
    """Nearest neighbour: the class of the closest example."""
    examples, labels = task.examples.plain, task.examples.labels

    def classify(embeddings: np.ndarray) -> np.ndarray:
        cosines = embeddings @ examples.T
        return np.stack(
            [cosines[:, labels == label].max(axis=1) for label in range(task.num_classes)], axis=1
        )

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
    with tf.Graph().as_default(), tf.Session() as session:
        variable = tf.Variable(vectors.astype(np.float32))
        normalised = tf.nn.l2_normalize(variable, axis=1)
        logits = task.scale * tf.matmul(
            tf.constant(task.examples.plain), normalised, transpose_b=True
        )
        loss = tf.losses.sparse_softmax_cross_entropy(
            labels, logits, weights=weights / weights.sum(), reduction=tf.losses.Reduction.SUM
        )
        step = tf.train.AdamOptimizer(_RATE / vectors.shape[1] ** 0.5).minimize(loss)
        session.run(tf.global_variables_initializer())
        for _ in range(_STEPS):
            session.run(step)
        return session.run(normalised)
