"""A view of a TFLite model that is easy to read: its operators and tensors."""

import dataclasses
from typing import Any

import numpy as np

import imprinting.schema.tflite as schema

# The schema's ModelT. Its strings are bytes, its vectors numpy arrays or lists.
Model = Any


def _names(enumeration: type) -> dict[int, str]:
    return {v: k for k, v in vars(enumeration).items() if isinstance(v, int)}


_TYPES = _names(schema.TensorType)
_OPERATORS = _names(schema.BuiltinOperator)
_KINDS: dict[str, Any] = {"UINT8": np.uint8, "INT8": np.int8, "INT32": np.int32}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of a model.

    Attributes:
      index: its index in the model's list of tensors.
      name: its name, which may not be unique.
      type: its name in the schema: "UINT8", "FLOAT32", "INT32".
      shape: its dimensions; () for a scalar.
      scales: none if it is not quantised, one for the tensor, or one for each channel.
      zero_points: the quanta that mean 0, as many as scales.
      constant: whether the model contains its values.
    """

    index: int
    name: str
    type: str
    shape: tuple[int, ...]
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    constant: bool

    def __str__(self) -> str:
        """Type, shape and, if it is quantised, scale and zero point."""
        text = f"{self.type.lower()} {list(self.shape)}"
        if len(self.scales) == 1:
            text += f", scale {self.scales[0]:.6g}, zero point {self.zero_points[0]}"
        elif self.scales:
            text += f", {len(self.scales)} scales"
        return text

    def dequantise(self, values: np.ndarray) -> np.ndarray:
        """Returns the real numbers, float32, for values of this tensor."""
        if not self.scales:
            return np.asarray(values, np.float32)
        (scale,), (zero_point,) = self.scales, self.zero_points
        return (np.asarray(values, np.float32) - zero_point) * np.float32(scale)


@dataclasses.dataclass(frozen=True)
class Operator:
    """An operator of a model.

    Attributes:
      index: its index in the order of execution.
      name: its name in the schema: "CONV_2D". The name of a custom operator begins with "CUSTOM":
        "CUSTOM TFLite_Detection_PostProcess".
      version: the version of its kernel, from 1.
      inputs: its inputs; None for an optional one that is left out.
      outputs: its outputs.
    """

    index: int
    name: str
    version: int
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    def input(self, index: int) -> Tensor | None:
        """Returns an input; None if it is left out or does not exist."""
        return self.inputs[index] if index < len(self.inputs) else None


@dataclasses.dataclass(frozen=True)
class Graph:
    """A model's tensors, and its operators in the order of execution."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def named(self, name: str) -> list[Operator]:
        """Returns the operators with a name, such as "CONV_2D"."""
        return [op for op in self.operators if op.name == name]

    def producer(self, tensor: Tensor | None) -> Operator | None:
        """Returns the operator that computes a tensor; None for inputs and constants."""
        for op in self.operators:
            if tensor in op.outputs:
                return op
        return None


def graph(tflite_model: Model) -> Graph:
    """Returns a model's graph."""
    subgraph = tflite_model.subgraphs[0]
    tensors = tuple(tensor(tflite_model, i) for i in range(len(subgraph.tensors)))
    operators = []
    for index, op in enumerate(subgraph.operators or ()):
        code = tflite_model.operatorCodes[op.opcodeIndex]
        # Old files have only deprecatedBuiltinCode, which has one byte. New files also have
        # builtinCode. If the code is larger than 127, deprecatedBuiltinCode is 127.
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        custom = f" {code.customCode.decode('utf-8', 'replace')}" if code.customCode else ""
        operators.append(
            Operator(
                index=index,
                name=_OPERATORS.get(number, f"operator {number}") + custom,
                version=code.version,
                inputs=tuple(None if i < 0 else tensors[i] for i in indices(op.inputs)),
                outputs=tuple(tensors[i] for i in indices(op.outputs)),
            )
        )
    return Graph(
        tensors=tensors,
        operators=tuple(operators),
        inputs=tuple(tensors[i] for i in indices(subgraph.inputs)),
        outputs=tuple(tensors[i] for i in indices(subgraph.outputs)),
    )


def tensor(tflite_model: Model, index: int) -> Tensor:
    """Returns one of a model's tensors."""
    found = tflite_model.subgraphs[0].tensors[index]
    quantization = found.quantization
    scale = quantization.scale if quantization is not None else None
    zero_point = quantization.zeroPoint if quantization is not None else None
    scales = () if scale is None else tuple(np.asarray(scale).tolist())
    # A file may leave out zero points that are 0.
    zero_points = tuple(indices(zero_point)) or (0,) * len(scales)
    data = tflite_model.buffers[found.buffer].data
    return Tensor(
        index=index,
        name=(found.name or b"").decode("utf-8", "replace"),
        type=_TYPES.get(found.type, f"type {found.type}"),
        shape=tuple(indices(found.shape)),
        scales=scales,
        zero_points=zero_points if scales else (),
        constant=data is not None and len(data) > 0,
    )


def values(tflite_model: Model, constant: Tensor) -> np.ndarray:
    """Returns the values of a constant, in its shape: quanta if it is quantised.

    Raises:
      ValueError: if it is not of uint8, int8 or int32.
    """
    if constant.type not in _KINDS:
        raise ValueError(
            f"expected a constant of {', '.join(kind.lower() for kind in _KINDS)}, got {constant}"
        )
    buffer = tflite_model.subgraphs[0].tensors[constant.index].buffer
    data = np.asarray(tflite_model.buffers[buffer].data, np.uint8)
    return data.view(_KINDS[constant.type]).reshape(constant.shape)


def indices(vector: Any) -> list[int]:
    """Returns a vector of the schema as a list; empty if there is no vector."""
    return [] if vector is None else np.asarray(vector, np.int64).tolist()
