"""MobileNet V1: Howard et al., "MobileNets", arXiv 1704.04861, table 1.

Its variables have tf-slim's names.
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from classification.nets import feature_mean, layers
from classification.nets.layers import LayerOptions
from classification.nets.network import Base, Calibration, Network, PublishedClassifier
from imprinting.base.photo_crop import Crop

_MIN_DEPTH = 8
# The standard deviation of the truncated normal distribution from which kernels start.
_STDDEV = 0.09
_LAST_BATCH_NORM = "MobilenetV1/Conv2d_13_pointwise/BatchNorm"


class _Separable(NamedTuple):
    depth: int
    stride: int


# arXiv 1704.04861, table 1: a 3x3 convolution to 32 channels, followed by thirteen pairs
# of a depthwise and a pointwise convolution.
_FIRST_DEPTH = 32
_SEPARABLE = (
    _Separable(64, 1),
    _Separable(128, 2),
    _Separable(128, 1),
    _Separable(256, 2),
    _Separable(256, 1),
    _Separable(512, 2),
    *(5 * (_Separable(512, 1),)),
    _Separable(1024, 2),
    _Separable(1024, 1),
)


def _build_base(
    inputs: tf.Tensor,
    options: LayerOptions,
    *,
    depth_multiplier: float = 1.0,
    scope: tf.VariableScope,
) -> Base:
    """The layers up to and including Conv2d_13_pointwise.

    Args:
      inputs: float32 [batch, height, width, channels].
      options: of all layers.
      depth_multiplier: above 0; multiplies each layer's channels, which are at least eight.
      scope: the open variable scope of the network.
    """

    def depth(channels: int) -> int:
        return max(int(channels * depth_multiplier), _MIN_DEPTH)

    options = dataclasses.replace(options, range_prefix=scope.name + "/")
    end_points = {}
    # Entering the scope a second time doubles it in the names of operations and of
    # quantisation's variables, but not in those of the layers' own variables: published
    # checkpoints have these names.
    with tf.variable_scope(scope):
        name = "Conv2d_0"
        net, last_range = layers.conv2d(
            inputs, depth(_FIRST_DEPTH), 3, options, stride=2, relu6=True, scope=name
        )
        end_points[name] = net
        for i, layer in enumerate(_SEPARABLE, start=1):
            name = f"Conv2d_{i}_depthwise"
            net, _ = layers.depthwise_conv2d(
                net, 3, options, stride=layer.stride, relu6=True, scope=name
            )
            end_points[name] = net
            name = f"Conv2d_{i}_pointwise"
            net, last_range = layers.conv2d(
                net, depth(layer.depth), 1, options, relu6=True, scope=name
            )
            end_points[name] = net
    return Base(end_points, last_range)


def _calibrate(values: Mapping[str, np.ndarray]) -> Calibration:
    return Calibration({}, feature_mean.of_relu6(values, _LAST_BATCH_NORM))


NETWORK = Network(
    name="mobilenet_v1",
    title="MobileNet V1",
    scope="MobilenetV1",
    image_size=224,
    num_classes=1001,
    embedding_size=1024,
    build_base=_build_base,
    initializer=lambda: tf.truncated_normal_initializer(stddev=_STDDEV),
    features_range="MobilenetV1/MobilenetV1/Conv2d_13_pointwise/act_quant",
    # That of tf-slim.
    published=PublishedClassifier(
        kernel="MobilenetV1/Logits/Conv2d_1c_1x1/weights",
        biases="MobilenetV1/Logits/Conv2d_1c_1x1/biases",
        has_ranges=True,
    ),
    calibrate=_calibrate,
    crop=Crop.STRETCHED,
    # That of the reference.
    pool_size=7,
    per_channel=False,
    has_depth_multiplier=True,
)
