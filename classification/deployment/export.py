"""Exports the network as a graph file, which other programs can combine with a checkpoint."""

import dataclasses

import tensorflow.compat.v1 as tf
from google.protobuf import text_format
from tensorflow.core.framework import attr_value_pb2

from classification.nets import factory, networks
from classification.nets.checkpoint import Checkpoint
from classification.nets.l2norm_network import TrainingOptions
from classification.nets.model_config import ModelConfig
from imprinting.base import atomic_files
from transforms import graph_input

INPUT_NAME = "input"


@dataclasses.dataclass(frozen=True)
class InferenceGraph:
    """The graph of a network, without values of variables.

    Attributes:
      graph_def: the graph; variables are nodes, whose values are in a checkpoint.
      input_name: name of the placeholder for images, float32 [batch, image_size,
        image_size, 3] in [-1, 1].
      output_name: name of the node of the classes' probabilities, float32 [batch,
        num_classes], or of the embedding, float32 [batch, 1, 1, embedding_size].
    """

    graph_def: tf.GraphDef
    input_name: str
    output_name: str

    def write(self, path: str, *, text: bool = False) -> None:
        """Writes the graph, completely or not at all; equal graphs give equal bytes.

        Args:
          path: the file.
          text: whether to write it as text.

        Raises:
          OSError: if it cannot be written; see `atomic_files.write_atomically`.
        """
        if text:
            data = text_format.MessageToString(self.graph_def).encode()
        else:
            data = self.graph_def.SerializeToString(deterministic=True)
        atomic_files.write_atomically(path, data)


def build(
    *,
    model: ModelConfig,
    batch_size: int | None = None,
    is_training: bool = False,
    embedding_only: bool = False,
    checkpoint: Checkpoint | None = None,
) -> InferenceGraph:
    """Builds a network's graph.

    Args:
      model: the network.
      batch_size: the number of images in a batch; None for any.
      is_training: whether the graph is that of training, with dropout, batch norm on the
        batch's statistics, and the operations that update statistics and ranges.
      embedding_only: whether the embedding is the output.
      checkpoint: the one that the graph is for. It must hold all variables of the graph, unless
        is_training is set: training may start from less.

    Raises:
      ValueError: for a batch size below 1, a network that cannot be built, or a checkpoint
        that cannot be read, or is not of this network.
    """
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"expected batch_size to be at least 1, got {batch_size}")
    size = model.image_size
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [batch_size, size, size, 3], INPUT_NAME)
        network = networks.get(model.network)
        for name, text in (
            (graph_input.TITLE, network.title),
            (graph_input.CROP, network.crop.value),
        ):
            images.op._set_attr(name, attr_value_pb2.AttrValue(s=text.encode()))
        end_points = factory.build(
            images,
            model,
            training=TrainingOptions() if is_training else None,
            embedding_only=embedding_only,
        )
        if checkpoint is not None and not is_training:
            checkpoint.read_all(tf.global_variables())
        output = end_points["Embedding" if embedding_only else "Predictions"]
        graph_def = graph.as_graph_def()
    for node in graph_def.node:
        # The number of a Python function, which has a meaning only in this process.
        node.attr.pop("_gradient_op_type", None)
    return InferenceGraph(graph_def, images.op.name, output.op.name)
