"""Splits a TFLite model at its embedding: the Edge TPU's compiler needs the first part alone.

The embedding is normalised by an L2_NORMALIZATION. For the compiler, a model is split before it. An
on-device imprinting engine looks for this operator, and in a compiled extractor it would be hidden.
"""

import dataclasses
from collections.abc import Sequence

from imprinting.tflite import model_file, model_graph
from imprinting.tflite.model_graph import Model, Operator


@dataclasses.dataclass(frozen=True)
class Parts:
    """The two parts of a model; one after the other, they compute the same as the model.

    Attributes:
      extractor: from the image to the tensor where the model is split, [1, 1, 1, d], its only
        output.
      head: from this tensor to the model's outputs.
      place: the index of this tensor in the model.
    """

    extractor: Model
    head: Model
    place: int


def split(tflite_model: Model) -> Parts:
    """Splits a model before its L2_NORMALIZATION, with which the head begins.

    Weights, scales and zero points do not change. The parts have no description, no signatures, and
    no metadata except the version of the runtime that they need.

    Raises:
      ValueError: if there is not exactly one L2_NORMALIZATION, if the model begins with it, or if
        an operator after it needs another tensor from before it.
    """
    normalisation = _normalisation(tflite_model)
    place = normalisation.inputs[0]
    if place is None or place.index in model_graph.indices(tflite_model.subgraphs[0].inputs):
        raise ValueError("expected a model that begins before its L2_NORMALIZATION, got a head")
    return at(tflite_model, place.index)


def at_embedding(tflite_model: Model) -> Parts:
    """Splits a model after its L2_NORMALIZATION, to compute embeddings or to classify them.

    Earlier versions split the products there.

    Raises:
      ValueError: if there is not exactly one L2_NORMALIZATION, if the model ends with it, or if an
        operator after it needs another tensor from before it.
    """
    embedding = _normalisation(tflite_model).outputs[0].index
    if embedding in model_graph.indices(tflite_model.subgraphs[0].outputs):
        raise ValueError("expected a model that continues after its embedding, got an extractor")
    return at(tflite_model, embedding)


def at(tflite_model: Model, tensor: int) -> Parts:
    """Splits a model at a tensor, which is given by its index.

    Raises:
      ValueError: if operators after the tensor need another tensor from before it.
    """
    subgraph = tflite_model.subgraphs[0]
    return Parts(
        extractor=_part(tflite_model, model_graph.indices(subgraph.inputs), [tensor]),
        head=_part(tflite_model, [tensor], model_graph.indices(subgraph.outputs)),
        place=tensor,
    )


def before(tflite_model: Model, tensors: Sequence[int]) -> Model:
    """The part of a model that computes some tensors, which are given by their indices.

    They become its outputs, in this order.
    """
    return _part(tflite_model, model_graph.indices(tflite_model.subgraphs[0].inputs), [*tensors])


def _normalisation(tflite_model: Model) -> Operator:
    found = model_graph.graph(tflite_model).named("L2_NORMALIZATION")
    if len(found) != 1:
        raise ValueError(
            f"expected a model with one L2_NORMALIZATION to split at, got {len(found)}"
        )
    return found[0]


def _part(tflite_model: Model, inputs: list[int], outputs: list[int]) -> Model:
    """The part of a model that computes the outputs from the inputs, both indices of tensors."""
    graph = model_graph.graph(tflite_model)
    needed = set(outputs) - set(inputs)
    kept = []
    for op in reversed(graph.operators):
        if needed.isdisjoint(tensor.index for tensor in op.outputs):
            continue
        kept.append(op.index)
        needed -= {tensor.index for tensor in op.outputs}
        needed |= {
            tensor.index
            for tensor in op.inputs
            if tensor is not None and not tensor.constant and tensor.index not in inputs
        }
    if needed:
        names = ", ".join(graph.tensors[index].name for index in sorted(needed))
        raise ValueError(
            f"expected operators after the embedding to need only the embedding, got {names} as "
            "further inputs"
        )
    old = tflite_model.subgraphs[0]
    subgraph = model_file.changed(
        old,
        operators=[old.operators[index] for index in reversed(kept)],
        inputs=inputs,
        outputs=outputs,
    )
    part = model_file.changed(
        tflite_model,
        subgraphs=[subgraph],
        description=b"",
        metadata=[m for m in tflite_model.metadata or () if m.name == b"min_runtime_version"],
        metadataBuffer=None,
        signatureDefs=None,
    )
    return model_file.pruned(part)
