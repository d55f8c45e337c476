"""Checks a model of unknown origin before an interpreter sees it.

TensorFlow Lite's interpreter checks a file's offsets, but not all of what its kernels rely on. A
damaged or malicious model can make them read other memory, divide by zero, take all memory or end
the process. A model that passes these checks has only operators that image classifiers have, with
the shapes, types, options and scales that their kernels compute with, and needs a bounded amount of
memory and time.
"""

import math
from typing import Any, NoReturn

import numpy as np

from imprinting.tflite import (
    layer_rules,
    model_file,
    model_graph,
    node,
    pointwise_rules,
    shape_rules,
    static_values,
)
from imprinting.tflite.model_graph import Graph, Model, Tensor
from imprinting.tflite.node import Kind, Node

KINDS: dict[str, Kind] = {
    **layer_rules.KINDS,
    **pointwise_rules.KINDS,
    **shape_rules.KINDS,
    **static_values.KINDS,
}
# What the Edge TPU's compiler makes of several operators. Only the Edge TPU's runtime reads it.
COMPILED = f"CUSTOM {model_file.COMPILED}"

# The most bytes of activations, and of what kernels need besides, that exist at the same time.
# EfficientNet-Lite4 in float needs 40 million.
MOST_ACTIVATIONS = 1 << 27
# The most multiplications for an image, which take seconds. ResNet-152 has 11e9, VGG-19 20e9.
MOST_WORK = 30_000_000_000
_MOST_SIZE = 1 << 31
_ITEM_BYTES = {"FLOAT32": 4, "FLOAT16": 2, "INT32": 4, "INT64": 8, "UINT8": 1, "INT8": 1}
# Kernels divide by scales, and treat the smallest numbers of float32 as 0.
_LEAST_SCALE, _MOST_SCALE = 2.0**-100, 2.0**100
_QUANTA = {"UINT8": (0, 255), "INT8": (-128, 127), "INT32": (0, 0)}


def check(tflite_model: Model) -> None:
    """Checks everything that an interpreter relies on.

    Args:
      tflite_model: a model that `model_file.parse` has read. It may be a part of a classifier, and
        may be compiled for the Edge TPU.

    Raises:
      ValueError: if the model is damaged, has an operator that image classifiers do not have, or
        needs too much memory or time. The error says what was expected, and what was found.
    """
    subgraph = tflite_model.subgraphs[0]
    _check_buffers(tflite_model)
    graph = model_graph.graph(tflite_model)
    for tensor, raw in zip(graph.tensors, subgraph.tensors, strict=True):
        _check_tensor(tensor, raw)
    _check_order(graph)
    work = 0
    found = node.nodes(tflite_model, graph)
    for each in found:
        work += _check_node(each)
    if work > MOST_WORK:
        raise ValueError(
            f"expected a network of at most {MOST_WORK:,} multiplications for an image, got "
            f"{work:,}; name a smaller network"
        )
    _check_memory(graph, found)


def nodes(tflite_model: Model) -> list[Node]:
    """Returns the operators of a model, with what their rules read."""
    return node.nodes(tflite_model, model_graph.graph(tflite_model))


def _check_buffers(tflite_model: Model) -> None:
    # The interpreter takes a tensor of this buffer for one without values.
    first = tflite_model.buffers[0].data
    if first is not None and len(first):
        _fail("nothing in the first buffer", f"{len(first)} bytes")
    if tflite_model.externalBuffers is not None and len(tflite_model.externalBuffers):
        _fail("weights in the file", "some outside it")
    for signature in tflite_model.signatureDefs or ():
        for entry in (*(signature.inputs or ()), *(signature.outputs or ())):
            number = len(tflite_model.subgraphs[0].tensors)
            if not 0 <= entry.tensorIndex < number:
                _fail(f"tensors 0..{number - 1} in a signature", entry.tensorIndex)
            if entry.name is None:
                _fail("names of the tensors in a signature", "none")
        if signature.subgraphIndex:
            _fail("subgraph 0 in a signature", signature.subgraphIndex)
        if signature.signatureKey is None:
            _fail("a name of each signature", "none")


def _check_tensor(tensor: Tensor, raw: Any) -> None:
    name = f"{tensor.name} (tensor {tensor.index})"
    if tensor.type not in _ITEM_BYTES:
        _fail(f"a type out of {', '.join(_ITEM_BYTES)} for {name}", tensor.type)
    if len(tensor.shape) > node.MOST_DIMENSIONS:
        _fail(f"at most {node.MOST_DIMENSIONS} dimensions of {name}", len(tensor.shape))
    if any(n < 1 for n in tensor.shape) or math.prod(tensor.shape) >= _MOST_SIZE:
        _fail(f"dimensions of at least 1, and fewer than 2 ** 31 elements of {name}", tensor)
    unsupported = {
        "isVariable": raw.isVariable,
        "sparsity": raw.sparsity is not None,
        "variantTensors": bool(raw.variantTensors),
        "externalBuffer": bool(getattr(raw, "externalBuffer", 0)),
    }
    for what, is_there in unsupported.items():
        if is_there:
            _fail(f"no {what} of {name}", "some")
    signature = model_graph.indices(raw.shapeSignature)
    if signature and (
        len(signature) != len(tensor.shape)
        or any(n not in (-1, m) for n, m in zip(signature, tensor.shape, strict=True))
    ):
        _fail(f"a shape signature of {name} that fits {list(tensor.shape)}", signature)
    if raw.quantization is not None and raw.quantization.details is not None:
        _fail(f"scales and zero points of {name}", "another quantisation")
    if tensor.scales:
        if min(tensor.scales) < _LEAST_SCALE or max(tensor.scales) > _MOST_SCALE:
            _fail(
                f"scales from 2 ** -100 to 2 ** 100 of {name}",
                f"{min(tensor.scales):g} to {max(tensor.scales):g}",
            )
        least, most = _QUANTA.get(tensor.type, (-(2**31), 2**31 - 1))
        zeros = np.asarray(tensor.zero_points)
        if zeros.min() < least or zeros.max() > most:
            found = zeros.min() if zeros.min() < least else zeros.max()
            _fail(f"zero points from {least} to {most} of {name}", found)


