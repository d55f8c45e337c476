"""Weight imprinting in a .tflite: adds classes from a few embeddings each, without training.

The vector of a new class is the mean of its examples' embeddings, which have unit length, scaled to
unit length (Qi, Brown and Lowe, arXiv 1712.07136, section 3.2). It becomes a row of the kernel of
the last CONV_2D.

The on-device imprinting engines can continue with the result, and this module with theirs. As they
do, it stores the length of the sum of each imprinted class's embeddings in the model's
`description`: a line for each class with its number and the length, in C's format `%d %f`. To add
more examples later, the sum is computed from the row and the length; it is as exact as the
direction of the quantised row. Any other description, such as the converter's name, is replaced.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

import imprinting.schema.tflite as schema
from imprinting.base import large_arrays
from imprinting.tflite import class_vectors, model_file, model_graph, product_rules
from imprinting.tflite.model_graph import Model, Tensor

_Value = TypeVar("_Value")

# How far an embedding's length may be from 1. Rounding to quanta of 1/128 changes it much less.
_TOLERANCE = 0.1
# The least length of a sum of embeddings. The direction of a shorter one is only rounding error.
_LEAST_LENGTH = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Imprinted:
    """The result of imprinting.

    Attributes:
      tflite_model: the model with the new last layer.
      cosines: float64 [classes], the cosine between each class's vector and its quantised row; 1
        for classes that were not changed. It is well below 1 if the vector has components outside
        the kernel's range, or if the range is so wide that the quanta are coarse.
    """

    tflite_model: Model
    cosines: np.ndarray


class ImprintingEngine:
    """Adds classes to a TFLite model.

    engine = ImprintingEngine(model_file.read("digits.tflite"), keep_classes=True)
    engine.add(engine.num_classes, embeddings)
    data = model_file.serialise(engine.build().tflite_model)
    """

    def __init__(self, tflite_model: Model, *, keep_classes: bool):
        """Starts with the model's classes, or with none.

        Args:
          tflite_model: a quantised classifier, extractor and head in one; it is not changed.
          keep_classes: whether its classes are kept. Examples can be added to those that were
            imprinted earlier.

        Raises:
          ValueError: if the model breaks rules of the products; the error lists all of them.
        """
        violations = product_rules.check(tflite_model, quantised=True)
        # The engines overwrite a description that they did not write.
        other_notes = [v for v in violations if v.rule == "description"]
        violations = [v for v in violations if v.rule != "description"]
        if violations:
            raise ValueError(
                "\n  ".join(
                    [
                        "expected a model that the on-device imprinting engines accept, got one "
                        f"that breaks {len(violations)} of their rules:",
                        *map(str, violations),
                    ]
                )
            )
        self._model = tflite_model
        self._graph = model_graph.graph(tflite_model)
        tail = product_rules.tail(self._graph)
        assert tail is not None
        self._conv, self._mul, self._reshape, self._softmax = tail
        self._kernel = _input(self._conv, 1)
        (norm,) = self._graph.named("L2_NORMALIZATION")
        self._depth = norm.outputs[0].shape[3]
        _check_kernel(self._kernel, self._depth)
        self._scale_factor = _scale_factor(tflite_model)
        rows = _values(tflite_model, self._kernel, np.uint8).reshape(-1, self._depth)
        self._rows = rows if keep_classes else rows[:0]
        self._lengths = _read_lengths(tflite_model) if keep_classes and not other_notes else {}
        # Class -> sum of embeddings, for the classes that examples were added to.
        self._sums: dict[int, np.ndarray] = {}
        self._num_classes = len(self._rows)

    @property
    def num_classes(self) -> int:
        """The number of classes; also the number of the next new class."""
        return self._num_classes

    @property
    def depth(self) -> int:
        """The number of components of an embedding."""
        return self._depth

    def trained_vectors(self) -> np.ndarray:
        """The vectors of the trained classes, float32 [n, depth], of unit length."""
        trained = [number for number in range(len(self._rows)) if not self.is_imprinted(number)]
        vectors = self._kernel.dequantise(self._rows[trained])
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    def is_imprinted(self, number: int) -> bool:
        """Whether a class was imprinted, now or earlier, rather than trained."""
        return number in self._sums or number in self._lengths

    def add(self, number: int, embeddings: np.ndarray) -> None:
        """Adds examples of a class.

        Args:
          number: the class; `num_classes` adds a new one.
          embeddings: float [n, depth], n at least 1, each of unit length up to rounding to quanta
            of 1/128. They are summed without being normalised again.

        Raises:
          ValueError: if the embeddings have another shape or length, if the class was trained, or
            if its number is above `num_classes`.
        """
        embeddings = np.asarray(embeddings)
        if embeddings.ndim != 2 or embeddings.shape[1] != self._depth or not len(embeddings):
            raise ValueError(
                f"expected embeddings [n, {self._depth}], got {list(embeddings.shape)}"
            )
        total = np.zeros([self._depth])
        for piece in large_arrays.pieces(len(embeddings), 8 * self._depth):
            some = embeddings[piece].astype(np.float64)
            lengths = np.linalg.norm(some, axis=1)
            wrong = np.flatnonzero(~(np.abs(lengths - 1) <= _TOLERANCE))
            if len(wrong):
                raise ValueError(
                    f"expected embeddings of length 1, got {lengths[wrong[0]]:.4g} as embedding "
                    f"{piece.start + wrong[0]}; divide each by its length"
                )
            total += some.sum(axis=0)
        if not 0 <= number <= self._num_classes:
            raise ValueError(
                f"expected a class in 0..{self._num_classes}, the last of which is new, got "
                f"{number}"
            )
        if number == self._num_classes:
            self._num_classes += 1
            self._sums[number] = np.zeros([self._depth])
        elif number not in self._sums:
            if number not in self._lengths:
                raise ValueError(
                    f"expected a class that was imprinted, got {number}, which was trained and "
                    "cannot be changed; add its examples to a new class"
                )
            row = self._kernel.dequantise(self._rows[number]).astype(np.float64)
            self._sums[number] = row * self._lengths[number]
        self._sums[number] = self._sums[number] + total

    def remove(self, number: int) -> None:
        """Removes a class; the numbers of those after it become smaller by one.

        Args:
          number: the class.

        Raises:
          ValueError: if there is no such class, or no other one.
        """
        if not 0 <= number < self._num_classes:
            raise ValueError(f"expected a class in 0..{self._num_classes - 1}, got {number}")
        if self._num_classes == 1:
            raise ValueError("expected at least one other class than the one to remove, got none")
        self._rows = (
            np.delete(self._rows, number, axis=0) if number < len(self._rows) else self._rows
        )
        self._lengths = _without(number, self._lengths)
        self._sums = _without(number, self._sums)
        self._num_classes -= 1

    def build(self) -> Imprinted:
        """Returns the model with all classes.

        Raises:
          ValueError: if there is no class, or the examples of one cancel out.
        """
        if not self._num_classes:
            raise ValueError("expected examples of at least one class, got none")
        rows = np.zeros([self._num_classes, self._depth], np.uint8)
        rows[: len(self._rows)] = self._rows
        lengths = dict(self._lengths)
        cosines = np.ones([self._num_classes])
        if self._sums:
            numbers = list(self._sums)
            sums = np.stack(list(self._sums.values()))
            found = np.linalg.norm(sums, axis=1)
            if found.min() < _LEAST_LENGTH:
                number = numbers[int(found.argmin())]
                raise ValueError(
                    f"expected examples of each class that are similar, got examples of class "
                    f"{number} that cancel out; check that they show the same class"
                )
            vectors = sums / found[:, np.newaxis]
            rows[numbers] = quanta = _quantise(vectors, self._kernel)
            cosines[numbers] = _cosines(vectors, self._kernel.dequantise(quanta))
            lengths.update(zip(numbers, found, strict=True))
        description = "".join(f"{i} {lengths[i]:f}\n" for i in sorted(lengths))
        return Imprinted(self._changed(rows, description.encode()), cosines)

    def _changed(self, rows: np.ndarray, description: bytes) -> Model:
        """Returns the model with another last kernel, uint8 [classes, depth]."""
        count = len(rows)
        subgraph = self._model.subgraphs[0]
        tensors, buffers = list(subgraph.tensors), list(self._model.buffers)

        def change(
            tensor: Tensor, shape: list[int], *, scale: float = 0, values: Any = None
        ) -> None:
            old = tensors[tensor.index]
            new: dict[str, Any] = {"shape": np.array(shape, np.int32), "shapeSignature": None}
            if scale:
                new["quantization"] = schema.QuantizationParametersT(
                    min=[-128 * scale], max=[127 * scale], scale=[scale], zeroPoint=[128]
                )
            if values is not None:
                # Another tensor may have the same values in the same buffer.
                new["buffer"] = len(buffers)
                data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
                buffers.append(schema.BufferT(data=data))
            tensors[tensor.index] = model_file.changed(old, **new)

        bias, factor = _input(self._conv, 2), self._scale_factor
        unit = product_rules.EMBEDDING_SCALE
        change(self._kernel, [count, 1, 1, self._depth], values=rows)
        # As the engines do, the zero point is written into each byte. TFLite accepts only 0.
        change(bias, [count], values=np.full([4 * count], bias.zero_points[0], np.uint8))
        change(self._conv.outputs[0], [1, 1, 1, count], scale=unit)
        change(self._mul.outputs[0], [1, 1, 1, count], scale=unit * factor)
        change(self._reshape.outputs[0], [1, count], scale=unit * factor)
        change(self._softmax.outputs[0], [1, count])
        operators = list(subgraph.operators)
        reshape = operators[self._reshape.index]
        shape = self._reshape.input(1)
        if shape is not None:
            change(shape, list(shape.shape), values=np.array([1, count], np.int32))
        if reshape.builtinOptions is not None and reshape.builtinOptions.newShape is not None:
            options = model_file.changed(reshape.builtinOptions, newShape=[1, count])
            operators[self._reshape.index] = model_file.changed(reshape, builtinOptions=options)
        return model_file.pruned(
            model_file.changed(
                self._model,
                description=description,
                subgraphs=[model_file.changed(subgraph, tensors=tensors, operators=operators)],
                buffers=buffers,
            )
        )


def _input(operator: model_graph.Operator, index: int) -> Tensor:
    tensor = operator.input(index)
    assert tensor is not None
    return tensor


def _values(tflite_model: Model, tensor: Tensor, kind: type) -> np.ndarray:
    """A constant's values, as a one-dimensional array."""
    buffer = tflite_model.subgraphs[0].tensors[tensor.index].buffer
    return np.asarray(tflite_model.buffers[buffer].data, np.uint8).view(kind)


