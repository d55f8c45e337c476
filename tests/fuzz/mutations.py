"""Changes graphs at random, with a given random generator."""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from tests.fuzz.byte_mutations import mutate_bytes

_INTERESTING = (-1, 0, 1, 2, 7, 255, 65536, 2**31 - 1, 2**31, 2**40, 2**62, -(2**31), -(2**62))


class _Place(NamedTuple):
    """A node of a graph to change, and another node to copy something from."""

    graph: tf.GraphDef
    node: tf.NodeDef
    other: tf.NodeDef
    rng: random.Random


def mutate_graph(data: bytes, rng: random.Random) -> bytes:
    """Changes a graph in one or several places; the result is a valid serialised message."""
    graph = tf.GraphDef.FromString(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not graph.node:
            break
        node = rng.choice(graph.node)
        other = rng.choice(graph.node)
        rng.choice(_CHANGES)(_Place(graph, node, other, rng))
    return graph.SerializeToString()


def _input(at: _Place) -> None:
    graph, node, other, rng = at
    if not node.input:
        node.input.append(other.name)
        return
    i = rng.randrange(len(node.input))
    index = f":{rng.choice(_INTERESTING)}"
    node.input[i] = rng.choice(
        (other.name, other.name + index, "^" + other.name, node.name, "nowhere", "", ":", "^")
    )


def _inputs(at: _Place) -> None:
    graph, node, other, rng = at
    kept = list(node.input)
    rng.shuffle(kept)
    del node.input[:]
    node.input.extend(kept[: rng.randrange(len(kept) + 1)] + [other.name] * rng.randrange(3))


def _name(at: _Place) -> None:
    graph, node, other, rng = at
    node.name = rng.choice((other.name, "", "new", "a:0", "^a", "-", "a b", node.name + "/", "é"))


def _op(at: _Place) -> None:
    graph, node, other, rng = at
    node.op = rng.choice((other.op, "NoSuchOp", "", "Const", "VariableV2", "Identity", "Switch"))


def _remove(at: _Place) -> None:
    graph, node, other, rng = at
    graph.node.remove(node)


def _repeat(at: _Place) -> None:
    graph, node, other, rng = at
    copy = graph.node.add()
    copy.CopyFrom(node)
    if rng.random() < 0.7:
        copy.name += "_copy"


def _attribute(at: _Place) -> None:
    graph, node, other, rng = at
    if not node.attr:
        return
    name = rng.choice(sorted(node.attr))
    kind = rng.randrange(5)
    if kind == 0:
        del node.attr[name]
    elif kind == 1 and other.attr:
        node.attr[name].CopyFrom(other.attr[rng.choice(sorted(other.attr))])
    elif kind == 2:
        node.attr[name].type = rng.choice((0, 1, 2, 3, 7, 20, 23, 101, 120))
    elif kind == 3:
        node.attr[name].i = rng.choice(_INTERESTING)
    else:
        node.attr[name].list.i.extend(rng.choice(_INTERESTING) for _ in range(rng.randrange(5)))


def _tensor(at: _Place) -> None:
    graph, node, other, rng = at
    constants = [n for n in graph.node if n.attr["value"].HasField("tensor")]
    for n in graph.node:
        if not n.attr["value"].HasField("tensor"):
            del n.attr["value"]
    if not constants:
        return
    tensor = rng.choice(constants).attr["value"].tensor
    kind = rng.randrange(5)
    if kind == 0:
        tensor.dtype = rng.choice((0, 1, 2, 3, 4, 7, 9, 10, 14, 20, 21, 23, 101))
    elif kind == 1:
        tensor.tensor_content = mutate_bytes(tensor.tensor_content, rng)
    elif kind == 2:
        tensor.tensor_shape.dim.add().size = rng.choice(_INTERESTING)
    elif kind == 3 and tensor.tensor_shape.dim:
        rng.choice(tensor.tensor_shape.dim).size = rng.choice(_INTERESTING)
    else:
        tensor.tensor_shape.unknown_rank = True


def _shape(at: _Place) -> None:
    graph, node, other, rng = at
    shaped = [n for n in graph.node if "shape" in n.attr]
    if shaped:
        dims = rng.choice(shaped).attr["shape"].shape.dim
        dims.add().size = rng.choice(_INTERESTING)


_CHANGES: Sequence[Callable[[_Place], None]] = (
    _input,
    _inputs,
    _name,
    _op,
    _remove,
    _repeat,
    _attribute,
    _attribute,
    _tensor,
    _tensor,
    _shape,
)
