"""An operator with its options and constants, and the checks that many operators share.

They are for a model of unknown origin, before an interpreter sees it: kernels of TensorFlow Lite
check some of what they need, and end the process or read other memory for the rest.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

import imprinting.schema.tflite as schema
from imprinting.tflite import model_graph
from imprinting.tflite.model_graph import Model, Operator, Tensor

# The types of activations of quantised networks with one byte for each.
BYTES = ("UINT8", "INT8")
ACTIVATIONS = ("FLOAT32", *BYTES)
# What is computed after an operator, in the same kernel.
_FUSED = (
    schema.ActivationFunctionType.NONE,
    schema.ActivationFunctionType.RELU,
    schema.ActivationFunctionType.RELU_N1_TO_1,
    schema.ActivationFunctionType.RELU6,
)
# The most dimensions of a tensor that kernels work with.
MOST_DIMENSIONS = 6
# How much longer the slowest kernels take for an element than a convolution for a multiplication.
_SLOWER = 16
# The most characters of a part of an error.
_MOST_SHOWN = 300
_NUMBERS = {"INT32": np.int32, "INT64": np.int64}


def damaged(expected: object, found: object) -> ValueError:
    """The error for a model that is not as expected; names in it may have come from the file."""
    return ValueError(
        f"damaged .tflite: expected {shown(expected)}, got {shown(found)}; create or download it "
        "again"
    )


def shown(text: object) -> str:
    """Returns a text that may have come from a file as it can be printed."""
    printable = "".join(c if c.isprintable() else "?" for c in str(text))
    return printable if len(printable) <= _MOST_SHOWN else printable[:_MOST_SHOWN] + "…"


@dataclasses.dataclass(frozen=True)
class Node:
    """An operator of a model.

    Attributes:
      operator: the operator.
      options: its options, of the schema's generated class; None for none.
      tflite_model: the model.
      static: indices of the tensors whose values do not depend on the model's input.
      computed: the integers in tensors that are computed of shapes, by the tensors' indices; those
        of all operators before this one.
    """

    operator: Operator
    options: Any
    tflite_model: Model
    static: frozenset[int]
    computed: dict[int, list[int]] = dataclasses.field(default_factory=dict)

    @property
    def output(self) -> Tensor:
        """The output of an operator that has one."""
        return self.operator.outputs[0]

    def input(self, index: int) -> Tensor:
        """Returns an input that must be there."""
        found = self.operator.input(index)
        if found is None:
            self.fail(f"at least {index + 1} inputs", f"no input {index}")
        return found

    def fail(self, expected: str, found: object) -> NoReturn:
        """Raises a ValueError about the operator."""
        op = self.operator
        raise damaged(f"{expected} of {op.name} (operator {op.index})", found)

    def require(self, is_right: bool, expected: str, found: object) -> None:
        """Raises a ValueError about the operator if something is not right."""
        if not is_right:
            self.fail(expected, found)

    def require_shape(self, expected: tuple[int, ...], tensor: Tensor | None = None) -> None:
        """Requires a shape of a tensor; None means the output."""
        tensor = tensor or self.output
        self.require(
            tensor.shape == expected, f"the shape {list(expected)} of {tensor.name}", tensor
        )

    def require_dimensions(self, tensor: Tensor, number: int) -> None:
        """Requires a number of dimensions of a tensor."""
        self.require(len(tensor.shape) == number, f"{number} dimensions of {tensor.name}", tensor)

    def require_activations(
        self, *tensors: Tensor, types: tuple[str, ...] = ACTIVATIONS, same: bool = True
    ) -> None:
        """Requires types; and a scale and a zero point of each tensor that has bytes.

        Args:
          *tensors: the tensors.
          types: the types that they may have.
          same: whether all must have the same type.
        """
        for tensor in tensors:
            self.require(tensor.type in types, f"{' or '.join(types)} for {tensor.name}", tensor)
            if tensor.type in BYTES:
                self.require(len(tensor.scales) == 1, f"one scale of {tensor.name}", tensor)
            if same:
                self.require(
                    tensor.type == tensors[0].type, f"{tensors[0].type} for {tensor.name}", tensor
                )

    def require_static(self, tensor: Tensor) -> None:
        """Requires a tensor that does not depend on the model's input."""
        self.require(
            tensor.index in self.static, f"constant values of {tensor.name}", "computed ones"
        )

    def require_fused(self, *, allowed: bool = True) -> None:
        """Requires an activation function that kernels can compute with the operator."""
        fused = self.options.fusedActivationFunction
        allowed_ones = _FUSED if allowed else _FUSED[:1]
        self.require(fused in allowed_ones, f"an activation out of {allowed_ones}", fused)

    def require_range(self, name: str, value: float, least: float, most: float) -> None:
        """Requires an option in a range."""
        self.require(least <= value <= most, f"{name} from {least} to {most}", value)

    def constants(self, tensor: Tensor) -> list[int]:
        """Returns the integers in a constant, or in a tensor that is computed of shapes."""
        if tensor.index in self.computed:
            return self.computed[tensor.index]
        self.require(
            tensor.constant and tensor.type in _NUMBERS and len(tensor.shape) <= 2,
            f"constant integers in {tensor.name}",
            tensor if tensor.constant else "computed ones",
        )
        buffer = self.tflite_model.subgraphs[0].tensors[tensor.index].buffer
        data = np.ascontiguousarray(self.tflite_model.buffers[buffer].data, np.uint8)
        return data.view(_NUMBERS[tensor.type]).tolist()

    def set_constants(self, tensor: Tensor, values: list[int]) -> None:
        """Says what integers an operator computes of shapes."""
        self.computed[tensor.index] = values

    def axis(self, value: int, dimensions: int) -> int:
        """Returns an axis that may be counted from the end, counted from the start."""
        self.require(
            -dimensions <= value < dimensions, f"an axis of {dimensions} dimensions", value
        )
        return value % dimensions


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of operator that classifiers have.

    Attributes:
      version: the latest version of its kernel whose rules are known.
      options: the schema's class of its options; None if it has none that matter.
      inputs: the least and the most inputs.
      check: raises a ValueError if an operator breaks the rules.
      work: roughly how many multiplications of a convolution take as long, at most 0.3 ns each.
      scratch: roughly how many bytes its kernel needs besides the tensors; None for none.
    """

    version: int
    options: type | None
    inputs: tuple[int, int]
    check: Callable[[Node], None]
    work: Callable[[Node], int] = lambda node: (
        _SLOWER * elements(*node.operator.inputs, node.output)
    )
    scratch: Callable[[Node], int] | None = None


def elements(*tensors: Tensor | None) -> int:
    """The number of elements of several tensors together."""
    return sum(math.prod(tensor.shape) for tensor in tensors if tensor is not None)


def nodes(tflite_model: Model, graph: model_graph.Graph) -> list[Node]:
    """Returns the operators of a model whose indices are in range."""
    static = {tensor.index for tensor in graph.tensors if tensor.constant}
    for op in graph.operators:
        source = op.input(0)
        # Networks with float16 weights convert them first.
        if op.name == "DEQUANTIZE" and source is not None and source.constant:
            static |= {tensor.index for tensor in op.outputs}
    raw = tflite_model.subgraphs[0].operators
    shared = frozenset(static)
    computed: dict[int, list[int]] = {}
    return [
        Node(op, raw[op.index].builtinOptions, tflite_model, shared, computed)
        for op in graph.operators
    ]