def _scale_factor(tflite_model: Model) -> float:
    factor = class_vectors.scale_factor(tflite_model)
    if not factor > 0:
        raise ValueError(f"expected a scale factor above 0 as the MUL's second input, got {factor}")
    return factor


def _check_kernel(kernel: Tensor, depth: int) -> None:
    if not kernel.constant or kernel.shape[1:] != (1, 1, depth):
        raise ValueError(
            f"expected a constant [classes, 1, 1, {depth}] as the last CONV_2D's kernel, got "
            f"{kernel}"
        )


def _read_lengths(tflite_model: Model) -> dict[int, float]:
    """Class -> length, from a description that keeps the rule in `product_rules`."""
    lengths: dict[int, float] = {}
    for line in (tflite_model.description or b"").decode().splitlines():
        number, length = line.split()
        # If a class has two lines, the engines use the first.
        lengths.setdefault(int(number), float(length))
    return lengths


def _without(number: int, values: Mapping[int, _Value]) -> dict[int, _Value]:
    """Values of classes after one class is removed."""
    return {n - (n > number): value for n, value in values.items() if n != number}


def _quantise(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    (scale,), (zero_point,) = tensor.scales, tensor.zero_points
    return np.clip(np.rint(values / scale) + zero_point, 0, 255).astype(np.uint8)


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The cosine between the rows of two arrays [n, d]; those of `first` have unit length."""
    return (first * second).sum(axis=1) / np.maximum(np.linalg.norm(second, axis=1), 1e-12)
