"""Makes small models for tests by hand, without a converter."""

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

import imprinting.schema.tflite as schema
from imprinting.tflite.model_graph import Model

_DTYPES = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "INT32": np.int32,
    "UINT8": np.uint8,
    "INT8": np.int8,
}
# The scale of tensors for which nothing else is said.
SCALE = 1 / 32
# What kernels expect of the outputs of some operators: the scale, and the zero point for INT8.
_FIXED = {"SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
_FIXED["L2_NORMALIZATION"] = (1 / 128, 0)


@dataclasses.dataclass
class Builder:
    """A model that grows by an operator at a time.

    Attributes:
      type: the type of activations.
      model: the model, whose inputs and outputs are set last.
    """

    type: str
    model: Model = dataclasses.field(
        default_factory=lambda: schema.ModelT(
            version=3,
            operatorCodes=[],
            buffers=[schema.BufferT()],
            subgraphs=[schema.SubGraphT(tensors=[], operators=[], name=b"main")],
        )
    )

    @property
    def graph(self) -> Any:
        """The subgraph."""
        return self.model.subgraphs[0]

    def shape(self, tensor: int) -> list[int]:
        """The shape of a tensor."""
        return list(self.graph.tensors[tensor].shape)

    def tensor(
        self,
        shape: Sequence[int],
        kind: str | None = None,
        *,
        scale: float = SCALE,
        zero: int | None = None,
        values: Any = None,
    ) -> int:
        """Adds a tensor, of the activations' type by default; returns its index."""
        kind = kind or self.type
        buffer, quantization = 0, None
        if values is not None:
            data = np.frombuffer(np.asarray(values, _DTYPES[kind]).tobytes(), np.uint8)
            self.model.buffers.append(schema.BufferT(data=data))
            buffer = len(self.model.buffers) - 1
        if kind in ("UINT8", "INT8") or (self.type != "FLOAT32" and kind == "INT32"):
            zero = {"UINT8": 128}.get(kind, 0) if zero is None else zero
            quantization = schema.QuantizationParametersT(scale=[scale], zeroPoint=[zero])
        self.graph.tensors.append(
            schema.TensorT(
                shape=np.array(shape, np.int32),
                type=getattr(schema.TensorType, kind),
                buffer=buffer,
                name=f"t{len(self.graph.tensors)}".encode(),
                quantization=quantization,
            )
        )
        return len(self.graph.tensors) - 1

    def constant(self, *shape: int, kind: str | None = None, scale: float = SCALE) -> int:
        """Adds a constant with small random values."""
        random = np.random.default_rng(len(self.graph.tensors))
        kind = kind or self.type
        if kind == "FLOAT32":
            values: np.ndarray = random.normal(size=shape)
        else:
            values = random.integers(*((100, 156) if kind == "UINT8" else (-28, 28)), shape)
        return self.tensor(shape, kind, scale=scale, values=values)

    def numbers(self, *values: int) -> int:
        """Adds a constant vector of INT32."""
        return self.tensor([len(values)], "INT32", values=values)

    def add(
        self, name: str, inputs: Sequence[int], output: int | Sequence[int], options: Any = None
    ) -> int:
        """Adds an operator; returns its output, which may be given by its shape."""
        number = getattr(schema.BuiltinOperator, name)
        if not isinstance(output, int):
            scale, zero = _FIXED.get(name, (SCALE, 0))
            if self.type == "UINT8":
                zero = 0 if scale == 1 / 256 else 128
            output = self.tensor(output, scale=scale, zero=zero)
        self.model.operatorCodes.append(
            schema.OperatorCodeT(
                builtinCode=number, deprecatedBuiltinCode=min(number, 127), version=1
            )
        )
        kind = 0
        if options is not None:
            kind = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.graph.operators.append(
            schema.OperatorT(
                opcodeIndex=len(self.model.operatorCodes) - 1,
                inputs=np.array(inputs, np.int32),
                outputs=np.array([output], np.int32),
                builtinOptionsType=kind,
                # Tests change it, and the examples share one.
                builtinOptions=copy.deepcopy(options),
            )
        )
        return output

    def weights(self, *shape: int, channels: int) -> tuple[int, int]:
        """Adds weights and a bias."""
        bias_type = "FLOAT32" if self.type == "FLOAT32" else "INT32"
        return self.constant(*shape), self.constant(
            shape[channels], kind=bias_type, scale=SCALE * SCALE
        )
