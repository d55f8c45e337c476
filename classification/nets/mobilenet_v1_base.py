"""The base of MobileNet V1: Howard et al., "MobileNets", arXiv 1704.04861, table 1.

Its variables have tf-slim's names.
"""

from typing import NamedTuple

import tensorflow.compat.v1 as tf

from classification.nets import layers
from classification.nets.batch_norm import BatchNorm
from third_party.tf_slim.slim import slim

_MIN_DEPTH = 8


class _Separable(NamedTuple):
    depth: int
    stride: int


# arXiv 1704.04861, table 1: a 3x3 convolution to 32 channels, then thirteen pairs of
# a depthwise and a pointwise convolution.
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


@slim.add_arg_scope
def mobilenet_v1_base(
    inputs: tf.Tensor,
    *,
    depth_multiplier: float = 1.0,
    freeze: bool = False,
    update_statistics: bool = False,
    batch_norm: BatchNorm,
    scope: tf.VariableScope,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The layers up to and with Conv2d_13_pointwise.

    Args:
      inputs: float32 [batch, height, width, channels].
      depth_multiplier: above 0; multiplies each layer's channels, of which there
        remain at least eight.
      freeze: whether it is built for inference, its kernels folded once, when local
        variables are initialised, and none of it trained.
      update_statistics: whether a frozen base's moving statistics and ranges adapt to
        the data all the same, its batch norm running on the batch's.
      batch_norm: of all layers.
      scope: the open variable scope of the network.

    Returns:
      The last layer's output, float32 [batch, height / 32, width / 32, depth], and
      every layer's by its name.
    """

    def depth(channels: int) -> int:
        return max(int(channels * depth_multiplier), _MIN_DEPTH)

    frozen = {"trainable": False} if freeze else {}
    if freeze and not update_statistics:
        frozen.update(is_training=False, fold_once=True)
    end_points = {}
    # Entering the scope a second time doubles it in the names of operations and of
    # quantisation's variables, not in those of the layers' own: so it is in checkpoints.
    with (
        tf.variable_scope(scope),
        slim.arg_scope(
            [layers.conv2d, layers.depthwise_conv2d],
            batch_norm=batch_norm,
            relu6=True,
            range_prefix=scope.name + "/",
            **frozen,
        ),
    ):
        net = layers.conv2d(inputs, depth(_FIRST_DEPTH), 3, stride=2, scope="Conv2d_0")
        end_points["Conv2d_0"] = net
        for i, layer in enumerate(_SEPARABLE, start=1):
            name = f"Conv2d_{i}_depthwise"
            net = layers.depthwise_conv2d(net, 3, stride=layer.stride, scope=name)
            end_points[name] = net
            name = f"Conv2d_{i}_pointwise"
            net = layers.conv2d(net, depth(layer.depth), 1, scope=name)
            end_points[name] = net
    return net, end_points
