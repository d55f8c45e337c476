"""Batch norm, folded into the convolution that it follows.

Ioffe and Szegedy, "Batch Normalization", arXiv 1502.03167, algorithms 1 and 2: a
convolution's result x becomes g (x - m) rsqrt(v + eps) + b. Folding turns this into a
factor of the kernel and a bias (Jacob et al., arXiv 1712.05877, section 3.2). Quantised
networks need it because the folded kernel is what gets quantised.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from third_party.tf_slim.slim import slim


@dataclasses.dataclass(frozen=True)
class BatchNorm:
    """How batches are normalised.

    Attributes:
      decay: of the moving statistics, per step.
      epsilon: added to variances.
      freeze: whether training also uses the moving statistics, which then do not change.
    """

    decay: float = 0.9997
    epsilon: float = 0.001
    freeze: bool = False


class Fold(NamedTuple):
    """Batch norm as factors and a bias, float32 [channels] each.

    Attributes:
      kernel: factors of the kernel, applied one after another.
      output: factor of the convolution's result, or None.
      bias: added to the result.
    """

    kernel: tuple[tf.Tensor, ...]
    output: tf.Tensor | None
    bias: tf.Tensor


class Moments(NamedTuple):
    """What is known of the channels of a batch of activations.

    Attributes:
      mean: float32 [channels].
      variance: float32 [channels], the unbiased one.
      count: float32, the number of values of each channel.
    """

    mean: tf.Tensor
    variance: tf.Tensor
    count: tf.Tensor


class Statistics:
    """Batch norm's variables: gamma g, beta b, moving mean m and moving variance v."""

    def __init__(self, channels: int, params: BatchNorm, trainable: bool):
        def variable(name: str, value: float, trained: bool) -> tf.Variable:
            return slim.model_variable(
                name,
                shape=[channels],
                initializer=tf.constant_initializer(value),
                trainable=trained,
            )

        self._params = params
        self._beta = variable("beta", 0.0, trainable)
        self._gamma = variable("gamma", 1.0, trainable)
        self._mean = variable("moving_mean", 0.0, False)
        self._variance = variable("moving_variance", 1.0, False)

    def fold(self, *, correctly_rounded: bool = False) -> Fold:
        """Uses the moving statistics: factor g rsqrt(v + eps), bias b - m g rsqrt(v + eps).

        Args:
          correctly_rounded: whether the factor is computed as g / sqrt(v + eps), whose operations
            give the same result on every processor when constants are folded. rsqrt does not.
        """
        variance = self._variance + self._params.epsilon
        if correctly_rounded:
            multiplier = self._gamma / tf.sqrt(variance)
        else:
            multiplier = self._gamma * tf.rsqrt(variance)
        return Fold((multiplier,), None, self._beta - self._mean * multiplier)

    def fold_with_batch(self, moments: Moments) -> Fold:
        """Uses the mean mb and the variance vb of a batch, and moves the moving statistics.

        The folded kernel is still W g rsqrt(v + eps), so that its range does not jump from
        batch to batch; the convolution's result is corrected by sqrt(v + eps) / sqrt(vb + eps).
        The operations and their order are the reference's, because a difference in the last
        bit can change how a fake-quant node rounds.

        Args:
          moments: those of the convolution with the original kernel.
        """
        mean, unbiased, count = moments
        variance = unbiased * ((count - 1.0) / count)
        inverse = tf.rsqrt(variance + self._params.epsilon)
        correction = tf.rsqrt(self._variance + self._params.epsilon) / inverse
        multiplier = self._gamma * inverse
        # A reference variable changes in place, so it must be read before it is updated.
        with tf.control_dependencies([correction]):
            self._move(self._mean, tf.stop_gradient(mean))
            self._move(self._variance, tf.stop_gradient(unbiased))
        return Fold(
            (correction, multiplier),
            tf.math.reciprocal(correction),
            self._beta - mean * multiplier,
        )

    def _move(self, variable: tf.Variable, value: tf.Tensor) -> None:
        update = tf.assign_sub(variable, (variable - value) * (1.0 - self._params.decay))
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update.op)


def _count(net: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.reduce_prod(tf.shape(net)[:3]), tf.float32)


