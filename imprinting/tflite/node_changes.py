"""Changes of a model, for tests of what a valid model of `node_testing` must not become."""

from collections.abc import Callable
from typing import Any

import imprinting.schema.tflite as schema
from imprinting.tflite.model_graph import Model

_SCALE = 1 / 32


def options(**values: Any) -> Callable[[Model], None]:
    """What changes options of a model's first operator."""
    return lambda model: vars(model.subgraphs[0].operators[0].builtinOptions).update(values)


def tensor(number: int, **values: Any) -> Callable[[Model], None]:
    """What changes an input of a model's first operator, or its output, number -1."""

    def change(model: Model) -> None:
        operator = model.subgraphs[0].operators[0]
        places = [*operator.inputs, *operator.outputs]
        vars(model.subgraphs[0].tensors[places[number]]).update(values)

    return change


def scales(number: int, *values: float) -> Callable[[Model], None]:
    """The same, for the scales of a tensor, whose zero points become 0."""
    quantization = schema.QuantizationParametersT(scale=[*values], zeroPoint=[0] * len(values))
    return tensor(number, quantization=quantization)


def retyped(number: int, kind: str) -> Callable[[Model], None]:
    """The same, for its type; it gets a scale that all types may have."""
    quantization = schema.QuantizationParametersT(scale=[_SCALE], zeroPoint=[0])
    return tensor(number, type=getattr(schema.TensorType, kind), quantization=quantization)


def zero_points(number: int, value: int) -> Callable[[Model], None]:
    """The same, for its zero point."""
    quantization = schema.QuantizationParametersT(scale=[_SCALE], zeroPoint=[value])
    return tensor(number, quantization=quantization)
