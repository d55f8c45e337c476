"""TensorFlow's graph transforms, freezing, and folding of normalised kernels, on graphs as bytes.

The work is done by the C++ module `_graph_transforms`, which holds no Python lock while it
runs. Nothing here imports the Python side of TensorFlow. Graphs are serialised GraphDefs; equal
graphs give equal bytes. Importing this sets the C library's allocator to keep up to 128 MiB of
freed memory, which graphs are copied through in a third less time.
"""

import os
from collections.abc import Mapping, Sequence

from third_party.tensorflow import chatter

with chatter.held_back():
    from transforms.cc import _graph_transforms

# A transform's name, alone or with its parameters, each of which may be given several values.
Value = str | int | float
Transform = str | tuple[str, Mapping[str, Value | Sequence[Value]]]


def freeze(graph: bytes, *, checkpoint: str, outputs: Sequence[str]) -> bytes:
    """Puts the values of a checkpoint's variables into a graph, as constants.

    Args:
      graph: with variables, of TensorFlow 1's kind or by handle.
      checkpoint: its prefix, or one of its files. Files of the format V2 (PREFIX.index, …) are
        read, with variables by name or by object, and those of the format V1 (one file PREFIX, or
        several).
      outputs: names of nodes. What these do not need is left out.

    Returns:
      The frozen graph, its nodes in the order of the graph's, without devices, and without
      references to nodes that were left out. TensorFlow can import it, unless it has ops that
      TensorFlow does not know.

    Raises:
      FileNotFoundError: if there is no such checkpoint, or a part of it is missing.
      PermissionError: if it may not be read.
      ValueError: if the bytes are no graph or its parts do not fit together; for an output that
        it lacks, or none; if what the outputs need changes variables, as training does, or has
        none, as in a graph that is frozen already; if TensorFlow cannot import the result; if the
        checkpoint is damaged, lacks a variable, or has it in another shape or type.
      RuntimeError: for an error inside TensorFlow.
    """
    return _graph_transforms.freeze(graph, os.fsencode(checkpoint), _names("outputs", outputs))


def transform(
    graph: bytes,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    transforms: str | Sequence[Transform],
    fold_fake_quant: bool = False,
) -> bytes:
    """Applies graph transforms in turn.

    `fold_l2_norm` is a transform of this project's. It makes constants of L2-normalised
    convolution kernels, w rsqrt(sum(w^2)), of any size: the last layer of Qi, Brown and Lowe,
    arXiv 1712.07136, section 3. All others are TensorFlow's.

    Args:
      graph: frozen, for transforms that work on constants.
      inputs: names of tensors, NODE or NODE:INDEX, that are fed.
      outputs: names of tensors that are fetched.
      transforms: in TensorFlow's syntax, `NAME(PARAMETER=VALUE, …) NAME …`, or as a list of names
        and of pairs of a name and its parameters.
      fold_fake_quant: whether fold_constants behaves as TensorFlow's own: it then computes
        fake-quant nodes of constants, and the range of every kernel is lost, and it passes over
        constants of more than 10 MiB. Else it keeps fake-quant nodes, and has no limit.

    Returns:
      The graph that the transforms make of it, without references to nodes that they removed.
      TensorFlow can import it, unless it has ops that TensorFlow does not know.

    Raises:
      ValueError: if the bytes are no graph, or its parts do not fit together; for a transform, a
        parameter, an input or an output that there is not; for no transform, or no output; for
        variables in a graph for fold_constants and other transforms of constants; if TensorFlow
        cannot import the result.
      FileNotFoundError: if a transform is to read a file that there is not.
      RuntimeError: for an error inside TensorFlow.
    """
    return _graph_transforms.transform(
        graph,
        _names("inputs", inputs),
        _names("outputs", outputs),
        _parsed(transforms),
        fold_fake_quant,
    )


def from_text(text: bytes) -> bytes:
    """The serialised graph of a GraphDef in text form.

    Raises:
      ValueError: if it is none.
    """
    return _graph_transforms.from_text(text)


def unknown_ops(graph: bytes) -> list[str]:
    """The ops of a graph that TensorFlow does not know, sorted.

    Whether TensorFlow can import a graph with such an op, only a program tells that has them.

    Raises:
      ValueError: if the bytes are no graph.
    """
    return _graph_transforms.unknown_ops(graph)


def transform_names() -> list[str]:
    """The names of all transforms, sorted."""
    return _graph_transforms.transform_names()


def parse_transforms(text: str) -> list[tuple[str, dict[str, list[str]]]]:
    """Reads transforms in TensorFlow's syntax.

    Returns:
      Names, each with its parameters and all their values.

    Raises:
      ValueError: if the text is not of that syntax, or names an unknown transform or parameter.
    """
    return _graph_transforms.parse_transforms(text)


def _names(what: str, names: Sequence[str]) -> list[str]:
    if isinstance(names, str):
        raise ValueError(f"expected {what} as a list of names, got one string, {names!r}")
    return list(names)


def _parsed(transforms: str | Sequence[Transform]) -> list[tuple[str, dict[str, list[str]]]]:
    if isinstance(transforms, str):
        return parse_transforms(transforms)
    parsed: list[tuple[str, dict[str, list[str]]]] = []
    for item in transforms:
        name, parameters = (item, {}) if isinstance(item, str) else item
        parsed.append((name, {key: _values(value) for key, value in parameters.items()}))
    return parsed


def _values(given: Value | Sequence[Value]) -> list[str]:
    values = [given] if isinstance(given, str | int | float) else list(given)
    # As TensorFlow writes truth.
    return [str(v).lower() if isinstance(v, bool) else str(v) for v in values]
