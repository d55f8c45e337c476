"""MobileNet V1 with an L2-normalised embedding and an L2-normalised last layer.

On the base (mobilenet_v1_base.py) stands the head of Qi, Brown and Lowe, "Low-Shot
Learning with Imprinted Weights", arXiv 1712.07136, section 3: the logits are the scale
factor times the cosines between the embedding and the classes' weight vectors, so that
a new class's weight vector can be made of embeddings alone.
"""

import contextlib

import tensorflow.compat.v1 as tf

from classification.nets import fake_quant, layers
from classification.nets.batch_norm import BatchNorm
from classification.nets.fake_quant import Quantization
from classification.nets.mobilenet_v1_base import mobilenet_v1_base
from third_party.tf_slim.slim import slim

EMBEDDING_SIZE = 1024
MIN_IMAGE_SIZE = 32
WEIGHT_DECAY = 0.00004
SCALE_FACTOR_START = 10.0
_POOL_SIZE = 7


def mobilenet_v1_l2norm_arg_scope(
    *,
    is_training: bool = True,
    weight_decay: float = WEIGHT_DECAY,
    stddev: float = 0.09,
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 0.001,
    freeze_batch_norm: bool = False,
    quantization: Quantization | None = None,
) -> contextlib.AbstractContextManager:
    """The options of the network's layers, to build it under.

    Args:
      is_training: whether batch norm takes the batch's statistics and moves its
        averages, quantisation's ranges move, and dropout drops. The moves are
        operations in the collection UPDATE_OPS.
      weight_decay: factor of half the squared L2 norm of each kernel in the loss;
        depthwise kernels and the last layer's are not decayed.
      stddev: of the truncated normal that kernels start from.
      batch_norm_decay: of the moving statistics, per step.
      batch_norm_epsilon: added to variances.
      freeze_batch_norm: whether training computes with the moving statistics, and leaves them.
      quantization: None builds a float network.
    """
    initializer = tf.truncated_normal_initializer(stddev=stddev)
    with (
        slim.arg_scope(
            [layers.conv2d, layers.depthwise_conv2d],
            initializer=initializer,
            is_training=is_training,
            quantization=quantization,
        ),
        slim.arg_scope([layers.conv2d], regularizer=slim.l2_regularizer(weight_decay)),
        slim.arg_scope(
            [mobilenet_v1_base],
            batch_norm=BatchNorm(batch_norm_decay, batch_norm_epsilon, freeze_batch_norm),
        ),
        slim.arg_scope(
            [mobilenet_v1_l2norm], is_training=is_training, quantization=quantization
        ) as scope,
    ):
        return slim.arg_scope(scope)


