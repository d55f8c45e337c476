"""Makes the products of a checkpoint as the rule l2norm_tflite does, but in this process."""

import functools
from collections.abc import Callable

import tensorflow.compat.v1 as tf

from classification.deployment import export
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from transforms import graph_transforms
from transforms.conversion import products
from transforms.conversion.products import Products


def build(
    model: ModelConfig,
    prefix: str,
    *,
    fold_fake_quant: bool = False,
    change: Callable[[tf.GraphDef], None] | None = None,
) -> Products:
    """Exports, freezes, folds, converts and splits a checkpoint's network.

    Args:
      model: the network.
      prefix: the checkpoint's prefix.
      fold_fake_quant: whether to fold fake-quant nodes of kernels, too, which loses their ranges.
      change: changes the folded graph in place before it is converted.
    """
    frozen, input_name, output_name = _frozen(model, prefix)
    folded = products.fold(
        frozen, input_name=input_name, output_name=output_name, fold_fake_quant=fold_fake_quant
    )
    if change is not None:
        folded_def = tf.GraphDef.FromString(folded)
        change(folded_def)
        folded = folded_def.SerializeToString(deterministic=True)
    return products.convert_and_split(frozen, folded)


@functools.lru_cache(maxsize=1)
def _frozen(model: ModelConfig, prefix: str) -> tuple[bytes, str, str]:
    """The frozen graph of a checkpoint, and the names of its input and output."""
    graph = export.build(model=model, batch_size=1, checkpoint=Checkpoint(prefix))
    exported = graph.graph_def.SerializeToString()
    frozen = graph_transforms.freeze(exported, checkpoint=prefix, outputs=[graph.output_name])
    return frozen, graph.input_name, graph.output_name
