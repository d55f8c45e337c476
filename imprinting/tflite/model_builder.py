"""Changes a TFLite model: adds tensors, operators, and all of another model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import imprinting.schema.tflite as schema
from imprinting.tflite import model_file, model_graph
from imprinting.tflite.model_graph import Model

_RUNTIME_VERSION = b"min_runtime_version"


class ModelBuilder:
    """A model that is being changed; the original is not changed.

    Attributes:
      tensors: the tensors of the schema; those in the list may be changed or replaced.
      operators: the operators of the schema; those in the list may be replaced.
    """

    def __init__(self, tflite_model: Model):
        """Starts with all tensors and operators of a model."""
        self._model = tflite_model
        subgraph = tflite_model.subgraphs[0]
        self.tensors = [model_file.changed(tensor) for tensor in subgraph.tensors]
        self.operators = list(subgraph.operators)
        self._codes = list(tflite_model.operatorCodes)
        self._buffers = list(tflite_model.buffers)

    def append(self, other: Model, replaced: Mapping[int, int] | None = None) -> list[int]:
        """Adds tensors and operators of another model.

        Args:
          other: the model.
          replaced: index of a tensor of the other model -> index of the tensor here that its
            operators take instead.

        Returns:
          The new index of each of its tensors.
        """
        subgraph = other.subgraphs[0]
        first, first_code, first_buffer = map(len, (self.tensors, self._codes, self._buffers))
        places = [first + index for index in range(len(subgraph.tensors))]
        for index, place in (replaced or {}).items():
            places[index] = place
        for tensor in subgraph.tensors:
            # Buffer 0 is that of tensors without values.
            buffer = tensor.buffer and tensor.buffer + first_buffer
            self.tensors.append(model_file.changed(tensor, buffer=buffer))
        for op in subgraph.operators:
            self.operators.append(
                model_file.changed(
                    op,
                    opcodeIndex=op.opcodeIndex + first_code,
                    inputs=[places[i] if i >= 0 else i for i in model_graph.indices(op.inputs)],
                    outputs=[places[i] for i in model_graph.indices(op.outputs)],
                )
            )
        self._codes += other.operatorCodes
        self._buffers += other.buffers
        return places

    def activation(
        self, name: str, kind: type, shape: Sequence[int], scale: float, zero_point: int
    ) -> int:
        """Adds a tensor that an operator computes; returns its index.

        Args:
          name: its name.
          kind: np.uint8 or np.int8.
          shape: its dimensions.
          scale: the real number of a quantum, above 0.
          zero_point: the quantum that means 0.
        """
        return self._tensor(name, kind, shape, [scale], zero_point)

    def constant(
        self, name: str, values: np.ndarray, scales: Sequence[float] = (), zero_point: int = 0
    ) -> int:
        """Adds a tensor with values, which no other tensor shares; returns its index.

        Args:
          name: its name.
          values: uint8, int8 or int32, of any shape.
          scales: none if it is not quantised, one, or one for each value of the first dimension.
          zero_point: the quantum that means 0.
        """
        data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self._buffers.append(schema.BufferT(data=data))
        kind = values.dtype.type
        return self._tensor(
            name, kind, values.shape, scales, zero_point, buffer=len(self._buffers) - 1
        )

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Any = None,
        *,
        version: int = 1,
        place: int | None = None,
    ) -> None:
        """Adds an operator.

        Args:
          name: its name in the schema, such as "CONV_2D".
          inputs: indices of tensors.
          outputs: the same.
          options: its options, an object of the schema; None if it has none.
          version: the version of its kernel that has the types of its tensors.
          place: its place in the order of operators; None means at the end.
        """
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self._codes)
        operator.inputs, operator.outputs = [*inputs], [*outputs]
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self.operators.insert(len(self.operators) if place is None else place, operator)
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = version
        self._codes.append(code)

    def quantize(self, source: int, target: int, *, place: int | None = None) -> None:
        """Adds a QUANTIZE from one tensor of eight bits to another; see `operator`."""
        self.operator(
            "QUANTIZE", [source], [target], schema.QuantizeOptionsT(), version=2, place=place
        )

    def build(self, *, inputs: Any, outputs: Any) -> Model:
        """The model, without metadata except the version of the runtime that it needs.

        Args:
          inputs: indices of tensors.
          outputs: the same.
        """
        subgraph = model_file.changed(
            self._model.subgraphs[0],
            tensors=self.tensors,
            operators=self.operators,
            inputs=np.array(inputs, np.int32),
            outputs=np.array(outputs, np.int32),
        )
        return model_file.pruned(
            model_file.changed(
                self._model,
                subgraphs=[subgraph],
                operatorCodes=self._codes,
                buffers=self._buffers,
                metadata=[m for m in self._model.metadata or () if m.name == _RUNTIME_VERSION],
                signatureDefs=None,
            )
        )

    def _tensor(
        self,
        name: str,
        kind: type,
        shape: Sequence[int],
        scales: Sequence[float],
        zero_point: int,
        *,
        buffer: int = 0,
    ) -> int:
        quantization = None
        if len(scales):
            quantization = schema.QuantizationParametersT(
                scale=np.array(scales, np.float32), zeroPoint=[zero_point] * len(scales)
            )
        self.tensors.append(
            schema.TensorT(
                name=name.encode(),
                type=getattr(schema.TensorType, np.dtype(kind).name.upper()),
                shape=np.array(shape, np.int32),
                quantization=quantization,
                buffer=buffer,
            )
        )
        return len(self.tensors) - 1
