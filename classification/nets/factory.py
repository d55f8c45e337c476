"""Builds the network that a `model.json` describes."""

import tensorflow.compat.v1 as tf

from classification.nets import networks
from classification.nets.batch_norm import BatchNorm
from classification.nets.fake_quant import Quantization
from classification.nets.l2norm_network import TrainingOptions, l2norm_network
from classification.nets.model_config import ModelConfig


def build(
    images: tf.Tensor,
    model: ModelConfig,
    *,
    training: TrainingOptions | None = None,
    batch_norm: BatchNorm | None = None,
    quant_delay: int = 0,
    round_activations: bool = True,
    embedding_only: bool = False,
) -> dict[str, tf.Tensor]:
    """Builds the network in the default graph.

    Args:
      images: float32 [batch, image_size, image_size, 3] in [-1, 1].
      model: the network.
      training: how to build it for training; None builds it for inference.
      batch_norm: see `l2norm_network`.
      quant_delay: the step from which a quantised training graph quantises.
      round_activations: see `fake_quant.Quantization`; for a quantised network.
      embedding_only: whether to leave out what follows the embedding.

    Returns:
      The end points, as `l2norm_network` does.
    """
    network = networks.get(model.network)
    quantization = None
    if model.quantize:
        quantization = Quantization(
            delay=quant_delay,
            learned_embedding_range=model.learned_embedding_range,
            per_channel=network.per_channel,
            round_activations=round_activations,
        )
    _, end_points = l2norm_network(
        network,
        images,
        None if embedding_only else model.num_classes,
        depth_multiplier=model.depth_multiplier,
        batch_norm=batch_norm,
        quantization=quantization,
        training=training,
    )
    return end_points
