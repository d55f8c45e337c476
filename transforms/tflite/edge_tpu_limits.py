"""Whether an operator is within the limits of an operation of the Edge TPU.

Each function takes the operator as the schema has it, and as `model_graph` shows it, and the values
of its constants. Their names are those in `edge_tpu_rules.OPERATIONS`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from transforms.tflite import edge_tpu_rules
from transforms.tflite.model_graph import Operator, Tensor

# A tensor -> its values, flat; None if it is not a constant.
Values = Callable[[Tensor | None], np.ndarray | None]
# The rank of tensors whose first dimension is the batch.
_RANK = 4


def _option(options: Any, name: str, default: Any) -> Any:
    return default if options is None else getattr(options, name, default)


def _no_activation(options: Any, op: Operator, values: Values) -> bool:
    return _option(options, "fusedActivationFunction", 0) == 0


def _zero_constant(options: Any, op: Operator, values: Values) -> bool:
    found = [(t, values(t)) for t in op.inputs if t is not None and t.constant]
    if not found:
        return True
    return len(op.inputs) == 2 and all(
        v is not None and len(t.zero_points) == 1 and bool(np.all(v == t.zero_points[0]))
        for t, v in found
    )


def _same_dilation(options: Any, op: Operator, values: Values) -> bool:
    return _option(options, "dilationWFactor", 1) == _option(options, "dilationHFactor", 1)


def _default_weights(options: Any, op: Operator, values: Values) -> bool:
    return _option(options, "weightsFormat", 0) == 0


def _is_vector(tensor: Tensor | None) -> bool:
    return tensor is not None and all(size == 1 for size in tensor.shape[:-1])


def _vector_output(options: Any, op: Operator, values: Values) -> bool:
    return _is_vector(op.outputs[0])


def _short_vector_input(options: Any, op: Operator, values: Values) -> bool:
    tensor = op.input(0)
    return _is_vector(tensor) and max(tensor.shape, default=1) <= edge_tpu_rules.SOFTMAX_SIZE


def _axes(op: Operator, values: Values) -> list[int] | None:
    """The axes of a reduction, from 0; None if they are not constant."""
    tensor, axes = op.input(0), values(op.input(1))
    if tensor is None or axes is None:
        return None
    return [int(axis) % max(len(tensor.shape), 1) for axis in axes]


def _not_along_batch(options: Any, op: Operator, values: Values) -> bool:
    axes, tensor = _axes(op, values), op.input(0)
    return axes is not None and not (len(tensor.shape) == _RANK and 0 in axes)


def _channels_of_mean(options: Any, op: Operator, values: Values) -> bool:
    axes, tensor = _axes(op, values), op.input(0)
    if axes is None or len(tensor.shape) - 1 not in axes:
        return axes is not None
    return tensor.shape[-1] % edge_tpu_rules.MEAN_CHANNELS == 0


def _no_batch_axis(options: Any, op: Operator, values: Values) -> bool:
    # SPLIT takes the axis as its first input, PACK as an option.
    split = op.name == "SPLIT"
    tensor = op.input(1) if split else op.outputs[0]
    found = values(op.input(0)) if split else [_option(options, "axis", 0)]
    if found is None or tensor is None:
        return False
    axis = int(found[0]) % max(len(tensor.shape), 1)
    return not (len(tensor.shape) == _RANK and axis == 0)


def _no_padded_batch(options: Any, op: Operator, values: Values) -> bool:
    tensor, padding = op.input(0), values(op.input(1))
    if tensor is None or padding is None:
        return False
    return len(tensor.shape) < _RANK or not np.any(padding[:2])


def _vector_slope(options: Any, op: Operator, values: Values) -> bool:
    return _is_vector(op.input(1))


def _plain_slice(options: Any, op: Operator, values: Values) -> bool:
    strides = values(op.input(3))
    masks = (_option(options, "ellipsisMask", 0), _option(options, "newAxisMask", 0))
    return strides is not None and bool(np.all(strides == 1)) and masks == (0, 0)


LIMITS: dict[str, Callable[[Any, Operator, Values], bool]] = {
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
