"""Random changes of a model as an object, which can be written again."""

import copy
import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

import imprinting.schema.tflite as schema
from tests.fuzz.byte_mutations import mutate_bytes

SMALL = (-2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 16, 31, 64, 127, 128, 255)
LARGE = (1000, 65535, 65536, 2**24, 2**31 - 1, -(2**31), 2**32 - 1, 2**40, -(2**62))
_REAL = (0.0, -1.0, 1.0, 1e-45, 1e-30, 1e-8, 0.5, 3.7, 1e8, 1e30, 3e38, float("inf"), float("nan"))
_OPTIONS = [
    value
    for name, value in vars(schema).items()
    if name.endswith("OptionsT") and hasattr(schema.BuiltinOptions, name.removesuffix("T"))
]


def objects(item: Any) -> Iterator[Any]:
    """All objects of the generated code below one."""
    if not hasattr(item, "__dict__"):
        return
    yield item
    for value in vars(item).values():
        for each in value if isinstance(value, list) else [value]:
            yield from objects(each)


def _any_field(model: Any, donor: Any, rng: random.Random) -> None:
    subgraph = model.subgraphs[0]
    lists = (subgraph.tensors, subgraph.operators, model.operatorCodes, [model], model.buffers)
    (chosen,) = rng.choices(lists, (6, 6, 2, 1, 1))
    change(rng.choice(list(objects(rng.choice(chosen)))), donor, rng)


def change(item: Any, donor: Any, rng: random.Random) -> None:
    """Changes one field of an object."""
    if not vars(item):
        return
    name = rng.choice(sorted(vars(item)))
    value = vars(item)[name]
    if isinstance(value, bool):
        value = not value
    elif isinstance(value, int):
        value = _number(value, rng)
    elif isinstance(value, float):
        value = rng.choice((*_REAL, value * 2, value / 3, -value))
    elif isinstance(value, bytes):
        value = rng.choice((None, b"", mutate_bytes(value, rng), value * 1000))
    elif isinstance(value, np.ndarray | list):
        value = _vector(value, rng)
    elif value is None:
        others = [vars(o)[name] for o in objects(donor) if type(o) is type(item)]
        value = rng.choice((*others, [rng.choice(SMALL)], None, b"text"))
    else:
        value = None
    setattr(item, name, value)


def _number(value: int, rng: random.Random) -> int:
    return rng.choice((rng.choice(SMALL), rng.choice(LARGE), value + 1, value - 1, value * 2))


def _vector(value: Any, rng: random.Random) -> Any:
    """Changes an item of a vector, or its length."""
    items = list(value)
    at = rng.randrange(len(items) + 1)
    kind = rng.randrange(5)
    if kind == 0 or not items:
        return None if rng.random() < 0.5 else items[:at]
    if kind == 1:
        items[at:at] = [rng.choice(items)] * rng.choice((1, 1, 3))
    elif kind == 2:
        rng.shuffle(items)
    elif not hasattr(items[0], "__dict__"):
        real = isinstance(items[0], float | np.floating)
        number = rng.choice(_REAL) if real else _number(int(items[at % len(items)]), rng)
        items[at % len(items)] = number
    elif kind == 3:
        del items[at - 1]
    if isinstance(value, np.ndarray):
        return np.array(items).astype(value.dtype)
    return items


def _resized(model: Any, donor: Any, rng: random.Random) -> None:
    """Changes a dimension of a tensor, and its values accordingly."""
    del donor
    tensor = rng.choice([t for t in model.subgraphs[0].tensors if t.shape is not None])
    shape = [int(n) for n in tensor.shape]
    if not shape:
        return
    before = math.prod(shape)
    axis = rng.randrange(len(shape))
    shape[axis] = max(1, rng.choice((1, 2, 4, 16, 64, shape[axis] * 2, shape[axis] - 1)))
    if rng.random() < 0.3:
        rng.shuffle(shape)
    buffer = model.buffers[tensor.buffer]
    if buffer.data is not None and len(buffer.data) and before:
        item = len(buffer.data) // before
        tensor.buffer = len(model.buffers)
        data = np.resize(buffer.data, math.prod(shape) * item)
        model.buffers.append(schema.BufferT(data=data))
    tensor.shape = np.array(shape, np.int32)
    tensor.shapeSignature = None


def _scaled(model: Any, donor: Any, rng: random.Random) -> None:
    """Changes a scale or a zero point."""
    del donor
    found = [
        t
        for t in model.subgraphs[0].tensors
        if isinstance(t.quantization, schema.QuantizationParametersT)
        and isinstance(t.quantization.scale, np.ndarray)
    ]
    if not found:
        return
    quantization = copy.copy(rng.choice(found).quantization)
    rng.choice(found).quantization = quantization
    if not len(quantization.scale):
        return
    at = rng.randrange(len(quantization.scale))
    quantization.scale = np.array(quantization.scale, np.float32)
    with np.errstate(over="ignore"):
        quantization.scale[at] = rng.choice((*_REAL, quantization.scale[at] * 1000))
    if rng.random() < 0.3:
        quantization.zeroPoint = np.array([_number(0, rng)] * len(quantization.scale), np.int64)


def _constant(model: Any, donor: Any, rng: random.Random) -> None:
    """Changes the values of a small constant, such as a shape or axes."""
    del donor
    found = [b for b in model.buffers if b.data is not None and 0 < len(b.data) <= 64]
    if not found:
        return
    buffer = rng.choice(found)
    data = bytearray(buffer.data.tobytes())
    at = rng.randrange(len(data)) // 4 * 4
    data[at : at + 4] = (_number(0, rng) % 2**32).to_bytes(4, "little")[: len(data) - at]
    buffer.data = np.frombuffer(bytes(data), np.uint8)


def _rewired(model: Any, donor: Any, rng: random.Random) -> None:
    """Changes an operator, or what it reads or writes."""
    del donor
    subgraph = model.subgraphs[0]
    op = rng.choice(subgraph.operators)
    kind = rng.randrange(5)
    if kind == 0:
        code = rng.choice(model.operatorCodes)
        code.builtinCode = rng.choice(range(160))
        code.deprecatedBuiltinCode = min(127, code.builtinCode)
    elif kind == 1:
        rng.shuffle(subgraph.operators)
    elif kind == 2:
        op.builtinOptions = rng.choice(_OPTIONS)()
        name = type(op.builtinOptions).__name__.removesuffix("T")
        op.builtinOptionsType = getattr(schema.BuiltinOptions, name)
    elif kind == 3:
        op.opcodeIndex = rng.randrange(len(model.operatorCodes))
    else:
        name = rng.choice(("inputs", "outputs"))
        items = list(getattr(op, name))
        if items:
            items[rng.randrange(len(items))] = rng.randrange(-1, len(subgraph.tensors))
        setattr(op, name, np.array(items, np.int32))


CHANGES = (_any_field, _any_field, _any_field, _resized, _scaled, _constant, _rewired)
