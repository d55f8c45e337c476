"""How far a .tflite agrees with the graph that it was made of, over real images.

The graph is the frozen one, not folded, run by TensorFlow on (q - 128) / 128 for pixels q.
Of a quantised model the following is measured, once with the reference kernels and once
with the default ones:

- logits, in quanta of the .tflite's logits: the absolute difference at the 99th percentile
  of all images and classes, and the largest;
- the embedding: the cosine between the two, on average, on the worst image, and on average over
  the worst eighth of the images, which a single one does not decide;
- top-1: the fraction of images on which the same class is first, by the logits: a
  softmax in uint8 ties easily. Logits tie as well, being multiples of a quantum on both
  sides; which of equal ones comes first means nothing. So an image counts where one of the
  classes that the .tflite has first is one of those that the graph has first. How many
  images have several first on either side is told, too.

These limits give way where the network's own noise is above them (noise.py).

Of a float model: the largest absolute difference of probabilities, and that of embedding
and logits in proportion to the largest absolute value.
"""

import concurrent.futures
import dataclasses
import os

import numpy as np
import tensorflow.compat.v1 as tf

from transforms.base import pixel_scaling
from transforms.conversion import graph_file
from transforms.conversion.inference import Kernels, run
from transforms.tflite import model_graph
from transforms.tflite.model_graph import Graph, Model

MIN_IMAGES = 64

# Somewhat below 512, for the rounding of logits.
_MAX_SUM = 500

# Reference kernels take ten times as long: the parts are joined over that many images.
_JOINED_BY_REFERENCE = 4


