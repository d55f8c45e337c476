"""Sources of embeddings to learn from: a .tflite, or a checkpoint's network."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from classification.deployment import deployable
from classification.imprinting import checkpoint_imprinting, tflite_embedder, unit_vectors
from classification.low_shot import tflite_method
from classification.low_shot.protocol import Classifier, Method
from classification.nets import checkpoints
from classification.nets.model_config import ModelConfig
from classification.nets.variable_names import CLASS_VECTORS, CLASSES, SCALE_FACTOR
from transforms.tflite import metadata, model_file, split
from transforms.tflite.imprinting import ImprintingEngine
from transforms.tflite.model_graph import Model

# The name of a network with quantised kernels whose activations are not rounded.
UNROUNDED = "float activations"


class Compute(Protocol):
    """Computes embeddings, as `tflite_embedder.embed` returns them."""

    def __call__(
        self,
        paths: list[str],
        *,
        views: int = 1,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> tuple[np.ndarray, dict[int, str]]:
        """See `tflite_embedder.embed`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A network that knows the base classes.

    Attributes:
      name: its name in tables.
      labels: the names of its classes.
      vectors: its class vectors, float [classes, d] of unit length.
      scale: its scale factor.
      key: everything that its embeddings depend on, except the images.
      compute: computes embeddings.
      classify: its own answers for embeddings, before classes are added.
      deployed: imprinting by its own last layers; None if they compute what all methods compute.
    """

    name: str
    labels: tuple[str, ...]
    vectors: np.ndarray
    scale: float
    key: bytes
    compute: Compute
    classify: Classifier
    deployed: Method | None = None


def of_model(path: str) -> Source:
    """The source that is a .tflite.

    Raises:
      OSError: if it cannot be read.
      ValueError: if it cannot be imprinted into, or has no labels; names the file.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        model = model_file.parse(data)
        # Refuses models that cannot be imprinted into.
        ImprintingEngine(model, keep_classes=True)
        labels = metadata.labels_of(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if labels is None:
        raise ValueError(
            f"{path}: expected a model that carries its classes' names, got one without labels; "
            "./bazelw build frozen_tflite makes one of a checkpoint whose model.json has them"
        )
    return Source(
        name=".tflite",
        labels=labels,
        vectors=tflite_method.base_vectors(model),
        scale=tflite_method.scale_factor(model),
        key=_model_key(model),
        compute=functools.partial(tflite_embedder.embed, model),
        classify=tflite_method.classifier(model),
        deployed=tflite_method.Deployed(model),
    )


def of_checkpoint(path: str, config: ModelConfig) -> list[Source]:
    """A checkpoint's network; if it is quantised, also the same without rounding activations.

    Args:
      path: see `checkpoints.find`.
      config: the network, with labels.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if it cannot be read, is of another network or has no labels.
    """
    if config.labels is None:
        raise ValueError(
            f"expected a checkpoint whose model.json names its classes, got {path}; train on data "
            "that has a labels.txt"
        )
    values = deployable.read_values(checkpoints.find(path), config)
    sources = [_of_values("checkpoint", values, config, round_activations=True)]
    if config.quantize:
        sources.append(_of_values(UNROUNDED, values, config, round_activations=False))
    return sources


def _of_values(
    name: str, values: Mapping[str, np.ndarray], config: ModelConfig, *, round_activations: bool
) -> Source:
    network = (config.image_size, config.depth_multiplier, config.quantize, round_activations)
    digest = hashlib.sha256(repr(network).encode())
    for variable in sorted(values):
        if not variable.startswith(CLASSES):
            digest.update(variable.encode() + values[variable].tobytes())
    vectors = unit_vectors.unit(values[CLASS_VECTORS][0, 0].T)
    return Source(
        name=name,
        labels=config.labels or (),
        vectors=vectors,
        scale=float(values[SCALE_FACTOR]),
        key=digest.digest(),
        compute=functools.partial(
            checkpoint_imprinting.embed, values, config, round_activations=round_activations
        ),
        classify=lambda embeddings: embeddings @ vectors.T,
    )


def _model_key(model: Model) -> bytes:
    return model_file.serialise(split.split(model).extractor)
