"""Joins two TFLite models: the second takes the output of the first."""

from typing import Any

import imprinting.schema.tflite as schema
from imprinting.base.pixel_scaling import INT8_OFFSET
from imprinting.tflite import model_file, model_graph
from imprinting.tflite.model_builder import ModelBuilder
from imprinting.tflite.model_graph import Model, Tensor


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
    joined = ModelBuilder(first)
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
    joined = ModelBuilder(first)
    tensors = joined.append(second, {image.index: output.index})
    outputs = [tensors[i] for i in model_graph.indices(second.subgraphs[0].outputs)]
    return joined.build(inputs=first.subgraphs[0].inputs, outputs=outputs)


def with_uint8_input(tflite_model: Model) -> Model:
    """Returns a model that takes uint8 and changes it to its own int8 by a QUANTIZE.

    Args:
      tflite_model: has one int8 input with one scale.
    """
    (image,) = model_graph.graph(tflite_model).inputs
    changed = ModelBuilder(tflite_model)
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