@slim.add_arg_scope
def mobilenet_v1_l2norm(
    inputs: tf.Tensor,
    num_classes: int | None = 1001,
    *,
    depth_multiplier: float = 1.0,
    dropout_keep_prob: float = 0.999,
    dropout_seed: tf.Tensor | None = None,
    global_pool: bool = False,
    freeze_base: bool = False,
    update_base_statistics: bool = False,
    features: tf.Tensor | None = None,
    is_training: bool = True,
    quantization: Quantization | None = None,
    scope: str = "MobilenetV1",
    reuse: bool | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the network, under `mobilenet_v1_l2norm_arg_scope`.

    Args:
      inputs: float32 [batch, height, width, channels] in [-1, 1]; height and width of
        at least 32.
      num_classes: 0 or None builds the embedding alone.
      depth_multiplier: above 0; see `mobilenet_v1_base`. The embedding has 1024
        channels all the same.
      dropout_keep_prob: in (0, 1], for the embedding's components, in training.
      dropout_seed: integers [2] that tell what is dropped; None draws anew at each step.
      global_pool: whether to average over the whole of the last feature map, for
        inputs of any size; else a 7x7 window does so, shrunk to smaller maps.
      freeze_base: whether the base is built for inference, and none of it trained; its
        kernels are folded when local variables are initialised.
      update_base_statistics: whether the frozen base's moving statistics and ranges
        adapt to the data all the same, its batch norm running on the batch's.
      features: float32 [batch, 1, 1, depth], what was the end point Features for the
        images meant; the base is then built for its variables alone.
      is_training: see `mobilenet_v1_l2norm_arg_scope`, which sets it.
      quantization: likewise.
      scope: what the variables' names start with.
      reuse: whether the variables are those of an earlier call.

    Returns:
      The logits, float32 [batch, num_classes], or else the embedding, float32
      [batch, 1, 1, 1024] of unit length; and the end points by name: the base's
      layers, AvgPool_1a or global_pool, Features (that, quantised), Normalize_1a (the
      embedding before it is quantised), Embedding, Logits, Predictions.

    Raises:
      ValueError: for inputs of a rank other than 4, smaller than 32 x 32 pixels, of an
        unknown number of channels, or, without global_pool, of an unknown size; for a
        depth multiplier, a number of classes or a dropout_keep_prob out of range.
    """
    _check(inputs, num_classes, depth_multiplier, dropout_keep_prob)
    with tf.variable_scope(scope, values=[inputs], reuse=reuse) as variable_scope:
        net, end_points = mobilenet_v1_base(
            inputs,
            depth_multiplier=depth_multiplier,
            freeze=freeze_base,
            update_statistics=update_base_statistics,
            scope=variable_scope,
        )
        with tf.variable_scope("Logits") as head:
            net = _pool(net, global_pool, end_points)
            if quantization and not quantization.learned_embedding_range:
                net = fake_quant.quantize_like(
                    net,
                    f"{variable_scope.name}/{variable_scope.name}/Conv2d_13_pointwise",
                    quantization=quantization,
                    is_training=is_training,
                )
            if features is not None:
                net = tf.ensure_shape(features, [None, *net.shape[1:]])
            end_points["Features"] = net
            net = layers.conv2d(net, EMBEDDING_SIZE, 1, scope="Conv2d_1c_1x1_negative")
            net = _normalize(net, head.name, quantization, is_training, end_points)
            end_points["Embedding"] = net
            if not num_classes:
                return net, end_points
            if is_training and dropout_keep_prob < 1:
                net = _drop(net, 1 - dropout_keep_prob, dropout_seed)
            net = layers.conv2d(
                net,
                num_classes,
                1,
                normalize_weights=True,
                train_biases=False,
                initializer=slim.xavier_initializer(),
                regularizer=None,
                scope="Conv2d_1d_1x1_normalize",
            )
            net = _scale(net, head.name, quantization, is_training)
            logits = tf.squeeze(net, [1, 2], name="SpatialSqueeze")
        end_points["Logits"] = logits
        end_points["Predictions"] = slim.softmax(logits, scope="Predictions")
    return logits, end_points


def _check(
    inputs: tf.Tensor,
    num_classes: int | None,
    depth_multiplier: float,
    dropout_keep_prob: float,
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
    if num_classes is not None and num_classes < 0:
        raise ValueError(f"expected a number of classes of at least 0, got {num_classes}")
    if not 0 < dropout_keep_prob <= 1:
        raise ValueError(f"expected a dropout_keep_prob in (0, 1], got {dropout_keep_prob}")


def _pool(net: tf.Tensor, global_pool: bool, end_points: dict[str, tf.Tensor]) -> tf.Tensor:
    """Averages over space, float32 [batch, 1, 1, channels]."""
    if global_pool:
        net = tf.reduce_mean(net, [1, 2], keepdims=True, name="global_pool")
        end_points["global_pool"] = net
        return net
    height, width = net.shape[1:3]
    if height is None or width is None:
        raise ValueError(
            "expected images of a known height and width, got a last feature map of shape "
            f"{net.shape}; global_pool=True takes any"
        )
    # A window of 7 moved by 2, as ever, returns one value up to 8; beyond, more than
    # one embedding an image would come of it, so the window grows to the whole map.
    kernel = [min(size, _POOL_SIZE) if size <= _POOL_SIZE + 1 else size for size in (height, width)]
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
            return fake_quant.quantize_activations(
                net, name, quantization=quantization, is_training=is_training, suffix=suffix
            )
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
        return fake_quant.quantize_activations(
            net,
            f"{head}/Mul",
            quantization=quantization,
            is_training=is_training,
            suffix="activation_Mul_quant",
        )
