"""Convolutions with batch norm, that quantise themselves when told to.

The layers stand in for slim.conv2d and slim.separable_conv2d: variables have the
same names, and every option comes through `slim.arg_scope`. With `quantization`
given, batch norm is folded into the kernel and fake-quant nodes are put in while
the layer is built (Jacob et al., arXiv 1712.05877, section 3.2; Krishnamoorthi,
arXiv 1806.08342, section 3.1.4 for the correction by moving variances).
"""

import functools
from collections.abc import Callable

import tensorflow.compat.v1 as tf

from classification.nets import fake_quant
from classification.nets.batch_norm import BatchNorm, Statistics, affine
from classification.nets.fake_quant import Quantization
from third_party.tf_slim.slim import slim

Convolve = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@slim.add_arg_scope
def conv2d(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: int,
    *,
    stride: int = 1,
    batch_norm: BatchNorm | None = None,
    relu6: bool = False,
    normalize_weights: bool = False,
    train_biases: bool = True,
    initializer: tf.keras.initializers.Initializer | None = None,
    regularizer: Callable[[tf.Tensor], tf.Tensor] | None = None,
    trainable: bool = True,
    is_training: bool = True,
    fold_once: bool = False,
    quantization: Quantization | None = None,
    range_prefix: str = "",
    scope: str,
) -> tf.Tensor:
    """A convolution, padded to keep its size, with batch norm or else with biases.

    Args:
      inputs: float32 [batch, height, width, channels].
      num_outputs: channels of the result.
      kernel_size: height and width of the kernel.
      stride: in both directions.
      batch_norm: its parameters; None gives biases instead.
      relu6: whether a Relu6 ends the layer.
      normalize_weights: whether the kernel is L2-normalised over the input channels,
        so that each output channel's kernel is a unit vector.
      train_biases: False leaves the biases at zero.
      initializer: of the kernel; Xavier's uniform one where None.
      regularizer: of the kernel; has no say where it is not trainable.
      trainable: whether any of the layer's variables is trained.
      is_training: whether batch norm takes the batch's statistics, and moves its
        averages and the quantisation's ranges.
      fold_once: whether the kernel, batch norm folded in and quantised, and the biases are
        computed once, when local variables are initialised, and not at every step: for a
        layer with batch norm, not in training, whose variables do not change.
      quantization: how to quantise; None for float.
      range_prefix: what the names of quantisation's variables have before the layer's.
      scope: the layer's name.

    Returns:
      float32 [batch, ceil(height / stride), ceil(width / stride), num_outputs].
    """
    with tf.variable_scope(scope, values=[inputs]) as variable_scope:
        weights = _kernel(
            "weights",
            [kernel_size, kernel_size, inputs.shape[-1], num_outputs],
            initializer,
            regularizer,
            trainable,
        )
        if normalize_weights:
            # The form that tflite's converter and the graph transforms know.
            weights = tf.nn.l2_normalize(weights, axis=-2)
        # A convolution brings its kernel into another order first, and its gradients too: at a
        # single place, most of its time. Products are for training alone; a deployed network
        # has convolutions.
        is_product = is_training and kernel_size == 1 and inputs.shape[1:3] == [1, 1]
        return _layer(
            inputs,
            weights,
            _multiply if is_product else functools.partial(_convolve, stride),
            scale_kernel=lambda w, scale: w * scale,
            channels=num_outputs,
            batch_norm=batch_norm,
            relu6=relu6,
            train_biases=train_biases,
            trainable=trainable,
            is_training=is_training,
            fold_once=fold_once,
            quantization=quantization,
            name=range_prefix + variable_scope.name,
        )


@slim.add_arg_scope
def depthwise_conv2d(
    inputs: tf.Tensor,
    kernel_size: int,
    *,
    stride: int = 1,
    batch_norm: BatchNorm | None = None,
    relu6: bool = False,
    initializer: tf.keras.initializers.Initializer | None = None,
    regularizer: Callable[[tf.Tensor], tf.Tensor] | None = None,
    trainable: bool = True,
    is_training: bool = True,
    fold_once: bool = False,
    quantization: Quantization | None = None,
    range_prefix: str = "",
    scope: str,
) -> tf.Tensor:
    """A convolution of each channel with a kernel of its own; else as `conv2d`."""
    channels = inputs.shape[-1]
    with tf.variable_scope(scope, values=[inputs]) as variable_scope:
        weights = _kernel(
            "depthwise_weights",
            [kernel_size, kernel_size, channels, 1],
            initializer,
            regularizer,
            trainable,
        )
        return _layer(
            inputs,
            weights,
            lambda x, w: tf.nn.depthwise_conv2d(
                x, w, strides=[1, stride, stride, 1], padding="SAME"
            ),
            scale_kernel=lambda w, scale: w * scale[:, tf.newaxis],
            channels=channels,
            batch_norm=batch_norm,
            relu6=relu6,
            train_biases=True,
            trainable=trainable,
            is_training=is_training,
            fold_once=fold_once,
            quantization=quantization,
            name=range_prefix + variable_scope.name,
        )