@dataclasses.dataclass(frozen=True)
class Figure:
    """Something measured, and what it must be.

    Attributes:
      name: what it is called in the report.
      says: what it is, as a part of a sentence.
      value: what was measured.
      limit: what it must keep; None where it is only told.
      at_least: whether the limit is the lowest allowed, not the highest.
      among: the same of the reference kernels against the default ones; see `noise`.
    """

    name: str
    says: str
    value: float
    limit: float | None = None
    at_least: bool = False
    among: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the limit is kept; what is no number keeps none."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def bound(self) -> str:
        """The limit in words."""
        if self.limit is None:
            return ""
        return f"at {'least' if self.at_least else 'most'} {self.limit:g}"

    def __str__(self) -> str:
        """A sentence: what was expected, and what came."""
        text = f"{self.name}: expected {self.says} to be {self.bound}, got {self.value:.5g}"
        if self.among is None:
            return text
        return f"{text}; reference and default kernels among themselves: {self.among:.5g}"


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a graph or a model computes of n images, as real numbers, float32.

    Attributes:
      embedding: [n, d].
      logits: [n, classes].
      probabilities: [n, classes].
    """

    embedding: np.ndarray
    logits: np.ndarray
    probabilities: np.ndarray


def check_images(images: np.ndarray, model: Model) -> None:
    """Raises a ValueError where images are not uint8 [n, s, s, 3] for a model, n >= 64."""
    (image,) = model_graph.graph(model).inputs
    if images.dtype != np.uint8 or images.shape[1:] != image.shape[1:]:
        raise ValueError(
            f"expected images as uint8 [n, {', '.join(map(str, image.shape[1:]))}], as the "
            f"model's input, got {images.dtype.name} {list(images.shape)}"
        )
    if len(images) < MIN_IMAGES:
        raise ValueError(f"expected at least {MIN_IMAGES} images to check with, got {len(images)}")


def graph_outputs(graph_def: tf.GraphDef, images: np.ndarray) -> Outputs:
    """What TensorFlow computes by a classifier's frozen graph, one image at once.

    Args:
      graph_def: the graph; see `graph_file.find`.
      images: uint8 [n, s, s, 3].

    Raises:
      ValueError: if the graph is not frozen, or cannot be run on the images.
    """
    graph_file.require_frozen(graph_def)
    classifier = graph_file.find(graph_def)
    names = [classifier.embedding, classifier.logits, classifier.output]
    workers = os.cpu_count() or 1
    # A convolution on one thread adds up in the same order on every machine.
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=workers)
    with tf.Graph().as_default(), tf.Session(config=config) as session:
        try:
            tf.import_graph_def(graph_def, name="")
            call = session.make_callable(names, feed_list=[classifier.input])
            with concurrent.futures.ThreadPoolExecutor(workers) as pool:
                done = list(pool.map(call, pixel_scaling.to_real(images)[:, np.newaxis]))
        except (ValueError, tf.errors.OpError) as error:
            raise ValueError(f"expected a graph that runs on the images: {error}") from error
    return Outputs(*(np.concatenate(v).reshape(len(images), -1) for v in zip(*done, strict=True)))


class Run:
    """What a .tflite computes of images with some kernels: its quanta, and real numbers."""

    def __init__(self, model: Model, images: np.ndarray, *, kernels: Kernels) -> None:
        """Runs a classifier, whole; for images, see `check_images`.

        Raises:
          ValueError: if it lacks an L2_NORMALIZATION or a softmax.
        """
        graph = model_graph.graph(model)
        tensors = [_embedding(graph), _logits(graph), graph.outputs[0]]
        values = run(
            model, _inputs(graph, images), kernels=kernels, fetch=[t.index for t in tensors]
        )
        real = [t.dequantise(v) for t, v in zip(tensors, values, strict=True)]
        self.kernels = kernels
        self.logits_quantum = tensors[1].scales[0] if tensors[1].scales else None
        self.embedding, _, self.probabilities = values
        self.real = Outputs(*(v.reshape(len(images), -1) for v in real))


def require_peaks(logits: np.ndarray) -> None:
    """Raises a ValueError for logits [n, classes] that TFLite's reference softmax cannot take.

    Of uint8 logits it ends the process where the sum of exp(logit - highest logit) is 512 or
    more, for which its 31 bits are too few: where no class has a probability above 1/512.
    """
    sums = np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)
    if sums.max() >= _MAX_SUM:
        raise ValueError(
            f"expected a network that tells classes apart, got one whose most likely class has a "
            f"probability of {1 / sums.max():.2g} on some image, too little for TFLite's reference "
            "softmax in uint8: train it for longer, or with fewer classes"
        )


def compare(got: Outputs, expected: Outputs, *, logits_quantum: float | None) -> list[Figure]:
    """Compares what a .tflite computes with what the graph does; see the module's text.

    Args:
      got: of the .tflite.
      expected: of the graph.
      logits_quantum: the scale of the .tflite's logits; None for a float model.
    """
    if logits_quantum is None:
        return _float(got, expected)
    return _quantised(got, expected, logits_quantum)


def joined(got: Run, extractor: Model, head: Model, images: np.ndarray) -> Figure:
    """Whether extractor and head, one behind the other, give the model's own output.

    Args:
      got: the model, run on the images.
      extractor: from the images to the embedding.
      head: from the embedding to the probabilities.
      images: uint8 [n, s, s, 3].

    Returns:
      The number of differing values, of embeddings and probabilities, which must be 0.

    Raises:
      ValueError: if the extractor's output is not of the kind of the head's input.
    """
    ends = [model_graph.graph(extractor).outputs[0], model_graph.graph(head).inputs[0]]
    if str(ends[0]) != str(ends[1]):
        raise ValueError(
            f"expected the head's input to be the extractor's output, {ends[0]}, got {ends[1]}"
        )
    if got.kernels is Kernels.REFERENCE:
        images = images[:_JOINED_BY_REFERENCE]
    inputs = _inputs(model_graph.graph(extractor), images)
    (embedding,) = run(extractor, inputs, kernels=got.kernels)
    (probabilities,) = run(head, embedding, kernels=got.kernels)
    differing = np.sum(embedding != got.embedding[: len(images)])
    differing += np.sum(probabilities != got.probabilities[: len(images)])
    return Figure(
        "parts_differing",
        "the number of values in which extractor and head differ from the model "
        f"(with the reference kernels, on {_JOINED_BY_REFERENCE} images)",
        int(differing),
        0,
    )


def _quantised(got: Outputs, expected: Outputs, quantum: float) -> list[Figure]:
    quanta = np.abs(got.logits - expected.logits) / quantum
    norms = np.linalg.norm(got.embedding, axis=1) * np.linalg.norm(expected.embedding, axis=1)
    # An embedding of nothing but zeros has no direction: it is not like any other.
    cosines = np.sum(got.embedding * expected.embedding, axis=1) / np.maximum(norms, 1e-9)
    first = [o.logits == o.logits.max(axis=1, keepdims=True) for o in (got, expected)]
    equal = np.any(first[0] & first[1], axis=1)
    tied = np.any([np.sum(f, axis=1) > 1 for f in first], axis=0)
    return [
        Figure(
            "logits_p99",
            "the logits' difference at the 99th percentile, in quanta,",
            float(np.percentile(quanta, 99)),
            5,
        ),
        Figure("logits_max", "the logits' largest difference, in quanta,", float(quanta.max())),
        Figure(
            "embedding_cosine_mean",
            "the embedding's cosine on average",
            float(cosines.mean()),
            0.999,
            at_least=True,
        ),
        Figure(
            "embedding_cosine_worst",
            "the embedding's cosine on the worst image",
            float(cosines.min()),
            0.995,
            at_least=True,
        ),
        Figure(
            "embedding_cosine_worst_eighth",
            "the embedding's cosine on the worst eighth of the images, on average,",
            float(np.sort(cosines)[: -(-len(cosines) // 8)].mean()),
            0.995,
            at_least=True,
        ),
        Figure(
            "top1_equal",
            "the fraction of images on which the same class is first",
            float(equal.mean()),
            0.97,
            at_least=True,
        ),
        Figure(
            "top1_tied", "the fraction of images with several classes first", float(tied.mean())
        ),
    ]


def _float(got: Outputs, expected: Outputs) -> list[Figure]:
    def largest(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(a - b).max())

    return [
        Figure(
            "probabilities_max",
            "the probabilities' largest difference",
            largest(got.probabilities, expected.probabilities),
            1e-4,
        ),
        Figure(
            "embedding_max",
            "the embedding's largest difference, in proportion,",
            largest(got.embedding, expected.embedding) / float(np.abs(expected.embedding).max()),
            1e-4,
        ),
        Figure(
            "logits_max",
            "the logits' largest difference, in proportion,",
            largest(got.logits, expected.logits) / float(np.abs(expected.logits).max()),
            1e-4,
        ),
    ]


def _inputs(graph: Graph, images: np.ndarray) -> np.ndarray:
    return images if graph.inputs[0].type == "UINT8" else pixel_scaling.to_real(images)


def _embedding(graph: Graph) -> model_graph.Tensor:
    found = graph.named("L2_NORMALIZATION")
    if len(found) != 1:
        raise ValueError(f"expected a model with one L2_NORMALIZATION, got {len(found)}")
    return found[0].outputs[0]


def _logits(graph: Graph) -> model_graph.Tensor:
    last = graph.operators[-1]
    logits = last.input(0)
    if last.name != "SOFTMAX" or logits is None:
        raise ValueError(f"expected a model that ends in a SOFTMAX, got one in {last.name}")
    return logits
