"""Makes a .tflite and its two parts from a graph and a checkpoint: freeze, fold, convert, split.

The build's rule calls `make`; tests and benchmarks also call its steps.
"""

from typing import NamedTuple

import tensorflow.compat.v1 as tf

from imprinting.tflite import model_file, split
from imprinting.tflite.model_graph import Model
from imprinting.tflite.split import Parts
from transforms import graph_transforms
from transforms.conversion import convert, graph_file

# The normalised kernels become constants; nodes that TensorFlow Lite cannot convert are removed.
_FOLDING = "strip_unused_nodes fold_l2_norm fold_constants"


class Products(NamedTuple):
    """The products, which are not checked yet.

    Attributes:
      frozen: the graph with the checkpoint's values as constants, a serialised GraphDef.
      folded: the same with normalised kernels and batch norm folded, a serialised GraphDef.
      tflite_model: the classifier.
      parts: the classifier, split before the normalisation of its embedding.
    """

    frozen: bytes
    folded: bytes
    tflite_model: Model
    parts: Parts


def make(
    graph: bytes,
    *,
    checkpoint: str,
    input_name: str | None = None,
    output_name: str | None = None,
) -> Products:
    """Freezes, folds, converts and splits a network.

    Args:
      graph: the network's graph for inference, a serialised GraphDef.
      checkpoint: the prefix of the checkpoint with the values of the graph's variables.
      input_name: the node that takes the image; None for the only Placeholder.
      output_name: the node that gives the probabilities; None for the last one after the only
        Softmax.

    Raises:
      OSError: if the checkpoint cannot be read.
      ValueError: if the graph, the checkpoint and the names do not fit together, or if the graph
        cannot be converted or split.
      RuntimeError: for an error inside TensorFlow.
    """
    if input_name is None or output_name is None:
        ends = graph_file.ends(graph_file.parse(graph))
        input_name, output_name = input_name or ends[0], output_name or ends[1]
    frozen = graph_transforms.freeze(graph, checkpoint=checkpoint, outputs=[output_name])
    folded = fold(frozen, input_name=input_name, output_name=output_name)
    return convert_and_split(frozen, folded)


def fold(
    frozen: bytes, *, input_name: str, output_name: str, fold_fake_quant: bool = False
) -> bytes:
    """Folds normalised kernels and all other constants of a frozen graph.

    Args:
      frozen: a serialised GraphDef.
      input_name: the node that takes the image.
      output_name: the node that gives the probabilities.
      fold_fake_quant: whether fake-quant nodes of constants are folded, too. Then the kernels'
        ranges are lost, and a .tflite made from the graph is wrong.

    Returns:
      The folded graph, a serialised GraphDef.

    Raises:
      ValueError, RuntimeError: see `graph_transforms.transform`.
    """
    return graph_transforms.transform(
        frozen,
        inputs=[input_name],
        outputs=[output_name],
        transforms=_FOLDING,
        fold_fake_quant=fold_fake_quant,
    )


def convert_and_split(frozen: bytes, folded: bytes) -> Products:
    """Converts a folded graph to a .tflite, and splits it before its L2_NORMALIZATION.

    Raises:
      ValueError: see `convert.convert` and `split.split`.
    """
    tflite_model = model_file.parse(convert.convert(tf.GraphDef.FromString(folded)))
    return Products(frozen, folded, tflite_model, split.split(tflite_model))
