"""Fake quantisation of weights and activations, for quantisation-aware training.

A fake-quant node rounds a tensor to the 256 levels that eight bits give between a
minimum and a maximum, and returns floats, so that training sees the errors that
the quantised network will have. Its gradient is that of the identity inside the
range and zero outside (Jacob et al., "Quantization and Training of Neural Networks
for Efficient Integer-Arithmetic-Only Inference", arXiv 1712.05877, sections 2.1, 3).

Ranges are in two variables, `min` and `max`, with the names of TensorFlow 1's
contrib.quantize, so that checkpoints can be exchanged with it.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from third_party.tf_slim.slim import slim

# The range of the output of every L2_NORMALIZATION in TFLite: scale 1/128, zero point 128.
TFLITE_L2_NORM_RANGE = (-1.0, 127.0 / 128.0)

# The range of the pixels of a `.tflite`'s input, x = (q - 128) / 128.
INPUT_RANGE = (-1.0, 127.0 / 128.0)

# The least range of a channel of a kernel; a `.tflite` needs scales above 0.
LEAST_MAGNITUDE = 1e-6

# The collection of variables that are in checkpoints only for other programs. Their values must
# not be restored from a checkpoint.
CONSTANT_RANGES = "constant_quantization_ranges"


@dataclasses.dataclass(frozen=True)
class Quantization:
    """How a network is quantised while it is built.

    Attributes:
      delay: the global step from which the fake-quant nodes of a training graph
        quantise. Before that, they pass their input through while ranges are learned.
      range_decay: decay, in (0, 1), of the moving averages of activations' ranges.
      learned_embedding_range: whether, as in the reference, the embedding's range is
        learned and the average pool's result is not quantised. Otherwise both have the
        range that they have in a `.tflite`.
      per_channel: whether each output channel of a kernel has a range of its own, symmetric
        around 0, as `.tflite` files have in int8. Otherwise a kernel has one range.
      round_activations: whether activations are rounded to the levels of their range. If
        not, they are only clipped to it, which shows how much accuracy rounding costs.
    """

    delay: int = 0
    range_decay: float = 0.999
    learned_embedding_range: bool = False
    per_channel: bool = False
    round_activations: bool = True

    def __post_init__(self) -> None:
        if self.delay < 0:
            raise ValueError(f"expected a quantisation delay of at least 0, got {self.delay}")
        if not 0 < self.range_decay < 1:
            raise ValueError(f"expected a range decay between 0 and 1, got {self.range_decay}")


class Range(NamedTuple):
    """The limits that activations are quantised with, as float32 scalars."""

    low: tf.Tensor
    high: tf.Tensor


@contextlib.contextmanager
def _scopes(name: str, op_scope: str) -> Iterator[None]:
    """Variables are named `name/…`; operations are named `op_scope/…` in the current scope."""
    # In the reference, these variables are not in the variable scope of their layer, but named
    # after its operations; so this variable scope starts at the root.
    variables = tf.VariableScope(reuse=tf.get_variable_scope().reuse, name=name)
    with (
        tf.name_scope(op_scope),
        tf.variable_scope(variables, auxiliary_name_scope=False),
    ):
        yield


def _range_variable(name: str, value: float, channels: int | None = None) -> tf.Variable:
    return slim.model_variable(
        name,
        shape=[] if channels is None else [channels],
        initializer=tf.constant_initializer(value),
        trainable=False,
    )


def _update(variable: tf.Variable, value: tf.Tensor) -> None:
    tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign(variable, value).op)


def _fake_quant(
    inputs: tf.Tensor, low: tf.Tensor, high: tf.Tensor, *, narrow_range: bool = False
) -> tf.Tensor:
    return tf.quantization.fake_quant_with_min_max_vars(
        inputs, low, high, narrow_range=narrow_range, name="FakeQuantWithMinMaxVars"
    )


def _fake_quant_activations(
    inputs: tf.Tensor, limits: Range, quantization: Quantization
) -> tf.Tensor:
    if not quantization.round_activations:
        return tf.clip_by_value(inputs, limits.low, limits.high)
    return _fake_quant(inputs, limits.low, limits.high)


def _delayed(quantized: tf.Tensor, inputs: tf.Tensor, quantization: Quantization) -> tf.Tensor:
    """The quantised tensor from the delay on, and the tensor itself before."""
    if not quantization.delay:
        return quantized
    with tf.name_scope("delayed"):
        started = _has_started(quantization.delay)
        # Only one of the two is passed on, without a copy. For each tf.cond, TensorFlow would trace
        # two functions, and as many for their gradients: a third of the time to build a graph.
        _, after = tf.raw_ops.Switch(data=quantized, pred=started)
        before, _ = tf.raw_ops.Switch(data=inputs, pred=started)
        return tf.raw_ops.Merge(inputs=[before, after]).output


def _has_started(delay: int) -> tf.Tensor:
    """Whether the global step has reached the delay; the same tensor for all of a graph."""
    name = f"quantization_has_started_{delay}"
    try:
        return tf.get_default_graph().get_tensor_by_name(f"{name}:0")
    except KeyError:
        step = tf.train.get_or_create_global_step()
        with tf.name_scope(None), tf.control_dependencies(None):
            return tf.greater_equal(step, tf.constant(delay, step.dtype), name=name)


def quantize_weights(
    weights: tf.Tensor, name: str, *, quantization: Quantization, is_training: bool
) -> tf.Tensor:
    """Fake-quantises a kernel to 255 levels, 1..255, with the range of its values.

    Args:
      weights: float32 [height, width, inputs, outputs], or [height, width, channels, 1] of a
        depthwise convolution. With ranges per channel, the last dimension that is not 1 has the
        channels.
      name: the start of the variables' names, `NAME/weights_quant/min` and `max`.
      quantization: the network's.
      is_training: whether to use the range of the current weights, and to assign it to the
        variables by operations in UPDATE_OPS; otherwise the range is read from the variables.

    Returns:
      The quantised weights, of the same shape.
    """
    if quantization.per_channel:
        return _quantize_channels(weights, name, quantization, is_training)
    with _scopes(name + "/weights_quant", "weights_quant"):
        low, high = _range_variable("min", -6.0), _range_variable("max", 6.0)
        if not is_training:
            return _fake_quant(weights, low, high, narrow_range=True)
        values = tf.stop_gradient(weights)
        new_low = tf.minimum(tf.reduce_min(values), 0.0)
        new_high = tf.maximum(tf.reduce_max(values), 0.0)
        _update(low, new_low)
        _update(high, new_high)
        quantized = _fake_quant(weights, new_low, new_high, narrow_range=True)
        return _delayed(quantized, weights, quantization)


def _quantize_channels(
    weights: tf.Tensor, name: str, quantization: Quantization, is_training: bool
) -> tf.Tensor:
    """`quantize_weights`, with a range for each channel."""
    shape = weights.shape.as_list()
    # Depthwise kernels: the operation takes the last dimension for the channels.
    channels = shape[-1] if shape[-1] != 1 else shape[-2]
    with _scopes(name + "/weights_quant", "weights_quant"):
        low, high = (_range_variable(n, v, channels) for n, v in (("min", -6.0), ("max", 6.0)))
        flat = weights if shape[-1] == channels else tf.reshape(weights, shape[:-1])
        if is_training:
            values = tf.stop_gradient(flat)
            magnitude = tf.reduce_max(tf.abs(values), axis=list(range(values.shape.rank - 1)))
            magnitude = tf.maximum(magnitude, LEAST_MAGNITUDE)
            _update(low, -magnitude)
            _update(high, magnitude)
            # No value is outside its range, so the gradient is that of the identity.
            quantized = tf.grad_pass_through(lambda w: _round_channels(w, magnitude))(flat)
        else:
            quantized = tf.quantization.fake_quant_with_min_max_vars_per_channel(
                flat, low, high, narrow_range=True, name="FakeQuantWithMinMaxVarsPerChannel"
            )
        if flat is not weights:
            quantized = tf.reshape(quantized, shape)
        return _delayed(quantized, weights, quantization) if is_training else quantized


def _round_channels(values: tf.Tensor, magnitude: tf.Tensor) -> tf.Tensor:
    """Rounds to the levels -127..127 of ranges from -magnitude to magnitude of the last dimension.

    The result is that of FakeQuantWithMinMaxVarsPerChannel, which takes ten times as long with its
    gradient, since that also computes the gradients of the ranges.
    """
    scale = magnitude / 127.0
    return tf.round(values / scale) * scale


def quantize_input(
    inputs: tf.Tensor, *, quantization: Quantization, is_training: bool
) -> tf.Tensor:
    """Fake-quantises images to the 256 levels of the pixels of a `.tflite`'s input.

    Args:
      inputs: float32 [batch, height, width, channels] in [-1, 1].
      quantization: the network's.
      is_training: whether this is a training graph, to which the delay applies.

    Returns:
      The quantised images, of the same shape.
    """
    with tf.name_scope("input_quant"):
        quantized = _fake_quant(inputs, *map(tf.constant, INPUT_RANGE))
        return _delayed(quantized, inputs, quantization) if is_training else quantized


def quantize_relu6(
    inputs: tf.Tensor, name: str, *, quantization: Quantization, is_training: bool
) -> tuple[tf.Tensor, Range]:
    """A Relu6 whose result is fake-quantised: `quantize_activations`, with a faster gradient.

    Args:
      inputs: float32, any shape.
      name: see `quantize_activations`.
      quantization: see there.
      is_training: see there.

    Returns:
      See `quantize_activations`.
    """
    activations = tf.nn.relu6(inputs)
    quantized, limits = quantize_activations(
        tf.stop_gradient(activations) if is_training else activations,
        name,
        quantization=quantization,
        is_training=is_training,
        relu6=True,
    )
    if not is_training:
        return quantized, limits
    limit = _delayed(tf.minimum(limits.high, 6.0), tf.constant(6.0), quantization)

    # The gradient of Relu6 and fake-quant node together: it is zero below zero and from the end of
    # the range on. The fake-quant node's own gradient op would also compute the gradients of the
    # range, which nothing needs, in two more passes over memory. This gradient needs only one byte
    # per activation.
    inside = (activations > 0.0) & (activations < limit)

    @tf.custom_gradient
    def pass_through(
        inputs: tf.Tensor,
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        del inputs
        return tf.identity(quantized), lambda d_quantized: tf.where_v2(inside, d_quantized, 0.0)

    return pass_through(inputs), limits


def quantize_activations(
    inputs: tf.Tensor,
    name: str,
    *,
    quantization: Quantization,
    is_training: bool,
    suffix: str = "act_quant",
    relu6: bool = False,
) -> tuple[tf.Tensor, Range]:
    """Fake-quantises activations, with moving averages of their batches' ranges.

    The averages are corrected for their start at zero, as Adam's are (Kingma and Ba,
    arXiv 1412.6980, section 3). A batch is quantised with the averages as they are after its own
    update.

    Args:
      inputs: float32, any shape.
      name: the start of the variables' names, `NAME/SUFFIX/min` and `max`; in training,
        each also has a `biased` and a `local_step`.
      quantization: the network's.
      is_training: whether operations in UPDATE_OPS move the range with the batch;
        otherwise it is read from the variables.
      suffix: last part of the scope of variables and operations.
      relu6: whether the inputs are a Relu6's results, so that the range starts at 0.

    Returns:
      The quantised activations, of the same shape, and the range they are quantised with.
      In training this is not the range in the variables, which change in the same step.
    """
    scope = f"{name}/{suffix}"
    with _scopes(scope, suffix):
        low = _range_variable("min", 0.0 if relu6 else -6.0)
        high = _range_variable("max", 6.0)
        if not is_training:
            limits = Range(low, high)
            return _fake_quant_activations(inputs, limits, quantization), limits
        values = tf.stop_gradient(inputs)
        # A Relu6 returns nothing below zero.
        batch_low = tf.constant(0.0) if relu6 else tf.minimum(tf.reduce_min(values), 0.0)
        batch_high = tf.maximum(tf.reduce_max(values), 0.0)
        decay = quantization.range_decay
        limits = Range(
            _debiased_average(low, f"{scope}/min", batch_low, decay),
            _debiased_average(high, f"{scope}/max", batch_high, decay),
        )
        quantized = _fake_quant_activations(inputs, limits, quantization)
        return _delayed(quantized, inputs, quantization), limits


def _debiased_average(
    variable: tf.Variable, name: str, value: tf.Tensor, decay: float
) -> tf.Tensor:
    """The moving average of value; an operation in UPDATE_OPS stores it in the variable."""
    zeros = tf.zeros_initializer()
    # Created in the variable's own scope by its full name, so their names contain that name twice.
    biased = slim.variable(f"{name}/biased", shape=[], initializer=zeros, trainable=False)
    step = slim.variable(f"{name}/local_step", shape=[], initializer=zeros, trainable=False)
    new_biased = biased - (biased - value) * (1.0 - decay)
    new_step = step + 1.0
    average = new_biased / (1.0 - tf.pow(decay, new_step))
    _update(biased, new_biased)
    _update(step, new_step)
    _update(variable, average)
    return average


def quantize_like(
    inputs: tf.Tensor, limits: Range, *, quantization: Quantization, is_training: bool
) -> tf.Tensor:
    """Fake-quantises with the range of another layer's activations.

    An average of quantised values is within their range, and the average pool of a
    `.tflite` returns its results on the same scale.

    Args:
      inputs: float32, any shape.
      limits: what the other layer's `quantize_activations` returned.
      quantization: the network's.
      is_training: whether this is a training graph, to which the delay applies.

    Returns:
      The quantised activations, of the same shape.
    """
    with tf.name_scope("act_quant"):
        quantized = _fake_quant_activations(inputs, limits, quantization)
        return _delayed(quantized, inputs, quantization) if is_training else quantized


def quantize_with_range(
    inputs: tf.Tensor,
    name: str,
    limits: tuple[float, float],
    *,
    quantization: Quantization,
    is_training: bool,
    suffix: str,
) -> tf.Tensor:
    """Fake-quantises activations with a known range.

    A training graph also has the range in variables, named as `quantize_activations`
    would name them, for other programs that read checkpoints. This project always uses
    the known range, whatever a checkpoint says.

    Args:
      inputs: float32, any shape.
      name: the start of the variables' names.
      limits: least and greatest value.
      quantization: the network's.
      is_training: whether this is a training graph, to which the delay applies.
      suffix: last part of the scope of variables and operations.

    Returns:
      The quantised activations, of the same shape.
    """
    with _scopes(f"{name}/{suffix}", suffix):
        for variable, limit in (("min", limits[0]), ("max", limits[1])):
            if is_training:
                tf.add_to_collection(CONSTANT_RANGES, _range_variable(variable, limit))
        constants = Range(tf.constant(limits[0]), tf.constant(limits[1]))
        quantized = _fake_quant_activations(inputs, constants, quantization)
        return _delayed(quantized, inputs, quantization) if is_training else quantized
