"""What a few examples of each new class come to: ways to learn them, over given embeddings.

A network that knows base classes is given n examples of each of some novel ones. How well it then
names test images is told by four figures, after Qi, Brown and Lowe, arXiv 1712.07136, section 4.

Everything here is over embeddings of unit length, which are computed once an image; what is
learned are class vectors.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from classification.imprinting import unit_vectors

# Of fine-tuning: Adam's learning rate, in proportion to a unit vector's components; and its
# steps, each with all examples. On groceries, three times as many steps gain nothing.
_RATE = 0.03
_STEPS = 200


@dataclasses.dataclass(frozen=True, eq=False)
class Embedded:
    """Images, by their embeddings.

    Attributes:
      embeddings: float32 [n, d] of unit length; or [n, v, d] of v views of each image, of which
        the first is the image as evaluation sees it.
      labels: int [n], the images' classes: those of the base, then the novel ones.
    """

    embeddings: np.ndarray
    labels: np.ndarray

    @property
    def plain(self) -> np.ndarray:
        """Float32 [n, d], of the images as evaluation sees them."""
        return self.embeddings if self.embeddings.ndim == 2 else self.embeddings[:, 0]

    @property
    def averaged(self) -> np.ndarray:
        """Float32 [n, d] of unit length: of each image, the mean over its views."""
        return self.plain if self.embeddings.ndim == 2 else unit_vectors.mean(self.embeddings)

    def take(self, indices: np.ndarray) -> "Embedded":
        """Some of the images."""
        return Embedded(self.embeddings[indices], self.labels[indices])


class Accuracies(NamedTuple):
    """Parts of the test images that are named right, in 0..1.

    Attributes:
      novel: of the novel classes' images, with the novel classes alone to choose from.
      novel_among_all: of these, with all classes to choose from.
      base_among_all: of the base classes' images, with all to choose from.
      all: of all images, with all to choose from.
    """

    novel: float
    novel_among_all: float
    base_among_all: float
    all: float


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What is to be learned.

    Attributes:
      base_vectors: float [b, d] of unit length, the class vectors of the base.
      examples: images to learn from: all of the base's, and n of each novel class.
      num_classes: of base and novel classes.
      scale: the network's scale factor, by which cosines are multiplied.
      seed: of all that is random.
    """

    base_vectors: np.ndarray
    examples: Embedded
    num_classes: int
    scale: float
    seed: int

    @property
    def num_base(self) -> int:
        """How many classes the base knows."""
        return len(self.base_vectors)

    def without_base(self) -> "Task":
        """The novel classes alone, numbered from 0."""
        novel = self.examples.take(np.flatnonzero(self.examples.labels >= self.num_base))
        return dataclasses.replace(
            self,
            base_vectors=self.base_vectors[:0],
            examples=Embedded(novel.embeddings, novel.labels - self.num_base),
            num_classes=self.num_classes - self.num_base,
        )


# What has been learned: logits, or scores of the same order, [n, classes], of embeddings [n, d].
Classifier = Callable[[np.ndarray], np.ndarray]
Method = Callable[[Task], Classifier]


def draw(train: Embedded, *, num_base: int, shots: int, seed: int) -> Embedded:
    """The images to learn from: all of the base's, and some of each novel class.

    With one seed, the examples of fewer shots are among those of more.

    Args:
      train: the images there are.
      num_base: how many classes the base knows.
      shots: examples of each novel class.
      seed: of the choice.

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
    """How well test images are named; of equal scores, the lower class is taken.

    Args:
      scores: float or int [n, classes].
      labels: int [n]; both of base and novel classes.
      num_base: how many classes the base knows.
      novel_scores: float or int [n, novel classes], with these alone to choose from; where None,
        they are the last of `scores`.
    """
    if novel_scores is None:
        novel_scores = scores[:, num_base:]
    is_novel = labels >= num_base
    right = scores.argmax(axis=1) == labels
    among_novel = novel_scores[is_novel].argmax(axis=1) + num_base == labels[is_novel]
    return Accuracies(
        novel=float(among_novel.mean()),
        novel_among_all=float(right[is_novel].mean()),
        base_among_all=float(right[~is_novel].mean()),
        all=float(right.mean()),
    )


def templates(examples: Embedded, first: int, last: int) -> np.ndarray:
    """The class vectors that classes first up to last, without it, are imprinted with.

    The mean of the embeddings, each averaged over the image's views, brought to unit length (arXiv
    1712.07136, section 3.2).

    Returns:
      float32 [last - first, d].
    """
    vectors = examples.averaged
    means = [vectors[examples.labels == label].mean(axis=0) for label in range(first, last)]
    return unit_vectors.unit(np.stack(means))


def imprint(task: Task) -> Classifier:
    """The base's class vectors, and templates of the novel classes."""
    novel = templates(task.examples, task.num_base, task.num_classes)
    return _cosines(np.concatenate([task.base_vectors, novel]))


def nearest_neighbour(task: Task) -> Classifier:
    """The class of the example that is nearest."""
    examples, labels = task.examples.plain, task.examples.labels

    def classify(embeddings: np.ndarray) -> np.ndarray:
        cosines = embeddings @ examples.T
        return np.stack(
            [cosines[:, labels == label].max(axis=1) for label in range(task.num_classes)], axis=1
        )

    return classify


def imprint_and_fine_tune(task: Task) -> Classifier:
    """As `imprint`, then fine-tuned (arXiv 1712.07136, section 3.3)."""
    novel = templates(task.examples, task.num_base, task.num_classes)
    return _cosines(_fine_tuned(task, np.concatenate([task.base_vectors, novel])))


def fine_tune_random(task: Task) -> Classifier:
    """The base's class vectors, and random ones for the novel classes, fine-tuned."""
    random = np.random.default_rng(task.seed)
    count = task.num_classes - task.num_base
    novel = unit_vectors.unit(random.normal(size=[count, task.base_vectors.shape[1]]))
    return _cosines(_fine_tuned(task, np.concatenate([task.base_vectors, novel])))


# By the names that tables give them.
METHODS: dict[str, Method] = {
    "nearest neighbour": nearest_neighbour,
    "random + fine-tuning": fine_tune_random,
    "imprinting": imprint,
    "imprinting + fine-tuning": imprint_and_fine_tune,
}


def _cosines(vectors: np.ndarray) -> Classifier:
    return lambda embeddings: embeddings @ vectors.T


def _fine_tuned(task: Task, vectors: np.ndarray) -> np.ndarray:
    """Class vectors, trained on all examples, in which each class weighs as much as any other."""
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
