"""The network that a `model.json` describes, built for use or for training."""

import tensorflow.compat.v1 as tf

from classification.nets.batch_norm import BatchNorm
from classification.nets.fake_quant import Quantization
from classification.nets.mobilenet_v1_l2norm import (
    WEIGHT_DECAY,
    mobilenet_v1_l2norm,
    mobilenet_v1_l2norm_arg_scope,
)
from classification.nets.model_config import ModelConfig


def build(
    images: tf.Tensor,
    config: ModelConfig,
    *,
    is_training: bool = False,
    embedding_only: bool = False,
    round_activations: bool = True,
    quant_delay: int = 0,
    batch_norm_decay: float = BatchNorm.decay,
    freeze_batch_norm: bool = False,
    weight_decay: float = WEIGHT_DECAY,
    dropout_seed: tf.Tensor | None = None,
    freeze_base: bool = False,
    update_base_statistics: bool = False,
    features: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
    """Builds the network in the default graph.

    Args:
      images: float32 [batch, image_size, image_size, 3] in [-1, 1].
      config: the network.
      is_training: whether it is built with dropout, batch statistics and the operations
        that move statistics and ranges.
      embedding_only: whether to leave out what follows the embedding.
      round_activations: see `fake_quant.Quantization`; for a quantised network.
      quant_delay: the step from which a quantised training graph quantises.
      batch_norm_decay: of the moving statistics, per step.
      freeze_batch_norm: see `mobilenet_v1_l2norm_arg_scope`.
      weight_decay: see `mobilenet_v1_l2norm_arg_scope`.
      dropout_seed: see `mobilenet_v1_l2norm`.
      freeze_base: likewise.
      update_base_statistics: likewise.
      features: likewise.

    Returns:
      The end points, as `mobilenet_v1_l2norm` does.
    """
    quantization = None
    if config.quantize:
        quantization = Quantization(
            delay=quant_delay,
            learned_embedding_range=config.learned_embedding_range,
            round_activations=round_activations,
        )
    with mobilenet_v1_l2norm_arg_scope(
        is_training=is_training,
        weight_decay=weight_decay,
        batch_norm_decay=batch_norm_decay,
        freeze_batch_norm=freeze_batch_norm,
        quantization=quantization,
    ):
        _, end_points = mobilenet_v1_l2norm(
            images,
            None if embedding_only else config.num_classes,
            depth_multiplier=config.depth_multiplier,
            dropout_seed=dropout_seed,
            freeze_base=freeze_base,
            update_base_statistics=update_base_statistics,
            features=features,
        )
    return end_points
