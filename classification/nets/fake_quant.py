"""Fake quantisation of weights and activations, for quantisation-aware training.

A fake-quant node rounds a tensor to the 256 levels that eight bits give between a
minimum and a maximum, and returns floats, so that training sees the error which
the quantised network will make. Its gradient is that of the identity inside the
range and zero outside (Jacob et al., "Quantization and Training of Neural Networks
for Efficient Integer-Arithmetic-Only Inference", arXiv 1712.05877, sections 2.1, 3).

Ranges live in two variables, `min` and `max`, named as TensorFlow 1's
contrib.quantize named them, so that checkpoints are interchangeable with its.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from third_party.tf_slim.slim import slim

# What TFLite gives the output of every L2_NORMALIZATION: scale 1/128, zero point 128.
TFLITE_L2_NORM_RANGE = (-1.0, 127.0 / 128.0)

# Variables that are in a checkpoint for other programs to read, and that nothing of
# a checkpoint may change here.
CONSTANT_RANGES = "constant_quantization_ranges"


@dataclasses.dataclass(frozen=True)
class Quantization:
    """How a network is quantised while it is built.

    Attributes:
      delay: the global step from which the fake-quant nodes of a training graph
        quantise; before it they pass their input through, while ranges are learned.
      range_decay: decay, in (0, 1), of the moving averages of activations' ranges.
      learned_embedding_range: whether the range of the embedding, and that of what
        the average pool returns, is the reference's (learned; none), instead of the
        ones that a `.tflite` has in these places.
      round_activations: whether activations are rounded to their range's levels, and not only kept
        within it: without, a network tells what rounding them costs.
    """

    delay: int = 0
    range_decay: float = 0.999
    learned_embedding_range: bool = False
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
    """Variables are named `name/…`, operations `op_scope/…` below the current scope."""
    # The scope of a reference's variable is not that of the layer it belongs to, but
    # the layer's name as an operation: hence a variable scope from the root.
    variables = tf.VariableScope(reuse=tf.get_variable_scope().reuse, name=name)
    with (
        tf.name_scope(op_scope),
        tf.variable_scope(variables, auxiliary_name_scope=False),
    ):
        yield


def _range_variable(name: str, value: float) -> tf.Variable:
    return slim.model_variable(
        name, shape=[], initializer=tf.constant_initializer(value), trainable=False
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
    if not quantization.delay:
        return quantized
    started = tf.train.get_or_create_global_step() >= quantization.delay
    return tf.cond(started, lambda: quantized, lambda: inputs, name="delayed")


def quantize_weights(
    weights: tf.Tensor, name: str, *, quantization: Quantization, is_training: bool
) -> tf.Tensor:
    """Fake-quantises a kernel to 255 levels, 1..255, with the range of its values.

    Args:
      weights: float32, any shape.
      name: what the variables' names start with; they are `NAME/weights_quant/min`
        and `max`.
      quantization: the network's.
      is_training: whether the range is that of the weights as they are now, which
        the variables are set to by an operation in UPDATE_OPS; else it is read from
        the variables.

    Returns:
      The quantised weights, of the same shape.
    """
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

    # The gradients of both in one: they are zero below zero and from the range's end on. The
    # fake-quant node's own gradient op also computes the gradients of the range, which nothing
    # needs, in two more passes over memory. And only one byte per activation is kept for ours.
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
    arXiv 1412.6980, section 3). A batch is quantised with the averages that it has
    already moved.

    Args:
      inputs: float32, any shape.
      name: what the variables' names start with; they are `NAME/SUFFIX/min` and
        `max` and, in training, `biased` and `local_step` of each.
      quantization: the network's.
      is_training: whether ranges move with the batch, by operations in UPDATE_OPS;
        else they are read from the variables.
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
    """The moving average of value, which UPDATE_OPS will store in variable."""
    zeros = tf.zeros_initializer()
    # The variable's own name, from the root, stands in that of its companions twice.
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
    """Fake-quantises activations with a range known beforehand.

    The range is in the checkpoint too, under the names that `quantize_activations`
    would give it, for programs that read it there. Nothing here does: the range is
    the one asked for, whatever a checkpoint says.

    Args:
      inputs: float32, any shape.
      name: what the variables' names start with.
      limits: least and greatest value.
      quantization: the network's.
      is_training: whether this is a training graph, in which the delay counts.
      suffix: last part of the scope of variables and operations.
    """
    with _scopes(f"{name}/{suffix}", suffix):
        for variable, limit in (("min", limits[0]), ("max", limits[1])):
            if is_training:
                tf.add_to_collection(CONSTANT_RANGES, _range_variable(variable, limit))
        constants = Range(tf.constant(limits[0]), tf.constant(limits[1]))
        quantized = _fake_quant_activations(inputs, constants, quantization)
        return _delayed(quantized, inputs, quantization) if is_training else quantized
