"""Reads frozen graphs, and finds a classifier's tensors in them, whatever their names."""

import dataclasses

import tensorflow.compat.v1 as tf
from google.protobuf.message import DecodeError

from imprinting.base.photo_crop import Crop
from imprinting.tflite import metadata
from transforms import graph_input

PER_CHANNEL = "FakeQuantWithMinMaxVarsPerChannel"
FAKE_QUANT = frozenset({"FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxArgs", PER_CHANNEL})

_VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp", "ReadVariableOp", "RestoreV2"})
# Operations that may follow the softmax.
_SAME_VALUES = frozenset({"Identity", "Reshape", "Squeeze", "ExpandDims"})


@dataclasses.dataclass(frozen=True)
class Classifier:
    """Names of a classifier's tensors, each NODE:0.

    Attributes:
      input: the placeholder for images, float32 [batch, s, s, 3].
      embedding: the input of the last convolution, [batch, 1, 1, d]; in a quantised graph, it is
        fake-quantised.
      scale: the constant, of shape [], by which the convolution's output is multiplied; None if
        there is none.
      logits: the input of the softmax, [batch, n].
      output: the probabilities, [batch, n].
    """

    input: str
    embedding: str
    scale: str | None
    logits: str
    output: str


def read(path: str) -> tf.GraphDef:
    """Reads a file with a binary GraphDef.

    Raises:
      OSError: if it cannot be read.
      ValueError: if it is not a binary GraphDef, or if the graph is empty.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        return parse(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def parse(data: bytes) -> tf.GraphDef:
    """Parses a binary GraphDef.

    Raises:
      ValueError: if it is not one, or if the graph is empty.
    """
    wrong = "expected a binary GraphDef, as freezing writes it, got "
    try:
        graph_def = tf.GraphDef.FromString(data)
    except DecodeError as error:
        kind = "a graph as text" if data.lstrip().startswith(b"node {") else "something else"
        raise ValueError(f"{wrong}{len(data)} bytes of {kind}") from error
    if not graph_def.node:
        raise ValueError(f"{wrong}{len(data)} bytes without a node")
    return graph_def


def about(graph_def: tf.GraphDef) -> metadata.About:
    """What the graph's input says about the network: its title, and the part of a photo."""
    (image,) = (node for node in graph_def.node if node.op == "Placeholder")
    default = metadata.About()
    if graph_input.TITLE not in image.attr:
        return default
    return metadata.About(
        image.attr[graph_input.TITLE].s.decode(),
        Crop(image.attr[graph_input.CROP].s.decode()),
    )


def has_int8_body(graph_def: tf.GraphDef) -> bool:
    """Whether a quantised graph computes its body, up to the embedding, in int8.

    Then each output channel of a kernel has a range of its own, which uint8 does not allow.
    """
    return any(node.op == PER_CHANNEL for node in graph_def.node)


def is_quantised(graph_def: tf.GraphDef) -> bool:
    """Whether a graph has fake-quant nodes."""
    return any(node.op in FAKE_QUANT for node in graph_def.node)


def require_frozen(graph_def: tf.GraphDef) -> None:
    """Checks that a graph has no variables.

    Raises:
      ValueError: if it has variables.
    """
    for node in graph_def.node:
        if node.op in _VARIABLES:
            raise ValueError(
                f"expected a frozen graph, got one with variables, such as {node.name} "
                f"({node.op}); freeze it with its checkpoint first"
            )


def find(graph_def: tf.GraphDef) -> Classifier:
    """Finds a classifier's tensors, from its only Placeholder to its only Softmax and reshapes.

    Raises:
      ValueError: if there is not exactly one Placeholder and one Softmax, or no convolution before
        the Softmax.
    """
    nodes = {node.name: node for node in graph_def.node}
    image, output = ends(graph_def)
    softmax = _only(graph_def, "Softmax")
    logits = _source(softmax, 0)
    constants = {node.name for node in constant_nodes(graph_def)}
    # Go back along the nodes that depend on the input, past the scale and the bias.
    name, scale = logits, None
    while name in nodes and nodes[name].op != "Conv2D":
        sources = [_node_name(source) for source in nodes[name].input]
        if nodes[name].op == "Mul":
            scale = next((source for source in sources if source in constants), None)
        name = next((source for source in sources if source not in constants), None)
    embedding = _source(nodes[name], 0) if name in nodes else None
    if logits is None or embedding is None:
        raise ValueError(
            "expected a graph with a convolution before the softmax, got one without; export the "
            "network again"
        )
    return Classifier(
        input=image + ":0",
        embedding=embedding + ":0",
        scale=scale and scale + ":0",
        logits=logits + ":0",
        output=output + ":0",
    )


def ends(graph_def: tf.GraphDef) -> tuple[str, str]:
    """Returns the nodes that take the image and give the probabilities, of any graph.

    These are the only Placeholder, and the only Softmax or the last of the reshapes after it.

    Raises:
      ValueError: if there is not exactly one Placeholder and one Softmax.
    """
    output = _only(graph_def, "Softmax")
    while True:
        users = [n for n in graph_def.node if _source(n, 0) == output.name]
        following = [n for n in users if n.op in _SAME_VALUES]
        if len(users) != 1 or not following:
            return _only(graph_def, "Placeholder").name, output.name
        output = following[0]


def before_normalisation(graph_def: tf.GraphDef) -> str:
    """Returns the tensor, NODE:0, that the L2 normalisation of the embedding takes.

    Raises:
      ValueError: if the graph does not compute exactly one norm of something that is not constant.
    """
    constants = {node.name for node in constant_nodes(graph_def)}
    squares = [n for n in graph_def.node if n.op == "Square" and n.name not in constants]
    if len(squares) != 1:
        raise ValueError(
            f"expected a graph that normalises one tensor, the embedding, got {len(squares)}; "
            "export the network again"
        )
    return f"{_source(squares[0], 0)}:0"


def constant_nodes(graph_def: tf.GraphDef) -> list[tf.NodeDef]:
    """Returns the nodes that do not depend on an input, including constants."""
    known: set[str] = set()
    while True:
        before = len(known)
        # Most nodes come after those that they use, so a few rounds are enough.
        for node in graph_def.node:
            sources = [_node_name(name) for name in node.input]
            if node.op == "Const" or (sources and known.issuperset(sources)):
                known.add(node.name)
        if len(known) == before:
            return [node for node in graph_def.node if node.name in known]


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _source(node: tf.NodeDef, index: int) -> str | None:
    return _node_name(node.input[index]) if index < len(node.input) else None


def _only(graph_def: tf.GraphDef, op: str) -> tf.NodeDef:
    found = [node for node in graph_def.node if node.op == op]
    if len(found) != 1:
        names = ", ".join(node.name for node in found[:3])
        raise ValueError(
            f"expected a graph with one {op}, got {len(found)}{': ' + names if names else ''}; "
            "export the network for inference"
        )
    return found[0]