def _convolve(stride: int, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(inputs, kernel, strides=stride, padding="SAME")


def _multiply(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution [batch, 1, 1, channels] by [1, 1, channels, outputs], as a product."""
    # Not slices, whose gradients are written into zeros.
    net = tf.linalg.matmul(tf.squeeze(inputs, [1, 2]), tf.squeeze(kernel, [0, 1]))
    return net[:, tf.newaxis, tf.newaxis, :]


def _kernel(
    name: str,
    shape: list[int],
    initializer: tf.keras.initializers.Initializer | None,
    regularizer: Callable[[tf.Tensor], tf.Tensor] | None,
    trainable: bool,
) -> tf.Variable:
    return slim.model_variable(
        name,
        shape=shape,
        initializer=initializer or slim.xavier_initializer(),
        # Weights that nobody trains have no part in the loss.
        regularizer=regularizer if trainable else None,
        trainable=trainable,
    )


def _layer(
    inputs: tf.Tensor,
    weights: tf.Tensor,
    convolve: Convolve,
    *,
    scale_kernel: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    channels: int,
    batch_norm: BatchNorm | None,
    relu6: bool,
    train_biases: bool,
    trainable: bool,
    is_training: bool,
    fold_once: bool,
    quantization: Quantization | None,
    name: str,
) -> tf.Tensor:
    """What follows the kernel: convolution, batch norm or biases, Relu6, quantisation."""

    def quantized_weights(kernel: tf.Tensor) -> tf.Tensor:
        if quantization is None:
            return kernel
        return fake_quant.quantize_weights(
            kernel, name, quantization=quantization, is_training=is_training
        )

    if batch_norm is None:
        biases = slim.model_variable(
            "biases",
            shape=[channels],
            initializer=tf.zeros_initializer(),
            trainable=trainable and train_biases,
        )
        net = tf.nn.bias_add(convolve(inputs, quantized_weights(weights)), biases)
    elif quantization is None and not fold_once:
        net = slim.batch_norm(
            convolve(inputs, weights),
            decay=batch_norm.decay,
            epsilon=batch_norm.epsilon,
            center=True,
            scale=True,
            is_training=is_training and not batch_norm.freeze,
            trainable=trainable,
            updates_collections=_UPDATES,
            scope="BatchNorm",
        )
    else:
        with tf.variable_scope("BatchNorm"):
            statistics = Statistics(channels, batch_norm, trainable)
            if is_training and not batch_norm.freeze:
                fold = statistics.fold_with_batch(convolve(inputs, weights))
            else:
                fold = statistics.fold()
        for factor in fold.kernel:
            weights = scale_kernel(weights, factor)
        kernel, bias = quantized_weights(weights), fold.bias
        if fold_once:
            kernel, bias = _once(kernel), _once(bias)
        net = convolve(inputs, kernel)
        net = net + bias if fold.output is None else affine(net, fold.output, bias)
    if quantization is None:
        return tf.nn.relu6(net) if relu6 else net
    quantize = fake_quant.quantize_relu6 if relu6 else fake_quant.quantize_activations
    return quantize(net, name, quantization=quantization, is_training=is_training)


def _once(value: tf.Tensor) -> tf.Variable:
    """A variable that is given a value when local variables are initialised."""
    # Not on a parameter server: each worker has its own.
    with tf.device(value.device):
        variable = tf.Variable(
            tf.zeros(value.shape, value.dtype),
            trainable=False,
            collections=[tf.GraphKeys.LOCAL_VARIABLES],
            name="once",
        )
        # Given the value itself, a variable copies all that it is computed from, and the copies
        # belong on the parameter servers and on the worker at once.
        variable._initializer_op = tf.assign(variable, value).op
    return variable


# tf-slim compares with `is`, and takes its own code, which needs no Keras, for
# whatever is not the very object it knows.
_UPDATES = [tf.GraphKeys.UPDATE_OPS]
