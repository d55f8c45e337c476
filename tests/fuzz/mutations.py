"""Changes graphs, files and transform strings at random, with a given random generator."""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow.compat.v1 as tf

_INTERESTING = (-1, 0, 1, 2, 7, 255, 65536, 2**31 - 1, 2**31, 2**40, 2**62, -(2**31), -(2**62))
# Characters of transform strings, and some that are not allowed in them.
_ALPHABET = "abcxyz_0123456789()=,. \"'\\/:^-\n\t\0é"


class _Place(NamedTuple):
    """A node of a graph to change, and another node to copy something from."""

    graph: tf.GraphDef
    node: tf.NodeDef
    other: tf.NodeDef
    rng: random.Random


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flips, overwrites, removes, repeats or truncates bytes, once or several times."""
    mutated = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        if not mutated:
            break
        at = rng.randrange(len(mutated))
        length = min(rng.choice((1, 1, 2, 4, 8, 64)), len(mutated) - at)
        kind = rng.randrange(6)
        if kind == 0:
            mutated[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            mutated[at : at + length] = rng.randbytes(length)
        elif kind == 2:
            del mutated[at : at + length]
        elif kind == 3:
            mutated[at:at] = mutated[at : at + length]
        elif kind == 4:
            mutated[at : at + length] = bytes([rng.choice((0, 0x7F, 0x80, 0xFF))]) * length
        elif rng.random() < 0.3:
            del mutated[at:]
    return bytes(mutated)


def mutate_text(text: str, rng: random.Random) -> str:
    """Replaces, inserts, removes or truncates characters, once or several times."""
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            text = text[:at] + rng.choice(_ALPHABET) + text[at + 1 :]
        elif kind == 1:
            text = text[:at] + rng.choice(_ALPHABET) + text[at:]
        elif kind == 2:
            text = text[:at] + text[at + rng.choice((1, 2, 8)) :]
        elif rng.random() < 0.3:
            text = text[:at]
    return text


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
