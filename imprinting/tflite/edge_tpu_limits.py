"""Whether an operator is within the limits of an operation of the Edge TPU.

The names of the functions in `LIMITS` are those in `edge_tpu_rules.OPERATIONS`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from imprinting.tflite import edge_tpu_rules
from imprinting.tflite.model_graph import Operator, Tensor

# The rank of tensors whose first dimension is the batch.
_RANK = 4


@dataclasses.dataclass(frozen=True)
class Use:
    """An operator with its options and constants.

    Attributes:
      operator: the operator.
      options: its options, an object of the schema; None if it has none.
      values: a tensor -> its values, flat; None if it is not a constant of integers.
    """

    operator: Operator
    options: Any
    values: Callable[[Tensor], np.ndarray | None]

    def option(self, name: str, default: int) -> int:
        """Returns an option, or the default if it is left out."""
        return default if self.options is None else getattr(self.options, name, default)

    def shape(self, index: int) -> tuple[int, ...]:
        """Returns the shape of an input; () if it is left out."""
        tensor = self.operator.input(index)
        return () if tensor is None else tensor.shape

    def constant(self, index: int) -> np.ndarray | None:
        """Returns the values of an input; None if it is left out or not a constant."""
        tensor = self.operator.input(index)
        return None if tensor is None else self.values(tensor)


def _no_activation(use: Use) -> bool:
    return use.option("fusedActivationFunction", 0) == 0


def _zero_constant(use: Use) -> bool:
    inputs = [tensor for tensor in use.operator.inputs if tensor is not None]
    constants = [tensor for tensor in inputs if tensor.constant]
    if not constants:
        return True
    return len(inputs) == 2 and all(map(functools.partial(_is_zero, use), constants))


def _is_zero(use: Use, tensor: Tensor) -> bool:
    values = use.values(tensor)
    return len(tensor.zero_points) == 1 and bool(np.all(values == tensor.zero_points[0]))


def _same_dilation(use: Use) -> bool:
    return use.option("dilationWFactor", 1) == use.option("dilationHFactor", 1)


def _default_weights(use: Use) -> bool:
    return use.option("weightsFormat", 0) == 0


def _is_vector(shape: tuple[int, ...]) -> bool:
    return all(size == 1 for size in shape[:-1])


def _vector_output(use: Use) -> bool:
    return _is_vector(use.operator.outputs[0].shape)


def _short_vector_input(use: Use) -> bool:
    shape = use.shape(0)
    return _is_vector(shape) and max(shape, default=1) <= edge_tpu_rules.SOFTMAX_SIZE


def _axes(use: Use) -> list[int] | None:
    """The axes of a reduction, from 0; None if they are not constant."""
    axes = use.constant(1)
    return None if axes is None else [int(axis) % max(len(use.shape(0)), 1) for axis in axes]


def _not_along_batch(use: Use) -> bool:
    axes = _axes(use)
    return axes is not None and not (len(use.shape(0)) == _RANK and 0 in axes)


def _channels_of_mean(use: Use) -> bool:
    axes, shape = _axes(use), use.shape(0)
    if axes is None or len(shape) - 1 not in axes:
        return axes is not None
    return shape[-1] % edge_tpu_rules.MEAN_CHANNELS == 0


def _no_batch_axis(use: Use) -> bool:
    # SPLIT takes the axis as its first input, PACK as an option.
    axis, shape = use.option("axis", 0), use.operator.outputs[0].shape
    if use.operator.name == "SPLIT":
        values = use.constant(0)
        if values is None:
            return False
        axis, shape = int(values[0]), use.shape(1)
    return not (len(shape) == _RANK and axis % _RANK == 0)


def _no_padded_batch(use: Use) -> bool:
    padding = use.constant(1)
    return padding is not None and (len(use.shape(0)) < _RANK or not np.any(padding[:2]))


def _vector_slope(use: Use) -> bool:
    return _is_vector(use.shape(1))


def _plain_slice(use: Use) -> bool:
    strides = use.constant(3)
    masks = (use.option("ellipsisMask", 0), use.option("newAxisMask", 0))
    return strides is not None and bool(np.all(strides == 1)) and masks == (0, 0)


LIMITS: dict[str, Callable[[Use], bool]] = {
    "channels_of_mean": _channels_of_mean,
    "default_weights": _default_weights,
    "no_activation": _no_activation,
    "no_batch_axis": _no_batch_axis,
    "no_padded_batch": _no_padded_batch,
    "not_along_batch": _not_along_batch,
    "plain_slice": _plain_slice,
    "same_dilation": _same_dilation,
    "short_vector_input": _short_vector_input,
    "vector_output": _vector_output,
    "vector_slope": _vector_slope,
    "zero_constant": _zero_constant,
}
