"""From a graph and a checkpoint to a .tflite and its two parts: freeze, fold, convert, split.

The build's rule, the tests and the benchmarks all take these steps.
"""

from typing import NamedTuple

import tensorflow.compat.v1 as tf

from transforms import graph_transforms
from transforms.conversion import convert
from transforms.tflite import model_file, split
from transforms.tflite.model_graph import Model
from transforms.tflite.split import Parts

# Kernels of unit length become constants; what TensorFlow Lite cannot convert goes.
_FOLDING = "strip_unused_nodes fold_l2_norm fold_constants"


class Products(NamedTuple):
    """What the steps make; nothing is checked yet.

    Attributes:
      frozen: the graph with the checkpoint's values as constants, a serialised GraphDef.
      folded: the same with normalised kernels and batch norm folded, likewise.
      tflite_model: the classifier.
      parts: the classifier, cut in two after the embedding.
    """

    frozen: bytes
    folded: bytes
    tflite_model: Model
    parts: Parts


def make(graph: bytes, *, checkpoint: str, input_name: str, output_name: str) -> Products:
    """Takes all steps.

    Args:
      graph: of the network in inference, a serialised GraphDef.
      checkpoint: the prefix of the checkpoint that has the values of the graph's variables.
      input_name: of the node that takes the image.
      output_name: of the node that gives the probabilities.

    Raises:
      OSError: if the checkpoint cannot be read.
      ValueError: if the graph, the checkpoint and the names do not fit together, or the graph
        cannot be converted or split.
      RuntimeError: for an error inside TensorFlow.
    """
    frozen = graph_transforms.freeze(graph, checkpoint=checkpoint, outputs=[output_name])
    folded = fold(frozen, input_name=input_name, output_name=output_name)
    return convert_and_split(frozen, folded)


def fold(
    frozen: bytes, *, input_name: str, output_name: str, fold_fake_quant: bool = False
) -> bytes:
    """Folds normalised kernels and all other constants of a frozen graph.

    Args:
      frozen: a serialised GraphDef.
      input_name: of the node that takes the image.
      output_name: of the node that gives the probabilities.
      fold_fake_quant: whether fake-quant nodes of constants are folded, too; then the kernels'
        ranges are lost, and a .tflite of the graph is wrong.

    Raises:
      ValueError: see `graph_transforms.transform`.
      RuntimeError: likewise.
    """
    return graph_transforms.transform(
        frozen,
        inputs=[input_name],
        outputs=[output_name],
        transforms=_FOLDING,
        fold_fake_quant=fold_fake_quant,
    )


def convert_and_split(frozen: bytes, folded: bytes) -> Products:
    """Converts a folded graph to a .tflite, and cuts that in two after its embedding.

    Raises:
      ValueError: see `convert.convert` and `split.split`.
    """
    model = model_file.parse(convert.convert(tf.GraphDef.FromString(folded)))
    return Products(frozen, folded, model, split.split(model))