def batch_moments(net: tf.Tensor) -> Moments:
    """The moments of each channel, in one pass, with their gradients.

    TensorFlow's fused batch norm returns both, but does not have their gradients. For N
    values x of a channel with mean m, these are 1 / N and 2 (x - m) / (N - 1).

    Args:
      net: float32 [batch, height, width, channels]. For a single value per channel, the
        variance is 0.
    """
    channels = net.shape[-1]
    count = _count(net)

    @tf.custom_gradient
    def moments(net: tf.Tensor) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable]:
        _, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=net,
            scale=tf.ones([channels]),
            offset=tf.zeros([channels]),
            mean=[],
            variance=[],
            is_training=True,
        )

        def gradient(d_mean: tf.Tensor, d_variance: tf.Tensor) -> tf.Tensor:
            slope = d_variance * 2.0 / tf.maximum(count - 1.0, 1.0)
            return _affine(net, slope, d_mean / count - mean * slope)

        return (mean, variance), gradient

    mean, variance = moments(net)
    return Moments(mean, variance, count)


def pointwise_moments(net: tf.Tensor, kernel: tf.Tensor) -> Moments:
    """The moments of each channel of a pointwise convolution, without the convolution.

    The results of the convolution are linear in its inputs x. With their mean m, their covariance
    C and the kernel W, the means are m'W, and the variances the diagonal of W'CW. C takes as many
    operations as a convolution with as many outputs as inputs, and so does the gradient; the
    gradients of a convolution take twice as many, and its results are memory to read again.

    Args:
      net: float32 [batch, height, width, inputs].
      kernel: float32 [1, 1, inputs, outputs].

    Returns:
      The moments of the outputs; the variance of a single value is 0.
    """
    inputs, outputs = kernel.shape[-2:]
    count = _count(net)

    @tf.custom_gradient
    def moments(
        rows: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable]:
        mean = tf.reduce_mean(rows, axis=0)
        # The sums of products themselves, minus those of the means, would lose digits of variances
        # that are small next to the means.
        centred = rows - mean
        divisor = tf.maximum(count - 1.0, 1.0)
        covariance = tf.matmul(centred, centred, transpose_a=True) / divisor
        weighted = tf.matmul(covariance, weights)
        mean_out = tf.linalg.matvec(weights, mean, transpose_a=True)
        variance_out = tf.reduce_sum(weights * weighted, axis=0)

        def gradient(d_mean: tf.Tensor, d_variance: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            d_covariance = tf.matmul(weights * d_variance, weights, transpose_b=True)
            slope = 2.0 * d_covariance / divisor
            offset = tf.linalg.matvec(weights, d_mean) / count - tf.linalg.matvec(slope, mean)
            d_weights = mean[:, tf.newaxis] * d_mean + 2.0 * weighted * d_variance
            return tf.nn.bias_add(tf.matmul(rows, slope), offset), d_weights

        return (mean_out, variance_out), gradient

    mean, variance = moments(tf.reshape(net, [-1, inputs]), tf.reshape(kernel, [inputs, outputs]))
    return Moments(mean, variance, count)


@tf.custom_gradient
def affine(
    net: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, ...]]]:
    """Multiplies each channel by a scale and adds an offset; result and gradients take one pass.

    It is computed as batch norm with a mean of 0 and a variance of 1. Separate products and sums
    would take five passes over memory, and memory limits the speed of training on few cores.

    Args:
      net: float32 [batch, height, width, channels].
      scale: float32 [channels].
      offset: float32 [channels].

    Returns:
      float32, of net's shape.
    """

    def gradient(d_net: tf.Tensor) -> tuple[tf.Tensor, ...]:
        d_input, d_scale, d_offset, *_ = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=d_net,
            x=net,
            scale=scale,
            reserve_space_1=tf.zeros_like(scale),
            reserve_space_2=tf.ones_like(scale),
            reserve_space_3=tf.zeros_like(scale),
            epsilon=0.0,
            is_training=False,
        )
        return d_input, d_scale, d_offset

    return _affine(net, scale, offset), gradient


def _affine(net: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    result, *_ = tf.raw_ops.FusedBatchNormV3(
        x=net,
        scale=scale,
        offset=offset,
        mean=tf.zeros_like(scale),
        variance=tf.ones_like(scale),
        epsilon=0.0,
        is_training=False,
    )
    return result
