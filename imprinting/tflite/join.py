"""Joins two TFLite models: the second takes the output of the first."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import imprinting.schema.tflite as schema
from imprinting.base.pixel_scaling import INT8_OFFSET
from imprinting.tflite import model_file, model_graph
from imprinting.tflite.model_graph import Model, Tensor

_QUANTIZE = schema.BuiltinOperator.QUANTIZE
_RUNTIME_VERSION = b"min_runtime_version"


def join(first: Model, second: Model) -> Model:
    """Returns a model that computes the first and then the second.

    If the first gives int8, and the second takes uint8, a QUANTIZE between them changes the type.
    The real numbers do not change: the second's input gets the scale of the first's output, and its
    zero point plus 128.

    Args:
      first: has one output, quantised with one scale.
      second: has one input of the same shape. Its notes, metadata and signatures are left out.

    Raises:
      ValueError: if the output does not fit the input.
    """
    (output,) = model_graph.graph(first).outputs
    (image,) = model_graph.graph(second).inputs
    if output.shape != image.shape or (output.type, image.type) != ("INT8", "UINT8"):
        raise ValueError(
            f"expected a second model that takes uint8 {list(output.shape)}, after a first that "
            f"gives int8, got {output} and {image}"
        )
    joined = _Builder(first)
    tensors = joined.append(second)
    joined.tensors[tensors[image.index]].quantization = _shifted(output, INT8_OFFSET)
    before = len(first.subgraphs[0].operators)
    joined.quantize(output.index, tensors[image.index], place=before)
    outputs = [tensors[i] for i in model_graph.indices(second.subgraphs[0].outputs)]
    return joined.build(inputs=first.subgraphs[0].inputs, outputs=outputs)


def connect(first: Model, second: Model) -> Model:
    """Returns a model that computes the first and then the second, without an operator between.

    Operators, constants and quantisation do not change; custom options stay the same bytes.

    Args:
      first: has one output.
      second: has one input of the same type, shape, scale and zero point. Its notes, metadata and
        signatures are left out.

    Raises:
      ValueError: if the output does not fit the input.
    """
    (output,) = model_graph.graph(first).outputs
    (image,) = model_graph.graph(second).inputs
    if str(output) != str(image):
        raise ValueError(
            f"expected a second model that takes what the first gives, {output}, got one that "
            f"takes {image}"
        )
    joined = _Builder(first)
    tensors = joined.append(second, {image.index: output.index})
    outputs = [tensors[i] for i in model_graph.indices(second.subgraphs[0].outputs)]
    return joined.build(inputs=first.subgraphs[0].inputs, outputs=outputs)


def with_uint8_input(tflite_model: Model) -> Model:
    """Returns a model that takes uint8 and changes it to its own int8 by a QUANTIZE.

    Args:
      tflite_model: has one int8 input with one scale.
    """
    (image,) = model_graph.graph(tflite_model).inputs
    changed = _Builder(tflite_model)
    old = tflite_model.subgraphs[0].tensors[image.index]
    changed.tensors.append(
        model_file.changed(
            old,
            name=b"input",
            type=schema.TensorType.UINT8,
            quantization=_shifted(image, INT8_OFFSET),
        )
    )
    index = len(changed.tensors) - 1
    changed.tensors[image.index] = model_file.changed(old, name=b"input_int8")
    changed.quantize(index, image.index, place=0)
    return changed.build(inputs=[index], outputs=tflite_model.subgraphs[0].outputs)


def _shifted(tensor: Tensor, offset: int) -> Any:
    (scale,), (zero_point,) = tensor.scales, tensor.zero_points
    return schema.QuantizationParametersT(scale=[scale], zeroPoint=[zero_point + offset])


class _Builder:
    """A model that is being changed; the original is not changed."""

    def __init__(self, tflite_model: Model):
        self._model = tflite_model
        subgraph = tflite_model.subgraphs[0]
        self.tensors = [model_file.changed(tensor) for tensor in subgraph.tensors]
        self._operators = list(subgraph.operators)
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
            self._operators.append(
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

    def quantize(self, source: int, target: int, *, place: int) -> None:
        """Adds a QUANTIZE from one tensor to another, at a place in the order of operators."""
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self._codes)
        operator.inputs, operator.outputs = [source], [target]
        operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
        operator.builtinOptions = schema.QuantizeOptionsT()
        self._operators.insert(place, operator)
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = _QUANTIZE
        # The version that takes and gives eight bits.
        code.version = 2
        self._codes.append(code)

    def build(self, *, inputs: Any, outputs: Any) -> Model:
        """The model, without metadata except the version of the runtime that it needs."""
        subgraph = model_file.changed(
            self._model.subgraphs[0],
            tensors=self.tensors,
            operators=self._operators,
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
