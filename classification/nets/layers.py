"""Convolutions with batch norm, which can be quantised while they are built.

The layers replace slim.conv2d and slim.separable_conv2d; variables have the same
names. In a quantised layer, batch norm is folded into the kernel, and fake-quant
nodes follow the kernel and the activations (Jacob et al., arXiv 1712.05877, section
3.2; Krishnamoorthi, arXiv 1806.08342, section 3.1.4 for the correction by moving
variances).
"""

import dataclasses
import enum
import functools
from collections.abc import Callable

import tensorflow.compat.v1 as tf

from classification.nets import fake_quant
from classification.nets.batch_norm import (
    BatchNorm,
    Moments,
    Statistics,
    affine,
    batch_moments,
    pointwise_moments,
)
from classification.nets.fake_quant import Quantization, Range
from third_party.tf_slim.slim import slim

# Returns initial values of a shape and a type.
Initializer = Callable[..., tf.Tensor]
Convolve = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
# Returns the moments of a convolution's results, from its inputs and its kernel.
ComputeMoments = Callable[[tf.Tensor, tf.Tensor], Moments]


class Mode(enum.Enum):
    """What a layer is built for.

    Attributes:
      TRAINING: its variables are trained. Batch norm takes the batch's statistics, and moves
        its averages and the ranges of quantisation.
      STATISTICS_ONLY: the same, but nothing is trained: only averages and ranges move.
      FROZEN: part of a training graph that does not change. Kernel and biases, with batch norm
        folded in and the kernel quantised, are computed once, when local variables are
        initialised, and not at every step.
      INFERENCE: evaluation and deployment. Nothing moves.
    """

    TRAINING = enum.auto()
    STATISTICS_ONLY = enum.auto()
    FROZEN = enum.auto()
    INFERENCE = enum.auto()

    @property
    def is_trainable(self) -> bool:
        """Whether the variables are in the collection of trainable variables."""
        return self in (Mode.TRAINING, Mode.INFERENCE)

    @property
    def is_training(self) -> bool:
        """Whether batch norm takes the batch's statistics, and averages and ranges move."""
        return self in (Mode.TRAINING, Mode.STATISTICS_ONLY)


@dataclasses.dataclass(frozen=True)
class LayerOptions:
    """What the layers of a network, or of a part of it, have in common.

    Attributes:
      mode: what they are built for; FROZEN needs batch_norm.
      batch_norm: its parameters; None for biases instead.
      quantization: how they are quantised; None for float.
      initializer: of kernels; None for Xavier's uniform one.
      weight_decay: factor of half the squared L2 norm of each trained kernel in the loss;
        depthwise kernels are not decayed.
      range_prefix: what comes before the layer's name in the names of quantisation variables.
      kernel_name: the name of the variable with a convolution's kernel.
      depthwise_kernel_name: the same, for a depthwise convolution.
    """

    mode: Mode = Mode.TRAINING
    batch_norm: BatchNorm | None = None
    quantization: Quantization | None = None
    initializer: Initializer | None = None
    weight_decay: float = 0.0
    range_prefix: str = ""
    kernel_name: str = "weights"
    depthwise_kernel_name: str = "depthwise_weights"


