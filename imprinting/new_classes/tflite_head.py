"""The head of a .tflite as numbers that can be fitted, and a .tflite with another head."""

from collections.abc import Collection

import numpy as np

from imprinting.embedding import unit_vectors
from imprinting.embedding.fit import Kept
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.new_classes.embedding_fit import Fit, Head
from imprinting.tflite import class_vectors, embedding_layer
from imprinting.tflite.imprinting import ImprintingEngine
from imprinting.tflite.model_graph import Model

# Between a class's vector and its quantised form. With a range of -0.5 to 0.5 and 1,280 components,
# it is 0.999.
_LEAST_COSINE = 0.98


def read(tflite_model: Model, engine: ImprintingEngine, changing: Collection[int]) -> Head:
    """Reads the head.

    Args:
      tflite_model: a quantised classifier.
      engine: the classes that it keeps.
      changing: the numbers of those to which photos are added.

    Raises:
      ValueError: if the model has no embedding layer, or one that does not keep features apart.
    """
    count = engine.num_classes
    vectors = class_vectors.read(tflite_model)[:count]
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    imprinted = np.array([engine.is_imprinted(number) for number in range(count)], bool)
    competing = np.array([number not in changing for number in range(count)], bool)
    return Head(
        read_embedding(tflite_model),
        Kept(vectors, imprinted),
        competing,
        class_vectors.scale_factor(tflite_model),
        class_vectors.greatest_scale_factor(tflite_model),
    )


def read_embedding(tflite_model: Model) -> LinearEmbedding:
    """Reads the embedding of a model, which must have a layer for it.

    Raises:
      ValueError: if it has none, or one that `LinearEmbedding.of_layer` refuses.
    """
    layer = embedding_layer.read(tflite_model)
    return LinearEmbedding.of_layer(layer.kernel, layer.biases)


def fitted(tflite_model: Model, fit: Fit) -> Model:
    """The model with a fitted head; everything before its embedding stays byte for byte.

    Args:
      tflite_model: the model that the fit started from.
      fit: what to change.

    Raises:
      ValueError: if the range of the last kernel cannot hold the vectors of kept classes.
    """
    if fit.embedding is not None:
        kernel, mean = fit.embedding.kernel, fit.embedding.mean
        tflite_model = embedding_layer.replaced(
            tflite_model, kernel, -kernel @ mean, reach=fit.reach
        )
        rows = class_vectors.read(tflite_model).astype(np.float64)
        rows[: len(fit.vectors)] = fit.vectors
        tflite_model = class_vectors.replaced(tflite_model, rows)
        quantised = class_vectors.read(tflite_model)[: len(fit.vectors)]
        cosines = (unit_vectors.unit(quantised) * fit.vectors).sum(axis=1)
        if len(cosines) and cosines.min() < _LEAST_COSINE:
            raise ValueError(
                "expected a last kernel whose range holds the vectors of kept classes in a fitted "
                f"embedding, got one that changes one of them to a cosine of {cosines.min():.3f}"
            )
    if fit.scale_factor != class_vectors.scale_factor(tflite_model):
        tflite_model = class_vectors.with_scale_factor(tflite_model, fit.scale_factor)
    return tflite_model
