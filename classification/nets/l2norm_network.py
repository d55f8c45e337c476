"""A network with an L2-normalised embedding and an L2-normalised last layer.

The base, such as that of MobileNet V1, is followed by the head of Qi, Brown and Lowe, "Low-Shot
Learning with Imprinted Weights", arXiv 1712.07136, section 3: the logits are the scale
factor times the cosines between the embedding and the classes' weight vectors, so that
the weight vector of a new class can be computed from embeddings only.
"""

import dataclasses

import tensorflow.compat.v1 as tf

from classification.nets import fake_quant, layers
from classification.nets.batch_norm import BatchNorm
from classification.nets.fake_quant import Quantization
from classification.nets.layers import LayerOptions, Mode
from classification.nets.network import MIN_IMAGE_SIZE, Network
from third_party.tf_slim.slim import slim

WEIGHT_DECAY = 0.00004
SCALE_FACTOR_START = 10.0


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """How the network is built for training.

    Attributes:
      weight_decay: factor of half the squared L2 norm of each kernel in the loss; depthwise
        kernels and the last layer's are not decayed.
      base_mode: what the base is built for; FROZEN and STATISTICS_ONLY train only the head.
      dropout_keep_prob: in (0, 1], of the embedding's components.
      dropout_seed: integers [2] that decide what is dropped; None draws again at each step.
      features: float32 [batch, 1, 1, depth], the end point Features for the images, computed
        earlier. The base is then built only for its variables.
    """

    weight_decay: float = WEIGHT_DECAY
    base_mode: Mode = Mode.TRAINING
    dropout_keep_prob: float = 0.999
    dropout_seed: tf.Tensor | None = None
    features: tf.Tensor | None = None

    def __post_init__(self) -> None:
        if not 0 < self.dropout_keep_prob <= 1:
            raise ValueError(
                f"expected a dropout_keep_prob in (0, 1], got {self.dropout_keep_prob}"
            )
        if self.base_mode is Mode.INFERENCE:
            raise ValueError("expected a base_mode for training, got INFERENCE; use FROZEN")


