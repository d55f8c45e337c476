"""The way from a checkpoint to products that the rule l2norm_tflite takes, in one process."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from classification import export
from classification.model_config import ModelConfig
from transforms import graph_transforms
from transforms.tflite import convert, model_file, split
from transforms.tflite.model_graph import Model
from transforms.tflite.split import Parts


class Built(NamedTuple):
    """What is checked: the frozen graph, the model, its extractor and head."""

    frozen: tf.GraphDef
    model: Model
    parts: Parts


def build(
    config: ModelConfig,
    prefix: str,
    *,
    fold_fake_quant: bool = False,
    change: Callable[[tf.GraphDef], None] | None = None,
) -> Built:
    """Exports, freezes, folds, converts and splits a checkpoint's network.

    Args:
      config: the network.
      prefix: the checkpoint's.
      fold_fake_quant: whether kernels' ranges are lost on the way.
      change: what is done to the folded graph before it is converted.
    """
    frozen, input_name, output_name = _frozen(config, prefix)
    folded = graph_transforms.transform(
        frozen,
        inputs=[input_name],
        outputs=[output_name],
        transforms="strip_unused_nodes fold_l2_norm fold_constants",
        fold_fake_quant=fold_fake_quant,
    )
    folded_def = tf.GraphDef.FromString(folded)
    if change is not None:
        change(folded_def)
    model = model_file.parse(convert.convert(folded_def))
    return Built(tf.GraphDef.FromString(frozen), model, split.split(model))


@functools.lru_cache(maxsize=1)
def _frozen(config: ModelConfig, prefix: str) -> tuple[bytes, str, str]:
    """The frozen graph of a checkpoint, and the names of its input and output."""
    graph = export.build(config=config, batch_size=1, checkpoint=prefix)
    exported = graph.graph_def.SerializeToString()
    frozen = graph_transforms.freeze(exported, checkpoint=prefix, outputs=[graph.output_name])
    return frozen, graph.input_name, graph.output_name
