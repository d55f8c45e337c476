"""Cutting a model in two at its embedding: Edge TPU compilers take the first part alone."""

import dataclasses

from transforms.tflite import model_file, model_graph
from transforms.tflite.model_graph import Model


@dataclasses.dataclass(frozen=True)
class Parts:
    """A model in two: `head` computes of `extractor`'s output what the model computes.

    Attributes:
      extractor: from the image to the embedding, [1, 1, 1, d], its only output.
      head: from the embedding to the model's outputs.
    """

    extractor: Model
    head: Model


def split(model: Model) -> Parts:
    """Cuts a model at the output of its L2_NORMALIZATION.

    Weights, scales and zero points are the model's own, byte by byte. What only the model
    as a whole has is in neither part: description, signatures, and metadata but for
    the version of the runtime that it needs.

    Raises:
      ValueError: if there is not one L2_NORMALIZATION, or if anything behind it depends on
        more of the model than its output.
    """
    graph = model_graph.graph(model)
    found = graph.named("L2_NORMALIZATION")
    if len(found) != 1:
        raise ValueError(
            f"expected a model with one L2_NORMALIZATION to be cut at, got {len(found)}"
        )
    embedding = found[0].outputs[0].index
    inputs = [tensor.index for tensor in graph.inputs]
    outputs = [tensor.index for tensor in graph.outputs]
    if embedding in outputs:
        raise ValueError("expected a model that goes on behind its embedding, got an extractor")
    return Parts(
        extractor=_part(model, inputs, [embedding]), head=_part(model, [embedding], outputs)
    )


def _part(model: Model, inputs: list[int], outputs: list[int]) -> Model:
    """The part of a model that computes some of its tensors out of others."""
    graph = model_graph.graph(model)
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
            f"expected all behind the embedding to depend on it alone; it needs {names} too"
        )
    old = model.subgraphs[0]
    subgraph = model_file.changed(
        old,
        operators=[old.operators[index] for index in reversed(kept)],
        inputs=inputs,
        outputs=outputs,
    )
    part = model_file.changed(
        model,
        subgraphs=[subgraph],
        description=b"",
        metadata=[m for m in model.metadata or () if m.name == b"min_runtime_version"],
        metadataBuffer=None,
        signatureDefs=None,
    )
    return model_file.pruned(part)