def conv2d(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: int,
    options: LayerOptions,
    *,
    stride: int = 1,
    relu6: bool = False,
    normalize_weights: bool = False,
    train_biases: bool = True,
    batch_norm_scope: str | None = None,
    scope: str,
) -> tuple[tf.Tensor, Range | None]:
    """A convolution, padded to keep its size, with batch norm or with biases.

    Args:
      inputs: float32 [batch, height, width, channels].
      num_outputs: channels of the result.
      kernel_size: height and width of the kernel.
      options: the network's.
      stride: in both directions.
      relu6: whether a Relu6 ends the layer.
      normalize_weights: whether the kernel is L2-normalised over the input channels,
        so that each output channel's kernel is a unit vector.
      train_biases: False leaves the biases at zero.
      batch_norm_scope: the name of batch norm's variables, beside the layer's; None for
        `BatchNorm`, inside the layer's.
      scope: the layer's name.

    Returns:
      The activations, float32 [batch, ceil(height / stride), ceil(width / stride),
      num_outputs], and the range that they are quantised with; None in a float network.
    """
    with tf.variable_scope(scope, values=[inputs]) as variable_scope:
        weights = _kernel(
            options.kernel_name,
            [kernel_size, kernel_size, inputs.shape[-1], num_outputs],
            options,
            weight_decay=options.weight_decay,
        )
        if normalize_weights:
            # The form that tflite's converter and the graph transforms know.
            weights = tf.nn.l2_normalize(weights, axis=-2)
        # A convolution and its gradients first reorder the kernel. On a 1x1 feature map, that takes
        # most of the time, so training uses a product. A deployed network has convolutions.
        is_product = options.mode.is_training and kernel_size == 1 and inputs.shape[1:3] == [1, 1]
        return _layer(
            inputs,
            weights,
            _multiply if is_product else functools.partial(_convolve, stride),
            options,
            moments=pointwise_moments if _has_fast_moments(inputs, weights, stride) else None,
            scale_kernel=lambda w, scale: w * scale,
            channels=num_outputs,
            relu6=relu6,
            train_biases=train_biases,
            batch_norm_scope=_beside(variable_scope, batch_norm_scope),
            name=options.range_prefix + variable_scope.name,
        )


def depthwise_conv2d(
    inputs: tf.Tensor,
    kernel_size: int,
    options: LayerOptions,
    *,
    stride: int = 1,
    relu6: bool = False,
    batch_norm_scope: str | None = None,
    scope: str,
) -> tuple[tf.Tensor, Range | None]:
    """A convolution of each channel with its own kernel; otherwise as `conv2d`."""
    channels = inputs.shape[-1]
    with tf.variable_scope(scope, values=[inputs]) as variable_scope:
        weights = _kernel(
            options.depthwise_kernel_name, [kernel_size, kernel_size, channels, 1], options
        )
        return _layer(
            inputs,
            weights,
            lambda x, w: tf.nn.depthwise_conv2d(
                x, w, strides=[1, stride, stride, 1], padding="SAME"
            ),
            options,
            scale_kernel=lambda w, scale: w * scale[:, tf.newaxis],
            channels=channels,
            relu6=relu6,
            batch_norm_scope=_beside(variable_scope, batch_norm_scope),
            name=options.range_prefix + variable_scope.name,
        )


def _beside(layer: tf.VariableScope, name: str | None) -> str | tf.VariableScope:
    """The scope of batch norm's variables; see `conv2d`."""
    if name is None:
        return "BatchNorm"
    return tf.VariableScope(reuse=layer.reuse, name=f"{layer.name.rpartition('/')[0]}/{name}")


