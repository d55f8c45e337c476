"""Runs a .tflite and the graph that it was made from on images, to compare them.

TensorFlow runs the frozen graph, before folding, on (q - 128) / 128 for pixels q. The .tflite runs
with the reference kernels or the default ones. `agreement_figures` compares the outputs.
"""

import concurrent.futures
import os

import numpy as np
import tensorflow.compat.v1 as tf

from imprinting.base import pixel_scaling
from imprinting.tflite import model_graph
from imprinting.tflite.inference import Kernels, run
from imprinting.tflite.model_graph import Graph, Model
from transforms.conversion import graph_file
from transforms.conversion.agreement_figures import Figure, Outputs

MIN_IMAGES = 64

# The number of images for running the parts with the reference kernels, which are ten times slower.
_JOINED_BY_REFERENCE = 4


def check_images(images: np.ndarray, tflite_model: Model) -> None:
    """Checks that images fit a model's input.

    Raises:
      ValueError: if they are not uint8 [n, s, s, 3] with the model's s, and n at least 64.
    """
    (image,) = model_graph.graph(tflite_model).inputs
    if images.dtype != np.uint8 or images.shape[1:] != image.shape[1:]:
        raise ValueError(
            f"expected images as uint8 [n, {', '.join(map(str, image.shape[1:]))}], which the "
            f"model takes, got {images.dtype.name} {list(images.shape)}"
        )
    if len(images) < MIN_IMAGES:
        raise ValueError(f"expected at least {MIN_IMAGES} images to check with, got {len(images)}")


def graph_outputs(graph_def: tf.GraphDef, images: np.ndarray) -> Outputs:
    """Runs a classifier's frozen graph in TensorFlow, one image at a time.

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
    # With one thread, a convolution adds numbers in the same order on every machine.
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=workers)
    with tf.Graph().as_default(), tf.Session(config=config) as session:
        try:
            tf.import_graph_def(graph_def, name="")
            call = session.make_callable(names, feed_list=[classifier.input])
            with concurrent.futures.ThreadPoolExecutor(workers) as pool:
                done = list(pool.map(call, pixel_scaling.to_real(images)[:, np.newaxis]))
        except (ValueError, tf.errors.OpError) as error:
            raise ValueError(f"expected a graph that runs on the images, got {error}") from error
    return Outputs(*(np.concatenate(v).reshape(len(images), -1) for v in zip(*done, strict=True)))


class Run:
    """The outputs of a TFLite classifier for images, with one kind of kernels.

    Attributes:
      kernels: the kernels that it was run with.
      logits_quantum: the scale of its logits; None for a float model.
      features: the embedding before its normalisation, [n, 1, 1, d], quanta if the model is
        quantised.
      probabilities: [n, classes], likewise.
      real: all outputs as real numbers.
    """

    def __init__(self, tflite_model: Model, images: np.ndarray, *, kernels: Kernels) -> None:
        """Runs a classifier, extractor and head in one; for images, see `check_images`.

        Raises:
          ValueError: if it lacks an L2_NORMALIZATION or a softmax.
        """
        graph = model_graph.graph(tflite_model)
        features, embedding = _normalisation(graph)
        tensors = [embedding, _logits(graph), graph.outputs[0]]
        values = run(
            tflite_model,
            _inputs(graph, images),
            kernels=kernels,
            fetch=[t.index for t in (*tensors, features)],
        )
        self.features = values.pop()
        real = [t.dequantise(v) for t, v in zip(tensors, values, strict=True)]
        self.kernels = kernels
        self.logits_quantum = tensors[1].scales[0] if tensors[1].scales else None
        self.probabilities = values[-1]
        self.real = Outputs(*(v.reshape(len(images), -1) for v in real))


def joined(got: Run, extractor: Model, head: Model, images: np.ndarray) -> Figure:
    """Checks that extractor and head, one after the other, give the same output as the model.

    Args:
      got: the model's outputs for the images.
      extractor: from the images to the embedding before its normalisation.
      head: from there to the probabilities.
      images: uint8 [n, s, s, 3].

    Returns:
      The number of values of embeddings, before their normalisation, and of probabilities that
      differ; its limit is 0.

    Raises:
      ValueError: if the extractor's output and the head's input have another type, shape or scale.
    """
    ends = [model_graph.graph(extractor).outputs[0], model_graph.graph(head).inputs[0]]
    if str(ends[0]) != str(ends[1]):
        raise ValueError(
            f"expected the head's input to be the extractor's output, {ends[0]}, got {ends[1]}"
        )
    if got.kernels is Kernels.REFERENCE:
        images = images[:_JOINED_BY_REFERENCE]
    inputs = _inputs(model_graph.graph(extractor), images)
    (features,) = run(extractor, inputs, kernels=got.kernels)
    (probabilities,) = run(head, features, kernels=got.kernels)
    differing = np.sum(features != got.features[: len(images)])
    differing += np.sum(probabilities != got.probabilities[: len(images)])
    return Figure(
        "parts_differing",
        "the number of values in which extractor and head differ from the model "
        f"(with the reference kernels, on {_JOINED_BY_REFERENCE} images)",
        int(differing),
        0,
    )


def _inputs(graph: Graph, images: np.ndarray) -> np.ndarray:
    return images if graph.inputs[0].type == "UINT8" else pixel_scaling.to_real(images)


def _normalisation(graph: Graph) -> tuple[model_graph.Tensor, model_graph.Tensor]:
    """The input and the output of the L2_NORMALIZATION."""
    found = graph.named("L2_NORMALIZATION")
    if len(found) != 1:
        raise ValueError(f"expected a model with one L2_NORMALIZATION, got {len(found)}")
    before = found[0].input(0)
    assert before is not None
    return before, found[0].outputs[0]


def _logits(graph: Graph) -> model_graph.Tensor:
    last = graph.operators[-1]
    logits = last.input(0)
    if last.name != "SOFTMAX" or logits is None:
        raise ValueError(
            f"expected a model that ends in a SOFTMAX, got one that ends in {last.name}"
        )
    return logits