def _check_order(graph: Graph) -> None:
    """Checks that each tensor is computed once, before it is used."""
    known = {tensor.index for tensor in graph.tensors if tensor.constant}
    for tensor in graph.inputs:
        if tensor.index in known:
            _fail("different inputs without values", f"{tensor.name} (tensor {tensor.index})")
        known.add(tensor.index)
    for op in graph.operators:
        for used in op.inputs:
            if used is not None and used.index not in known:
                _fail(
                    f"inputs of {op.name} (operator {op.index}) that were computed before",
                    f"{used.name} (tensor {used.index})",
                )
        for tensor in op.outputs:
            if tensor.index in known:
                _fail(
                    f"new tensors as outputs of {op.name} (operator {op.index})",
                    f"{tensor.name} (tensor {tensor.index})",
                )
            known.add(tensor.index)
    computed = {tensor.index for op in graph.operators for tensor in op.outputs}
    for tensor in graph.outputs:
        if tensor.index not in computed:
            _fail("outputs that are computed", f"{tensor.name} (tensor {tensor.index})")
    if not graph.inputs or not graph.outputs:
        _fail("inputs and outputs", f"{len(graph.inputs)} and {len(graph.outputs)}")


def _check_node(each: Node) -> int:
    """Checks an operator; returns how many multiplications it takes."""
    op = each.operator
    raw = each.tflite_model.subgraphs[0].operators[op.index]
    for vector in (raw.intermediates, raw.mutatingVariableInputs):
        if vector is not None and np.any(vector):
            each.fail("no state", "some")
    if op.name == COMPILED:
        each.require(
            None not in op.inputs and bool(op.inputs) and bool(op.outputs),
            "inputs and outputs",
            "none",
        )
        return 0
    kind = KINDS.get(op.name)
    if kind is None:
        raise ValueError(
            f"expected operators that image classifiers have, got {node.shown(op.name)} (operator "
            f"{op.index}); convert the network without it"
        )
    each.require_range("a version", op.version, 1, kind.version)
    least, most = kind.inputs
    each.require_range("a number of inputs", len(op.inputs), least, most)
    each.require(len(op.outputs) == 1, "one output", len(op.outputs))
    if kind.options is not None:
        # RESHAPE may have its options as an input.
        is_optional = op.name == "RESHAPE" and each.options is None
        each.require(
            is_optional or isinstance(each.options, kind.options),
            f"options {kind.options.__name__.removesuffix('T')}",
            type(each.options).__name__.removesuffix("T"),
        )
    kind.check(each)
    return kind.work(each)


def _check_memory(graph: Graph, nodes: list[Node]) -> None:
    """Checks the memory of activations that exist at the same time."""
    last = {tensor.index: each.operator.index for each in nodes for tensor in _inputs(each)}
    last |= {tensor.index: len(nodes) for tensor in graph.outputs}
    used = sum(map(_bytes, graph.inputs))
    ends: dict[int, int] = {}
    for tensor in graph.inputs:
        at = last.get(tensor.index, len(nodes))
        ends[at] = ends.get(at, 0) + _bytes(tensor)
    for each in nodes:
        op = each.operator
        for tensor in op.outputs:
            used += _bytes(tensor)
            at = last.get(tensor.index, op.index)
            ends[at] = ends.get(at, 0) + _bytes(tensor)
        kind = KINDS.get(op.name)
        needed = used + (kind.scratch(each) if kind and kind.scratch else 0)
        if needed > MOST_ACTIVATIONS:
            raise ValueError(
                f"expected a network that needs at most {MOST_ACTIVATIONS:,} bytes for its "
                f"activations, got one that needs {needed:,} for {op.name} (operator {op.index}); "
                "name a network for smaller images"
            )
        used -= ends.pop(op.index, 0)


def _inputs(each: Node) -> list[Tensor]:
    return [tensor for tensor in each.operator.inputs if tensor is not None]


def _bytes(tensor: Tensor) -> int:
    return math.prod(tensor.shape) * _ITEM_BYTES[tensor.type]


def _fail(expected: str, found: object) -> NoReturn:
    raise node.damaged(expected, found)
