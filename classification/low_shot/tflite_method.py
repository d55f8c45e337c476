"""Imprinting into a .tflite, whose own last layers then classify the images, as for a user."""

import numpy as np

from classification.low_shot.protocol import Classifier, Task
from imprinting.embedding import unit_vectors
from imprinting.tflite import class_vectors, inference, model_graph, split
from imprinting.tflite.imprinting import ImprintingEngine
from imprinting.tflite.inference import Kernels
from imprinting.tflite.model_graph import Model


class Deployed:
    """The method `protocol.imprint`, computed by a quantised .tflite."""

    def __init__(self, tflite_model: Model, *, kernels: Kernels = Kernels.DEFAULT):
        """Creates the method.

        Args:
          tflite_model: a .tflite whose classes are those of the base.
          kernels: the interpreter's kernels.
        """
        self._model = tflite_model
        self._kernels = kernels

    def __call__(self, task: Task) -> Classifier:
        """Imprints the novel classes after those of the base, or alone if there is no base.

        Raises:
          ValueError: if the model and the base have different numbers of classes.
        """
        engine = ImprintingEngine(self._model, keep_classes=task.num_base > 0)
        if engine.num_classes != task.num_base:
            raise ValueError(
                f"expected a model of the {task.num_base} base classes, got one of "
                f"{engine.num_classes}"
            )
        vectors, labels = task.novel.averaged, task.novel.labels
        for label in range(task.num_base, task.num_classes):
            engine.add(label, vectors[labels == label])
        return classifier(engine.build().tflite_model, kernels=self._kernels)


def classifier(tflite_model: Model, *, kernels: Kernels = Kernels.DEFAULT) -> Classifier:
    """Classifies embeddings by a model's own last layers: probabilities, uint8 [n, classes].

    Args:
      tflite_model: a classifier, with extractor and head.
      kernels: the interpreter's kernels.
    """
    head = split.at_embedding(tflite_model).head
    (embedding,) = model_graph.graph(head).inputs
    (scale,), (zero_point,) = embedding.scales, embedding.zero_points

    def classify(embeddings: np.ndarray) -> np.ndarray:
        quanta = np.clip(np.rint(embeddings / scale + zero_point), 0, 255).astype(np.uint8)
        shaped = quanta[:, np.newaxis, np.newaxis, :]
        (probabilities,) = inference.run(head, shaped, kernels=kernels)
        return probabilities

    return classify


def base_vectors(tflite_model: Model) -> np.ndarray:
    """The class vectors of a model, brought to unit length, float32 [classes, d]."""
    return unit_vectors.unit(class_vectors.read(tflite_model))
