"""Sources of embeddings to learn from: a .tflite, or a checkpoint's network."""

import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Generator, Mapping, Sequence
from typing import Protocol

import numpy as np

from classification.deployment import deployable
from classification.imprinting import checkpoint_imprinting
from classification.low_shot import tflite_method
from classification.low_shot.protocol import Classifier, Method
from classification.nets import networks
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from imprinting.embedding import unit_vectors
from imprinting.new_classes import tflite_embedder
from imprinting.tflite import class_vectors, inference, metadata, model_file, split
from imprinting.tflite.imprinting import ImprintingEngine
from imprinting.tflite.model_graph import Model

# The name of a network with quantised kernels whose activations are not rounded.
UNROUNDED = "float activations"


class Compute(Protocol):
    """Computes embeddings of one image file after another."""

    def __call__(
        self, paths: Sequence[str], *, views: int
    ) -> Generator[np.ndarray | str, None, None]:
        """Yields those of each file, float32 [views, d], or the reason why it cannot be read."""


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A network that knows the base classes.

    Attributes:
      name: its name in tables.
      path: the file or folder that it is from, in errors.
      labels: the names of its classes.
      vectors: its class vectors, float [classes, d] of unit length.
      scale: its scale factor.
      key: everything that its embeddings depend on, except the images.
      compute: computes embeddings.
      classify: its own answers for embeddings, before classes are added.
      deployed: imprinting by its own last layers; None if they compute what all methods compute.
    """

    name: str
    path: str
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
        tflite_model = inference.verify(data, compiled=False)
        # Refuses models that cannot be imprinted into.
        ImprintingEngine(tflite_model, keep_classes=True)
        labels = metadata.labels_of(data, tflite_model)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if labels is None:
        raise ValueError(
            f"{path}: expected a model that carries its classes' names, got one without labels; "
            "./bazelw build frozen_tflite makes one of a checkpoint whose model.json has them"
        )
    return Source(
        name=".tflite",
        path=path,
        labels=labels,
        vectors=tflite_method.base_vectors(tflite_model),
        scale=class_vectors.scale_factor(tflite_model),
        key=_model_key(tflite_model),
        compute=functools.partial(_embeddings, tflite_model),
        classify=tflite_method.classifier(tflite_model),
        deployed=tflite_method.Deployed(tflite_model),
    )


def of_checkpoint(checkpoint: Checkpoint, model: ModelConfig) -> list[Source]:
    """A checkpoint's network; if it is quantised, also the same without rounding activations.

    Args:
      checkpoint: the checkpoint.
      model: its network, with labels.

    Raises:
      ValueError: if it cannot be read, is of another network or has no labels.
    """
    if model.labels is None:
        raise ValueError(
            f"expected a checkpoint whose model.json names its classes, got {checkpoint}; train on "
            "data that has a labels.txt"
        )
    values, path = deployable.read_values(checkpoint, model), str(checkpoint)
    sources = [_of_values("checkpoint", path, values, model, round_activations=True)]
    if model.quantize:
        sources.append(_of_values(UNROUNDED, path, values, model, round_activations=False))
    return sources


def _of_values(
    name: str,
    path: str,
    values: Mapping[str, np.ndarray],
    model: ModelConfig,
    *,
    round_activations: bool,
) -> Source:
    names = networks.get(model.network).names
    network = (model.image_size, model.depth_multiplier, model.quantize, round_activations)
    # The network itself is in the names of the variables.
    digest = hashlib.sha256(repr(network).encode())
    for variable in sorted(values):
        if not variable.startswith(names.classes):
            digest.update(variable.encode() + values[variable].tobytes())
    vectors = unit_vectors.unit(values[names.class_vectors][0, 0].T)
    return Source(
        name=name,
        path=path,
        labels=model.labels or (),
        vectors=vectors,
        scale=float(values[names.scale_factor]),
        key=digest.digest(),
        compute=functools.partial(
            checkpoint_imprinting.each, values, model, round_activations=round_activations
        ),
        classify=lambda embeddings: embeddings @ vectors.T,
    )


def _embeddings(
    tflite_model: Model, paths: Sequence[str], *, views: int
) -> Generator[np.ndarray | str, None, None]:
    """See `Compute`."""
    place = split.at_embedding(tflite_model).place
    found = tflite_embedder.each(tflite_model, [place], paths, views=views)
    with contextlib.closing(found):
        for values in found:
            yield values if isinstance(values, str) else values[0]


def _model_key(tflite_model: Model) -> bytes:
    return model_file.serialise(split.at_embedding(tflite_model).extractor)
