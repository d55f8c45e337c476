"""Runs a classifier whose classes change: the extractor stays loaded, and only the head is new."""

from typing import Any, NamedTuple

import numpy as np

from imprinting.tflite import model_file, model_graph, split
from imprinting.tflite.inference import Kernels, Runner
from imprinting.tflite.model_graph import Model, Tensor


class Result(NamedTuple):
    """What a classifier says about an image.

    Attributes:
      probabilities: float32 [classes].
      embedding: float32 [d], of unit length up to rounding to quanta.
    """

    probabilities: np.ndarray
    embedding: np.ndarray


class HeadRunner:
    """A classifier in two interpreters, that of the extractor and that of the head.

    Attributes:
      image_size: height and width of the input, in pixels.
    """

    def __init__(self, classifier: Model, *, delegate: Any = None, threads: int = 1) -> None:
        """Prepares a classifier.

        Args:
          classifier: quantised, with one L2_NORMALIZATION, on a processor or, up to this operator,
            on an Edge TPU.
          delegate: computes what is compiled; see `inference.delegate`.
          threads: the number of the interpreter's threads.

        Raises:
          ValueError: if the interpreter refuses the model, or it has another form.
        """
        parts = split.split(classifier)
        self._extractor = Runner(
            model_file.serialise(parts.extractor),
            kernels=Kernels.DEFAULT,
            edge_tpu=delegate,
            threads=threads,
        )
        (image,) = model_graph.graph(classifier).inputs
        self.image_size = image.shape[1]
        self._head, self._outputs = _head(parts.head)

    def replace_head(self, classifier: Model) -> None:
        """Takes the head of a classifier with the same extractor."""
        self._head, self._outputs = _head(split.split(classifier).head)

    def run(self, image: np.ndarray) -> Result:
        """Runs the classifier.

        Args:
          image: uint8 [image_size, image_size, 3].
        """
        (features,) = self._extractor.run(image)
        values = self._head.run(features)
        probabilities, embedding = (
            tensor.dequantise(quanta.reshape(-1))
            for tensor, quanta in zip(self._outputs, values, strict=True)
        )
        return Result(probabilities, embedding)


def _head(head: Model) -> tuple[Runner, tuple[Tensor, Tensor]]:
    graph = model_graph.graph(head)
    (normalisation,) = graph.named("L2_NORMALIZATION")
    outputs = graph.outputs[0], normalisation.outputs[0]
    subgraph = model_file.changed(head.subgraphs[0], outputs=[tensor.index for tensor in outputs])
    data = model_file.serialise(model_file.changed(head, subgraphs=[subgraph]))
    return Runner(data, kernels=Kernels.DEFAULT), outputs
