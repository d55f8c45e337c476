"""Compares the ranges of a .tflite's tensors with those of the graph's fake-quant nodes.

A quantised network is trained with a range for each kernel and for each layer's output. If a
conversion loses a range, it chooses another, and the outputs for a few images may not show it.

The embedding's range is not compared: a .tflite has a fixed one (`product_rules`).
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from imprinting.base.pixel_scaling import INT8_OFFSET
from imprinting.tflite import model_graph
from imprinting.tflite.model_graph import Model, Tensor
from transforms.conversion import graph_file

# The graph's operations whose ranges are compared -> the .tflite's operators.
_OPERATORS = {
    "Conv2D": "CONV_2D",
    "DepthwiseConv2dNative": "DEPTHWISE_CONV_2D",
    "Mul": "MUL",
    "AddV2": "ADD",
}
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
# Operations that a .tflite fuses with the operator before them.
_FUSED = frozenset({"AddV2", "Add", "BiasAdd", "Identity", "Relu", "Relu6"})
_LEAST_RANGE = 1e-12
# Both scales are float32 and the result of one division.
_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class _Node:
    """An operation of the graph, with the names of its kernel's and output's fake-quant nodes."""

    name: str
    kind: str
    kernel: str | None
    output: str | None


def check(frozen: tf.GraphDef, tflite_model: Model) -> list[str]:
    """Compares scales and zero points of all kernels and outputs that the graph quantises.

    Args:
      frozen: the frozen graph that the model was made from, before folding.
      tflite_model: the quantised model, extractor and head in one.

    Returns:
      A sentence for the kernels and one for the outputs, if some differ: it describes the first,
      and says how many more there are. Only one sentence if graph and model have other operators.

    Raises:
      ValueError: if the graph is not a classifier's; see `graph_file.find`.
    """
    nodes = _nodes(frozen)
    graph = model_graph.graph(tflite_model)
    operators = [op for op in graph.operators if op.name in _OPERATORS.values()]
    expected = [_OPERATORS[node.kind] for node in nodes]
    if [op.name for op in operators] != expected:
        return [
            f"operators: expected the graph's {len(expected)} convolutions, multiplications and "
            f"additions, in its order, got {len(operators)}; give the graph that the model was "
            "made from"
        ]
    quanta = _quanta(frozen, [name for n in nodes for name in (n.kernel, n.output) if name])
    pairs = list(zip(nodes, operators, strict=True))
    found = {
        "kernels": [_difference(n.kernel, op.input(1), quanta) for n, op in pairs],
        "outputs": [_difference(n.output, op.outputs[0], quanta) for n, op in pairs],
    }
    return [sentence for what, texts in found.items() for sentence in _summary(what, texts)]


@dataclasses.dataclass(frozen=True)
class _Quanta:
    """Scale and zero point of a fake-quant node in uint8; of each channel, if there are several."""

    scales: np.ndarray
    zero_points: np.ndarray


def quanta(low: float, high: float, *, bits: int = 8, narrow: bool = False) -> tuple[float, int]:
    """Returns scale and zero point for a range, which is moved so that 0 is one of the quanta.

    Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", arXiv 1712.05877, section 3.

    Args:
      low: at most 0.
      high: at least 0, and above low.
      bits: the number of bits of a quantum.
      narrow: whether the lowest quantum is not used.
    """
    least, most = int(narrow), 2**bits - 1
    scale = (high - low) / (most - least)
    return scale, min(max(round(least - low / scale), least), most)


def _summary(what: str, differences: Sequence[str | None]) -> Iterator[str]:
    texts = [text for text in differences if text]
    if texts:
        more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
        yield f"{what}: {texts[0]}{more}"


def _difference(node: str | None, tensor: Tensor | None, known: dict[str, _Quanta]) -> str | None:
    """What is wrong with a tensor's quanta, as a part of a sentence; None if nothing is."""
    if node is None or node not in known or tensor is None or not tensor.scales:
        return None
    scales = known[node].scales
    # The same number in int8.
    zero_points = known[node].zero_points - (INT8_OFFSET if tensor.type == "INT8" else 0)
    if len(tensor.scales) != len(scales):
        return (
            f"expected {len(scales)} scales, as many as ranges of {node} in the graph, got "
            f"{len(tensor.scales)}"
        )
    # If 0 is between two quanta, the range may be moved up or down.
    wrong = np.flatnonzero(
        (np.abs(np.array(tensor.scales) - scales) > _TOLERANCE * scales)
        | (np.abs(np.array(tensor.zero_points) - zero_points) > 1)
    )
    if not len(wrong):
        return None
    i = wrong[0]
    return (
        f"expected scale {scales[i]:.6g} and zero point {zero_points[i]}, the range of {node} in "
        f"the graph, got {tensor.scales[i]:.6g} and {tensor.zero_points[i]}"
    )