def l2norm_network(
    network: Network,
    inputs: tf.Tensor,
    num_classes: int | None,
    *,
    depth_multiplier: float = 1.0,
    batch_norm: BatchNorm | None = None,
    quantization: Quantization | None = None,
    training: TrainingOptions | None = None,
    global_pool: bool = False,
    scope: str | None = None,
    reuse: bool | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the network.

    Args:
      network: which one.
      inputs: float32 [batch, height, width, channels] in [-1, 1]; height and width of
        at least 32.
      num_classes: 0 or None builds the network up to the embedding.
      depth_multiplier: above 0; multiplies the channels of the base's layers. The size of the
        embedding does not change.
      batch_norm: of the base's layers; None for the defaults.
      quantization: None builds a float network.
      training: builds the network for training, where batch norm takes the batch's
        statistics, and dropout drops; operations in the collection UPDATE_OPS move the
        moving statistics and the ranges of quantisation. None builds it for inference.
      global_pool: whether to average over the complete last feature map, for inputs of any size;
        otherwise see `Network.pool_size`.
      scope: what the variables' names start with; None for the network's own scope.
      reuse: whether the variables are those of an earlier call.

    Returns:
      The logits, float32 [batch, num_classes], or, without classes, the embedding,
      float32 [batch, 1, 1, embedding_size] of unit length; and the end points by name: the base's
      layers, AvgPool_1a or global_pool, Features (the same, quantised), Normalize_1a (the
      embedding before it is quantised), Embedding, Logits, Predictions.

    Raises:
      ValueError: for inputs of a rank other than 4, smaller than 32 x 32 pixels, of an
        unknown number of channels, or, without global_pool, of an unknown size; for a
        depth multiplier or a number of classes out of range.
    """
    _check(network, inputs, num_classes, depth_multiplier)
    options = LayerOptions(
        mode=Mode.INFERENCE if training is None else Mode.TRAINING,
        quantization=quantization,
        initializer=network.initializer(),
        # For inference, too: the reference's graphs have these nodes.
        weight_decay=WEIGHT_DECAY if training is None else training.weight_decay,
    )
    is_training = options.mode.is_training
    base_options = dataclasses.replace(
        options,
        mode=Mode.INFERENCE if training is None else training.base_mode,
        batch_norm=batch_norm or BatchNorm(),
    )
    with tf.variable_scope(scope or network.scope, values=[inputs], reuse=reuse) as variable_scope:
        if quantization and quantization.per_channel:
            inputs = fake_quant.quantize_input(
                inputs, quantization=quantization, is_training=is_training
            )
        end_points, base_range = network.build_base(
            inputs, base_options, depth_multiplier=depth_multiplier, scope=variable_scope
        )
        with tf.variable_scope("Logits") as head:
            pool_size = None if global_pool else network.pool_size
            net = _pool(list(end_points.values())[-1], global_pool, pool_size, end_points)
            if quantization and base_range and not quantization.learned_embedding_range:
                net = fake_quant.quantize_like(
                    net, base_range, quantization=quantization, is_training=is_training
                )
            if training is not None and training.features is not None:
                net = tf.ensure_shape(training.features, [None, *net.shape[1:]])
            end_points["Features"] = net
            net, _ = layers.conv2d(
                net, network.embedding_size, 1, options, scope="Conv2d_1c_1x1_negative"
            )
            net = _normalize(net, head.name, quantization, is_training, end_points)
            end_points["Embedding"] = net
            if not num_classes:
                return net, end_points
            if training is not None and training.dropout_keep_prob < 1:
                net = _drop(net, 1 - training.dropout_keep_prob, training.dropout_seed)
            net, _ = layers.conv2d(
                net,
                num_classes,
                1,
                _last_layer_options(options),
                normalize_weights=True,
                train_biases=False,
                scope="Conv2d_1d_1x1_normalize",
            )
            net = _scale(net, head.name, quantization, is_training)
            logits = tf.squeeze(net, [1, 2], name="SpatialSqueeze")
        end_points["Logits"] = logits
        end_points["Predictions"] = slim.softmax(logits, scope="Predictions")
    return logits, end_points


def _last_layer_options(options: LayerOptions) -> LayerOptions:
    quantization = options.quantization
    if quantization:
        # The on-device imprinting engines need one range for all class vectors.
        quantization = dataclasses.replace(quantization, per_channel=False)
    return dataclasses.replace(
        options, initializer=None, weight_decay=0.0, quantization=quantization
    )


def _check(
    network: Network, inputs: tf.Tensor, num_classes: int | None, depth_multiplier: float
) -> None:
    if inputs.shape.rank != 4:
        raise ValueError(
            "expected images of shape [batch, height, width, channels], "
            f"got a tensor of rank {inputs.shape.rank}: {inputs.shape}"
        )
    for size in inputs.shape[1:3]:
        if size is not None and size < MIN_IMAGE_SIZE:
            raise ValueError(
                f"expected images of at least {MIN_IMAGE_SIZE} x {MIN_IMAGE_SIZE} pixels, "
                f"got {inputs.shape[1]} x {inputs.shape[2]}"
            )
    if inputs.shape[3] is None:
        raise ValueError(f"expected images of a known number of channels, got {inputs.shape}")
    if depth_multiplier <= 0:
        raise ValueError(f"expected a depth multiplier above 0, got {depth_multiplier}")
    if depth_multiplier != 1 and not network.has_depth_multiplier:
        raise ValueError(
            f"expected no depth multiplier for {network.name}, which has one width, got "
            f"{depth_multiplier:g}; leave it out"
        )
    if num_classes is not None and num_classes < 0:
        raise ValueError(f"expected a number of classes of at least 0, got {num_classes}")


def _pool(
    net: tf.Tensor, global_pool: bool, pool_size: int | None, end_points: dict[str, tf.Tensor]
) -> tf.Tensor:
    """Averages over height and width; returns float32 [batch, 1, 1, channels]."""
    if global_pool:
        net = tf.reduce_mean(net, [1, 2], keepdims=True, name="global_pool")
        end_points["global_pool"] = net
        return net
    height, width = net.shape[1:3]
    if height is None or width is None:
        raise ValueError(
            "expected images of a known height and width, got a last feature map of shape "
            f"{net.shape}; pass global_pool=True for images of any size"
        )
    kernel = [height, width]
    if pool_size is not None:
        # The reference's window of 7 with a stride of 2 returns one value on maps up to 8. On
        # larger maps it would return more than one embedding for an image.
        kernel = [min(s, pool_size) if s <= pool_size + 1 else s for s in kernel]
    with tf.name_scope("AvgPool_1a"):
        net = tf.nn.avg_pool2d(net, kernel, strides=2, padding="VALID", name="AvgPool")
    end_points["AvgPool_1a"] = net
    return net


def _drop(net: tf.Tensor, rate: float, seed: tf.Tensor | None) -> tf.Tensor:
    name = "Dropout_1b"
    if seed is None:
        return tf.nn.dropout(net, rate=rate, name=name)
    return tf.nn.experimental.stateless_dropout(net, rate, seed, name=name)


def _normalize(
    net: tf.Tensor,
    head: str,
    quantization: Quantization | None,
    is_training: bool,
    end_points: dict[str, tf.Tensor],
) -> tf.Tensor:
    """The embedding: L2-normalised over channels, and quantised."""
    with tf.name_scope("Normalize_1a"):
        net = tf.nn.l2_normalize(net, axis=-1)
        end_points["Normalize_1a"] = net
        if quantization is None:
            return net
        name, suffix = f"{head}/Normalize_1a", "activation_Mul_quant"
        if quantization.learned_embedding_range:
            net, _ = fake_quant.quantize_activations(
                net, name, quantization=quantization, is_training=is_training, suffix=suffix
            )
            return net
        return fake_quant.quantize_with_range(
            net,
            name,
            fake_quant.TFLITE_L2_NORM_RANGE,
            quantization=quantization,
            is_training=is_training,
            suffix=suffix,
        )


def _scale(
    net: tf.Tensor, head: str, quantization: Quantization | None, is_training: bool
) -> tf.Tensor:
    """Multiplies by the scale factor, and quantises."""
    scale_factor = slim.model_variable(
        "scale_factor",
        shape=[],
        initializer=tf.constant_initializer(SCALE_FACTOR_START),
        trainable=True,
    )
    with tf.name_scope("Mul") as scope:
        net = tf.multiply(net, scale_factor, name=scope)
        if quantization is None:
            return net
        net, _ = fake_quant.quantize_activations(
            net,
            f"{head}/Mul",
            quantization=quantization,
            is_training=is_training,
            suffix="activation_Mul_quant",
        )
        return net
