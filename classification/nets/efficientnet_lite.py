"""EfficientNet-Lite0 to Lite4; see efficientnet_lite_blocks.py."""

import dataclasses
import functools

import tensorflow.compat.v1 as tf

from classification.nets import efficientnet_lite_ranges, fake_quant, layers
from classification.nets.efficientnet_lite_blocks import (
    BATCH_NORM,
    HEAD,
    HEAD_DEPTH,
    STEM,
    STEM_DEPTH,
    VARIANTS,
    Block,
    Variant,
    blocks,
)
from classification.nets.layers import LayerOptions
from classification.nets.network import Base, Network, PublishedClassifier


def _build_base(
    inputs: tf.Tensor,
    options: LayerOptions,
    *,
    variant: Variant,
    depth_multiplier: float = 1.0,
    scope: tf.VariableScope,
) -> Base:
    """The layers up to and including the convolution to 1280 channels; see `network.BuildBase`."""
    del depth_multiplier, scope
    options = dataclasses.replace(
        options, kernel_name="kernel", depthwise_kernel_name="depthwise_kernel"
    )
    end_points = {}
    with tf.variable_scope(STEM):
        net, _ = layers.conv2d(
            inputs,
            STEM_DEPTH,
            3,
            options,
            stride=2,
            relu6=True,
            batch_norm_scope=BATCH_NORM,
            scope="conv2d",
        )
    end_points[STEM] = net
    for block in blocks(variant):
        with tf.variable_scope(block.scope) as block_scope:
            net = _build_block(net, block, options, block_scope.name)
        end_points[block.scope] = net
    with tf.variable_scope(HEAD):
        net, last_range = layers.conv2d(
            net, HEAD_DEPTH, 1, options, relu6=True, batch_norm_scope=BATCH_NORM, scope="conv2d"
        )
    end_points[HEAD] = net
    return Base(end_points, last_range)


def _build_block(net: tf.Tensor, block: Block, options: LayerOptions, name: str) -> tf.Tensor:
    inputs, names = net, block.layers
    if "expand" in names:
        scope, batch_norm = names["expand"]
        net, _ = layers.conv2d(
            net,
            block.expansion * int(net.shape[-1]),
            1,
            options,
            relu6=True,
            batch_norm_scope=batch_norm,
            scope=scope,
        )
    scope, batch_norm = names["depthwise"]
    net, _ = layers.depthwise_conv2d(
        net,
        block.kernel_size,
        options,
        stride=block.stride,
        relu6=True,
        batch_norm_scope=batch_norm,
        scope=scope,
    )
    scope, batch_norm = names["project"]
    net, _ = layers.conv2d(net, block.depth, 1, options, batch_norm_scope=batch_norm, scope=scope)
    if not block.is_residual:
        return net
    net = tf.add(net, inputs, name="add")
    if options.quantization is None:
        return net
    net, _ = fake_quant.quantize_activations(
        net,
        f"{name}/add",
        quantization=options.quantization,
        is_training=options.mode.is_training,
    )
    return net


def _network(variant: Variant) -> Network:
    return Network(
        name=variant.name,
        title=f"EfficientNet-{variant.name.rpartition('_')[-1].title()}",
        scope=variant.scope,
        image_size=variant.image_size,
        num_classes=1000,
        embedding_size=HEAD_DEPTH,
        build_base=functools.partial(_build_base, variant=variant),
        # He et al., "Delving Deep into Rectifiers", arXiv 1502.01852, section 2.2.
        initializer=lambda: tf.variance_scaling_initializer(
            2.0, mode="fan_out", distribution="untruncated_normal"
        ),
        features_range=f"{variant.scope}/{HEAD}/conv2d/act_quant",
        published=PublishedClassifier(
            kernel=f"{variant.scope}/{HEAD}/dense/kernel",
            biases=f"{variant.scope}/{HEAD}/dense/bias",
        ),
        calibrate=functools.partial(efficientnet_lite_ranges.calibrate, variant=variant),
    )


NETWORKS = tuple(map(_network, VARIANTS))