def _quanta(frozen: tf.GraphDef, names: Sequence[str]) -> dict[str, _Quanta]:
    """Name -> scales and zero points of fake-quant nodes, without those whose range is empty."""
    nodes = {node.name: node for node in frozen.node}
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(frozen, name="")
        ranges = session.run({n: [_tensor(i) for i in nodes[n].input[1:3]] for n in names})
    found = {}
    for name, (lows, highs) in ranges.items():
        if np.min(highs - lows) <= _LEAST_RANGE:
            continue
        pairs = [
            quanta(
                float(low),
                float(high),
                bits=nodes[name].attr["num_bits"].i or 8,
                narrow=nodes[name].attr["narrow_range"].b,
            )
            for low, high in zip(np.ravel(lows), np.ravel(highs), strict=True)
        ]
        found[name] = _Quanta(*map(np.array, zip(*pairs, strict=True)))
    return found


def _tensor(source: str) -> str:
    return source if ":" in source else f"{source}:0"


def _nodes(frozen: tf.GraphDef) -> list[_Node]:
    """Convolutions and multiplications by a constant, in order from the input."""
    nodes = {node.name: node for node in frozen.node}
    constants = {node.name for node in graph_file.constant_nodes(frozen)}
    order = _in_order(nodes, constants, graph_file.find(frozen).logits)
    users: dict[str, list[str]] = {}
    for name in order:
        for source in _sources(nodes[name]):
            users.setdefault(source, []).append(name)
    found = []
    for name in order:
        node = nodes[name]
        sources = _sources(node)
        kernel = None
        if node.op in _CONVOLUTIONS:
            source = nodes[sources[1]]
            if source.op == "Reshape":
                # A depthwise kernel with a range for each channel.
                source = nodes[_sources(source)[0]]
            kernel = source.name if source.op in graph_file.FAKE_QUANT else None
        elif node.op == "AddV2":
            # A sum with a constant is a bias.
            if not constants.isdisjoint(sources):
                continue
        elif node.op != "Mul" or constants.isdisjoint(sources):
            continue
        following = name
        while len(users.get(following, ())) == 1:
            following = users[following][0]
            if nodes[following].op not in _FUSED:
                break
        output = following if nodes[following].op in graph_file.FAKE_QUANT else None
        found.append(_Node(name, node.op, kernel, output))
    return found


def _in_order(nodes: dict[str, tf.NodeDef], constants: set[str], end: str) -> list[str]:
    """The nodes that the end depends on, except constants; each after those that it uses."""
    order: dict[str, None] = {}
    waiting = [end.partition(":")[0]]
    while waiting:
        name = waiting[-1]
        before = [
            s for s in _sources(nodes[name]) if s not in order and s not in constants and s in nodes
        ]
        if before:
            waiting += before
        else:
            order[waiting.pop()] = None
    return list(order)


def _sources(node: tf.NodeDef) -> list[str]:
    return [name.removeprefix("^").partition(":")[0] for name in node.input]
