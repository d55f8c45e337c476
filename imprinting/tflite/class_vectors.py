"""Class vectors and scale factor of a .tflite: reads them, and replaces them by others."""

from typing import Any

import numpy as np

import imprinting.schema.tflite as schema
from imprinting.tflite import model_file, model_graph, product_rules
from imprinting.tflite.model_graph import Model, Tensor


def read(tflite_model: Model) -> np.ndarray:
    """The class vectors, float32 [classes, d], as they are: not always of unit length.

    Args:
      tflite_model: keeps the rules of the products, quantised.
    """
    kernel = _kernel(tflite_model)
    return kernel.dequantise(_quanta(tflite_model, kernel)).reshape(kernel.shape[0], -1)


def replaced(tflite_model: Model, vectors: np.ndarray) -> Model:
    """The model with other class vectors, as many as before.

    They are rounded to the quanta of the last kernel, whose scale and zero point stay. The model is
    not changed.

    Args:
      tflite_model: keeps the rules of the products, quantised.
      vectors: float [classes, d], finite.

    Raises:
      ValueError: if there are more or fewer, or of another length, or one is not finite.
    """
    kernel = _kernel(tflite_model)
    shape = kernel.shape[0], kernel.shape[3]
    if vectors.shape != shape or not np.isfinite(vectors).all():
        raise ValueError(f"expected finite class vectors {list(shape)}, got {list(vectors.shape)}")
    (scale,), (zero_point,) = kernel.scales, kernel.zero_points
    quanta = np.clip(np.rint(vectors / scale) + zero_point, 0, 255).astype(np.uint8)
    return _with_values(tflite_model, kernel, quanta)


def scale_factor(tflite_model: Model) -> float:
    """The scale factor of the cosines."""
    factor = _factor(tflite_model)
    return float(factor.dequantise(_quanta(tflite_model, factor)).item())


def greatest_scale_factor(tflite_model: Model) -> float:
    """The greatest scale factor that the model's constant, a uint8 with a scale, can have."""
    return float(_factor(tflite_model).dequantise(np.array(255)).item())


def with_scale_factor(tflite_model: Model, factor: float) -> Model:
    """The model with another scale factor, rounded to a quantum of its constant.

    The scales of the operators after the cosines stay as they are, so that they have to be written
    anew, as imprinting does.

    Args:
      tflite_model: keeps the rules of the products, quantised; it is not changed.
      factor: above 0; the greatest one at most is used.
    """
    tensor = _factor(tflite_model)
    (scale,), (zero_point,) = tensor.scales, tensor.zero_points
    quantum = np.clip(np.rint(factor / scale) + zero_point, zero_point + 1, 255)
    return _with_values(tflite_model, tensor, np.array(quantum, np.uint8))


def _kernel(tflite_model: Model) -> Tensor:
    return _tail_input(tflite_model, 0)


def _factor(tflite_model: Model) -> Tensor:
    return _tail_input(tflite_model, 1)


def _tail_input(tflite_model: Model, number: int) -> Tensor:
    """The second input of an operator of the tail, a constant."""
    tail = product_rules.tail(model_graph.graph(tflite_model))
    assert tail is not None
    tensor = tail[number].input(1)
    assert tensor is not None
    return tensor


def _quanta(tflite_model: Model, tensor: Tensor) -> np.ndarray:
    buffer = tflite_model.subgraphs[0].tensors[tensor.index].buffer
    return np.asarray(tflite_model.buffers[buffer].data, np.uint8)


def _with_values(tflite_model: Model, tensor: Tensor, values: np.ndarray) -> Model:
    subgraph = tflite_model.subgraphs[0]
    tensors, buffers = list(subgraph.tensors), list(tflite_model.buffers)
    data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    # Another tensor may have the same values in the same buffer.
    changes: dict[str, Any] = {"buffer": len(buffers)}
    buffers.append(schema.BufferT(data=data))
    tensors[tensor.index] = model_file.changed(tensors[tensor.index], **changes)
    return model_file.pruned(
        model_file.changed(
            tflite_model,
            subgraphs=[model_file.changed(subgraph, tensors=tensors)],
            buffers=buffers,
        )
    )
