"""The head of a checkpoint's network as numbers that can be fitted, and values of another head."""

from collections.abc import Mapping

import numpy as np

from classification.deployment import head_values
from classification.nets import networks
from classification.nets.model_config import ModelConfig
from imprinting.embedding import unit_vectors
from imprinting.embedding.fit import Kept
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.new_classes.embedding_fit import Fit, Head

_GREATEST_SCALE_FACTOR = 100.0


def read(values: Mapping[str, np.ndarray], model: ModelConfig, *, keep_classes: bool) -> Head:
    """Reads the head.

    A checkpoint does not say which of its classes were imprinted: they count as trained.

    Args:
      values: those of the network's variables, by name.
      model: the network.
      keep_classes: whether its classes are kept.

    Raises:
      ValueError: if `LinearEmbedding.of_layer` refuses the embedding.
    """
    names = networks.get(model.network).names
    kernel = values[names.embedding_kernel][0, 0].T.astype(np.float64)
    biases = values[names.embedding_biases].astype(np.float64)
    vectors = unit_vectors.unit(values[names.class_vectors][0, 0].T)
    if not keep_classes:
        vectors = vectors[:0]
    count = len(vectors)
    return Head(
        LinearEmbedding.of_layer(kernel, biases),
        Kept(vectors, np.zeros(count, bool)),
        np.ones(count, bool),
        float(values[names.scale_factor]),
        _GREATEST_SCALE_FACTOR,
    )


def fitted(values: Mapping[str, np.ndarray], model: ModelConfig, fit: Fit) -> dict[str, np.ndarray]:
    """The values with a fitted head, and with its ranges if the network is quantised.

    Args:
      values: those of the network's variables, by name.
      model: the network.
      fit: what to change.
    """
    names = networks.get(model.network).names
    changed = {**values, names.scale_factor: np.array(fit.scale_factor, np.float32)}
    if fit.embedding is None:
        return changed
    vectors = fit.vectors
    if not len(vectors):
        vectors = values[names.class_vectors][0, 0].T
    head = head_values.Head(fit.embedding, (-fit.reach, fit.reach), vectors)
    new = head_values.values(head, model, head_values.Calibration(fit.scale_factor, 1.0))
    return {name: new.get(name, value) for name, value in changed.items()}
