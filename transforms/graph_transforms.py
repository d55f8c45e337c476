"""Freezes and transforms TensorFlow graphs, which are serialised GraphDefs.

Wraps the C++ extension `transforms.cc._graph_transforms`, which releases Python's global
interpreter lock while it works, and does not import TensorFlow's Python modules. Equal graphs give
equal bytes. Importing this module sets the C library's allocator to keep up to 128 MiB of freed
memory, so that transforms, which copy graphs, take a third less time.
"""

import os
from collections.abc import Mapping, Sequence

from third_party.tensorflow import chatter

with chatter.held_back():
    from transforms.cc import _graph_transforms

# The name of a transform, alone or with its parameters. A parameter may have several values.
Value = str | int | float
Transform = str | tuple[str, Mapping[str, Value | Sequence[Value]]]


def freeze(graph: bytes, *, checkpoint: str, outputs: Sequence[str]) -> bytes:
    """Replaces a graph's variables by constants with their values from a checkpoint.

    Args:
      graph: a graph with reference variables (TensorFlow 1) or resource variables.
      checkpoint: the checkpoint's prefix, or one of its files. The checkpoint has format V2
        (PREFIX.index, …), with variables by name or by object, or format V1 (one file PREFIX, or
        several).
      outputs: names of tensors, NODE or NODE:INDEX. Nodes that these do not depend on are removed.

    Returns:
      The frozen graph, with its nodes in the same order, without devices, and without references
      to nodes that were removed. TensorFlow can import it, unless it has ops that TensorFlow does
      not know.

    Raises:
      FileNotFoundError: if the checkpoint or one of its files does not exist.
      PermissionError: if the checkpoint may not be read.
      ValueError: if the graph is not valid; if there are no outputs, or the graph does not have
        one; if the outputs depend on an operation that changes variables, as in training, or do not
        depend on a variable, as in a graph that is frozen already; if TensorFlow cannot import the
        result; if the checkpoint is damaged, does not have a variable, or has it with another shape
        or type.
      MemoryError: if the graph is larger than 2 GiB, or there is not enough memory for it.
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
    """Applies graph transforms one after another.

    All transforms are TensorFlow's, except `fold_l2_norm`. That turns L2-normalised convolution
    kernels, w rsqrt(sum(w^2)), into constants, whatever their size: the last layer of Qi, Brown and
    Lowe, arXiv 1712.07136, section 3.

    Args:
      graph: a graph, which must be frozen for transforms that work on constants.
      inputs: names of the tensors that are fed, NODE or NODE:INDEX.
      outputs: names of the tensors that are fetched, NODE or NODE:INDEX.
      transforms: the transforms in TensorFlow's syntax, `NAME(PARAMETER=VALUE, …) NAME …`, or a
        list in which each item is a name or a pair of a name and its parameters.
      fold_fake_quant: whether fold_constants behaves as in TensorFlow: it computes fake-quant nodes
        of constants, so the ranges of kernels are lost, and does not fold constants of more than
        10 MiB. Otherwise it keeps fake-quant nodes and folds constants of any size.

    Returns:
      The transformed graph, without references to nodes that were removed. TensorFlow can import
      it, unless it has ops that TensorFlow does not know.

    Raises:
      ValueError: if the graph is not valid; for an unknown transform or parameter; if there are no
        transforms or no outputs, or the graph does not have one of the inputs or outputs; if a
        transform that works on constants, such as fold_constants, gets a graph with variables; if
        TensorFlow cannot import the result.
      FileNotFoundError: if a file that a transform reads does not exist.
      MemoryError: if the graph is larger than 2 GiB, or there is not enough memory for it.
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
    """Returns the serialised graph for a GraphDef in text form.

    Raises:
      ValueError: if the text is not a GraphDef, or has no nodes.
    """
    return _graph_transforms.from_text(text)


def unknown_ops(graph: bytes) -> list[str]:
    """Returns the ops of a graph that TensorFlow does not know, sorted.

    A graph with such ops can be imported only by a program that has loaded a library with them.

    Raises:
      ValueError: if the bytes are not a serialised graph.
    """
    return _graph_transforms.unknown_ops(graph)


def transform_names() -> list[str]:
    """Returns the names of all transforms, sorted."""
    return _graph_transforms.transform_names()


def parse_transforms(text: str) -> list[tuple[str, dict[str, list[str]]]]:
    """Reads transforms in TensorFlow's syntax, `NAME(PARAMETER=VALUE, …) NAME …`.

    Returns:
      Pairs of a name and its parameters, each with its values.

    Raises:
      ValueError: for a syntax error, or an unknown transform or parameter.
    """
    return _graph_transforms.parse_transforms(text)


def _names(what: str, names: Sequence[str]) -> list[str]:
    if isinstance(names, str):
        raise ValueError(f"expected a list of names as {what}, got the string {names!r}")
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
    # TensorFlow writes booleans in lower case.
    return [str(v).lower() if isinstance(v, bool) else str(v) for v in values]
