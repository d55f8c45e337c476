"""The embedding's convolution in a .tflite: reads it, and replaces it by another.

It is the 1x1 CONV_2D without activation whose result is normalised by the L2_NORMALIZATION, with at
most one QUANTIZE between.
"""

import dataclasses
from typing import Any

import numpy as np

import imprinting.schema.tflite as schema
from imprinting.tflite import model_file, model_graph
from imprinting.tflite.model_graph import Model, Operator, Tensor

_LEVELS = 127


@dataclasses.dataclass(frozen=True, eq=False)
class EmbeddingLayer:
    """A layer K x + b.

    Attributes:
      features: the tensor of x, [1, 1, 1, d], quantised.
      kernel: K, float64 [e, d].
      biases: b, float64 [e].
    """

    features: Tensor
    kernel: np.ndarray
    biases: np.ndarray


def read(tflite_model: Model) -> EmbeddingLayer:
    """Reads the layer of a quantised model.

    Raises:
      ValueError: if the model has no such layer.
    """
    conv, _ = _find(tflite_model)
    features, kernel, biases = conv.inputs
    assert features is not None and kernel is not None and biases is not None
    scales, zero_points = np.array(kernel.scales), np.array(kernel.zero_points)
    quanta = (
        model_graph.values(tflite_model, kernel).reshape(kernel.shape[0], -1).astype(np.float64)
    )
    bias_scales = np.array(biases.scales)
    return EmbeddingLayer(
        features,
        (quanta - zero_points[:, np.newaxis]) * scales[:, np.newaxis],
        model_graph.values(tflite_model, biases) * bias_scales,
    )


def replaced(tflite_model: Model, kernel: np.ndarray, biases: np.ndarray, *, reach: float) -> Model:
    """The model with another layer; all other weights and operators stay as they are.

    Args:
      tflite_model: a model that `read` can read; it is not changed.
      kernel: K, float [e, d], finite. It is rounded to 255 levels: of each row if the old kernel
        has a scale for each row, otherwise of all.
      biases: b, float [e], finite.
      reach: the range of the layer's result is at least -reach..reach.

    Raises:
      ValueError: if a number is not finite, or the layer has another shape.
    """
    conv, quantize = _find(tflite_model)
    features, old_kernel, old_biases = conv.inputs
    assert features is not None and old_kernel is not None and old_biases is not None
    shape = old_kernel.shape[0], old_kernel.shape[3]
    if kernel.shape != shape or biases.shape != shape[:1]:
        raise ValueError(
            f"expected a kernel {list(shape)} and biases, got {list(kernel.shape)} and "
            f"{list(biases.shape)}"
        )
    if not (np.isfinite(kernel).all() and np.isfinite(biases).all() and 0 < reach < np.inf):
        raise ValueError("expected a finite embedding layer, got NaN or infinity")
    magnitudes = np.abs(kernel).max(axis=1)
    if len(old_kernel.scales) == 1:
        magnitudes = magnitudes.max(keepdims=True)
    magnitudes = np.where(magnitudes > 0, magnitudes, 1.0)
    scales = (magnitudes / _LEVELS).astype(np.float32)
    zero, kind = (128, np.uint8) if old_kernel.type == "UINT8" else (0, np.int8)
    quanta = np.rint(kernel / scales[:, np.newaxis].astype(np.float64)) + zero
    bias_scales = scales * np.float32(features.scales[0])
    totals = np.clip(np.rint(biases / bias_scales.astype(np.float64)), -(2**30), 2**30)

    changed = _Changed(tflite_model)
    changed.constant(old_kernel, quanta.astype(kind), scales, zero)
    changed.constant(old_biases, totals.astype(np.int32), bias_scales, 0)
    scale = np.float32(reach / _LEVELS)
    for tensor in {conv.outputs[0], *(quantize.outputs if quantize else ())}:
        changed.scale(tensor, scale, 128 if tensor.type == "UINT8" else 0)
    return changed.build()


def _find(tflite_model: Model) -> tuple[Operator, Operator | None]:
    """The CONV_2D, and the QUANTIZE after it if there is one."""
    graph = model_graph.graph(tflite_model)
    made_by = {tensor.index: op for op in graph.operators for tensor in op.outputs}
    norms = graph.named("L2_NORMALIZATION")
    found: list[Operator] = []
    if len(norms) == 1:
        place = norms[0].inputs[0]
        while place is not None and place.index in made_by and len(found) < 2:
            op = made_by[place.index]
            found.append(op)
            if op.name != "QUANTIZE":
                break
            place = op.inputs[0]
    if not found or found[-1].name != "CONV_2D" or not _is_linear(tflite_model, found[-1]):
        raise ValueError(
            "expected a model whose embedding is computed by a 1x1 CONV_2D without activation "
            "before the L2_NORMALIZATION, got one without"
        )
    return found[-1], found[0] if len(found) == 2 else None


def _is_linear(tflite_model: Model, conv: Operator) -> bool:
    options = tflite_model.subgraphs[0].operators[conv.index].builtinOptions
    tensors = [t for t in (*conv.inputs, *conv.outputs) if t is not None and t.scales]
    if len(tensors) != 4:
        return False
    features, kernel, biases, _ = tensors
    return (
        kernel.constant
        and biases.constant
        and kernel.shape[1:3] == (1, 1)
        and features.shape[:3] == (1, 1, 1)
        and options.fusedActivationFunction == schema.ActivationFunctionType.NONE
    )


class _Changed:
    """A model that is being changed; the original stays as it is."""

    def __init__(self, tflite_model: Model):
        self._model = tflite_model
        self._tensors = list(tflite_model.subgraphs[0].tensors)
        self._buffers = list(tflite_model.buffers)

    def constant(self, tensor: Tensor, values: np.ndarray, scales: np.ndarray, zero: int) -> None:
        """Gives a constant other values, with a scale for each row or one for all."""
        data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        # Another tensor may have the same values in the same buffer.
        self._buffers.append(schema.BufferT(data=data))
        self._change(
            tensor,
            buffer=len(self._buffers) - 1,
            quantization=schema.QuantizationParametersT(
                scale=scales, zeroPoint=[zero] * len(scales), quantizedDimension=0
            ),
        )

    def scale(self, tensor: Tensor, scale: np.float32, zero: int) -> None:
        """Gives a tensor another scale and zero point."""
        quantization = schema.QuantizationParametersT(scale=[scale], zeroPoint=[zero])
        self._change(tensor, quantization=quantization)

    def build(self) -> Model:
        subgraph = model_file.changed(self._model.subgraphs[0], tensors=self._tensors)
        return model_file.pruned(
            model_file.changed(self._model, subgraphs=[subgraph], buffers=self._buffers)
        )

    def _change(self, tensor: Tensor, **values: Any) -> None:
        self._tensors[tensor.index] = model_file.changed(self._tensors[tensor.index], **values)
