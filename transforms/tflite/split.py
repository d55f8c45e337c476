"""Splits a TFLite model at its embedding: the Edge TPU's compiler needs the first part alone."""

import dataclasses

from transforms.tflite import model_file, model_graph
from transforms.tflite.model_graph import Model


@dataclasses.dataclass(frozen=True)
class Parts:
    """The two parts of a model; one after the other, they compute the same as the model.

    Attributes:
      extractor: from the image to the embedding, [1, 1, 1, d], its only output.
      head: from the embedding to the model's outputs.
    """

    extractor: Model
    head: Model


def split(tflite_model: Model) -> Parts:
    """Splits a model at the output of its L2_NORMALIZATION.

    Weights, scales and zero points do not change. The parts have no description, no signatures, and
    no metadata except the version of the runtime that they need.

    Raises:
      ValueError: if there is not exactly one L2_NORMALIZATION, if it is the output, or if an
        operator after it needs another tensor from before it.
    """
    graph = model_graph.graph(tflite_model)
    found = graph.named("L2_NORMALIZATION")
    if len(found) != 1:
        raise ValueError(
            f"expected a model with one L2_NORMALIZATION to split at, got {len(found)}"
        )
    embedding = found[0].outputs[0].index
    inputs = [tensor.index for tensor in graph.inputs]
    outputs = [tensor.index for tensor in graph.outputs]
    if embedding in outputs:
        raise ValueError("expected a model that continues after its embedding, got an extractor")
    return Parts(
        extractor=_part(tflite_model, inputs, [embedding]),
        head=_part(tflite_model, [embedding], outputs),
    )


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