def _convolve(stride: int, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(inputs, kernel, strides=stride, padding="SAME")


def _multiply(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution [batch, 1, 1, channels] by [1, 1, channels, outputs], as a product."""
    # Not slices, whose gradients would be written into a larger tensor of zeros.
    net = tf.linalg.matmul(tf.squeeze(inputs, [1, 2]), tf.squeeze(kernel, [0, 1]))
    return net[:, tf.newaxis, tf.newaxis, :]


def _has_fast_moments(inputs: tf.Tensor, kernel: tf.Tensor, stride: int) -> bool:
    """Whether `pointwise_moments` takes fewer operations than a convolution and its gradients."""
    height, width, num_inputs, num_outputs = kernel.shape
    if not height == width == stride == 1 or None in inputs.shape[:3].as_list():
        return False
    positions = inputs.shape[:3].num_elements()
    # Depthwise convolutions have no such form: each channel's variance would need the products of
    # all pairs of a kernel's nine positions, and the convolution has nine products.
    return 2 * num_inputs * (positions + num_outputs) < 3 * positions * num_outputs


def _kernel(
    name: str, shape: list[int], options: LayerOptions, *, weight_decay: float = 0.0
) -> tf.Variable:
    trainable = options.mode.is_trainable
    # Weights that are not trained have no part in the loss.
    decayed = trainable and weight_decay != 0
    return slim.model_variable(
        name,
        shape=shape,
        initializer=options.initializer or slim.xavier_initializer(),
        regularizer=slim.l2_regularizer(weight_decay) if decayed else None,
        trainable=trainable,
    )


def _layer(
    inputs: tf.Tensor,
    weights: tf.Tensor,
    convolve: Convolve,
    options: LayerOptions,
    *,
    moments: ComputeMoments | None = None,
    scale_kernel: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    channels: int,
    relu6: bool,
    train_biases: bool = True,
    batch_norm_scope: str | tf.VariableScope,
    name: str,
) -> tuple[tf.Tensor, Range | None]:
    """What follows the kernel: convolution, batch norm or biases, Relu6, quantisation."""
    mode, batch_norm, quantization = options.mode, options.batch_norm, options.quantization
    fold_once = mode is Mode.FROZEN

    def quantized_weights(kernel: tf.Tensor) -> tf.Tensor:
        if quantization is None:
            return kernel
        return fake_quant.quantize_weights(
            kernel, name, quantization=quantization, is_training=mode.is_training
        )

    if batch_norm is None:
        biases = slim.model_variable(
            "biases",
            shape=[channels],
            initializer=tf.zeros_initializer(),
            trainable=mode.is_trainable and train_biases,
        )
        net = tf.nn.bias_add(convolve(inputs, quantized_weights(weights)), biases)
    elif quantization is None and not fold_once:
        net = slim.batch_norm(
            convolve(inputs, weights),
            decay=batch_norm.decay,
            epsilon=batch_norm.epsilon,
            center=True,
            scale=True,
            is_training=mode.is_training and not batch_norm.freeze,
            trainable=mode.is_trainable,
            updates_collections=_UPDATES,
            scope=batch_norm_scope,
        )
    else:
        with tf.variable_scope(batch_norm_scope):
            statistics = Statistics(channels, batch_norm, mode.is_trainable)
            if mode.is_training and not batch_norm.freeze:
                moments = moments or (lambda x, w: batch_moments(convolve(x, w)))
                fold = statistics.fold_with_batch(moments(inputs, weights))
            else:
                # In the reference's networks, with one range for each kernel, it is rsqrt.
                per_channel = quantization is not None and quantization.per_channel
                fold = statistics.fold(correctly_rounded=per_channel)
        for factor in fold.kernel:
            weights = scale_kernel(weights, factor)
        kernel, bias = quantized_weights(weights), fold.bias
        if fold_once:
            kernel, bias = _once(kernel), _once(bias)
        net = convolve(inputs, kernel)
        net = net + bias if fold.output is None else affine(net, fold.output, bias)
    if quantization is None:
        return tf.nn.relu6(net) if relu6 else net, None
    quantize = fake_quant.quantize_relu6 if relu6 else fake_quant.quantize_activations
    return quantize(net, name, quantization=quantization, is_training=mode.is_training)


def _once(value: tf.Tensor) -> tf.Variable:
    """A variable that gets its value when local variables are initialised."""
    # Not on a parameter server: each worker has its own.
    with tf.device(value.device):
        variable = tf.Variable(
            tf.zeros(value.shape, value.dtype),
            trainable=False,
            collections=[tf.GraphKeys.LOCAL_VARIABLES],
            name="once",
        )
        # If a variable is created with the value itself, TensorFlow copies everything that the
        # value is computed from. The copies would have to be on the parameter servers and on the
        # worker at once.
        variable._initializer_op = tf.assign(variable, value).op
    return variable


# tf-slim checks by `is` whether this list is its own default. For any other list, it uses code of
# its own that does not need Keras.
_UPDATES = [tf.GraphKeys.UPDATE_OPS]
