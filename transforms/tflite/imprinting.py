"""Weight imprinting in a .tflite: new classes from a few embeddings each, without training.

A new class's vector is the mean of its examples' embeddings, of unit length each, brought to unit
length again (Qi, Brown and Lowe, arXiv 1712.07136, section 3.2). It becomes a row of the last
CONV_2D's kernel.

The result means the same as that of the on-device engines, so that a model can go back and forth
between them and this. Like theirs, it keeps the length of the sum of each imprinted class's
embeddings in the model's `description`: a line for each, its number and that length, in C's format
`%d %f`. From row and length, the sum comes back, to which more examples can be added later, as
exactly as the kernel's quanta hold its direction. A description that is something else, such as a
converter's name, tells of no class, and goes.
"""

import dataclasses
from typing import Any

import numpy as np

import third_party.tflite.schema as schema
from transforms.tflite import model_file, model_graph, product_rules
from transforms.tflite.model_graph import Model, Tensor

# Of an embedding's length: rounding to quanta of 1/128 stays well below.
_TOLERANCE = 0.1
# Of a sum of embeddings: with less, its direction is nothing but rounding.
_LEAST_LENGTH = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Imprinted:
    """What came of imprinting.

    Attributes:
      model: the model with the new last layer.
      cosines: float64 [classes], between each class's vector and what the kernel's quanta make of
        it; 1 where a class was left as it was. Well below 1 where a vector has components beyond
        the range that the kernel had, or where that range is so wide that its quanta are coarse.
    """

    model: Model
    cosines: np.ndarray


class ImprintingEngine:
    """The classes of a model, to which others are added."""

    def __init__(self, model: Model, *, keep_classes: bool):
        """Starts with a model's classes, or with none.

        Args:
          model: a quantised classifier, extractor and head in one; it is not changed.
          keep_classes: whether its classes stay, those imprinted earlier ready for more examples.

        Raises:
          ValueError: if the model breaks a rule of the products; names all that it breaks.
        """
        violations = product_rules.check(model, quantised=True)
        # Other notes than theirs the engines overwrite.
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
        self._model = model
        self._graph = model_graph.graph(model)
        tail = product_rules.tail(self._graph)
        assert tail is not None
        self._conv, self._mul, self._reshape, self._softmax = tail
        self._kernel = _input(self._conv, 1)
        (norm,) = self._graph.named("L2_NORMALIZATION")
        self._depth = norm.outputs[0].shape[3]
        _check_kernel(self._kernel, self._depth)
        self._scale_factor = _scale_factor(model, _input(self._mul, 1))
        rows = _values(model, self._kernel, np.uint8).reshape(-1, self._depth)
        self._rows = rows if keep_classes else rows[:0]
        self._lengths = _read_lengths(model) if keep_classes and not other_notes else {}
        # Of the classes that examples were added to.
        self._sums: dict[int, np.ndarray] = {}
        self._num_classes = len(self._rows)

    @property
    def num_classes(self) -> int:
        """How many classes there are; the next one's number, too."""
        return self._num_classes

    @property
    def depth(self) -> int:
        """How many components an embedding has."""
        return self._depth

    def trained_vectors(self) -> np.ndarray:
        """The vectors of the classes that were trained, float32 [n, depth], of unit length."""
        trained = [number for number in range(len(self._rows)) if not self.is_imprinted(number)]
        vectors = self._kernel.dequantise(self._rows[trained])
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    def is_imprinted(self, number: int) -> bool:
        """Whether a class was imprinted, here or earlier, and not trained."""
        return number in self._sums or number in self._lengths

    def add(self, number: int, embeddings: np.ndarray) -> None:
        """Adds examples of a class.

        Args:
          number: the class, new if it is `num_classes`.
          embeddings: float [n, depth] of unit length each, which rounding to quanta of 1/128 may
            have changed: they are summed as they are.

        Raises:
          ValueError: if there are none, they are of another shape or length, or the class was
            trained, or its number is not the next one.
        """
        embeddings = np.asarray(embeddings, np.float64)
        if embeddings.ndim != 2 or embeddings.shape[1] != self._depth or not len(embeddings):
            raise ValueError(
                f"expected embeddings [n, {self._depth}], got {list(embeddings.shape)}"
            )
        lengths = np.linalg.norm(embeddings, axis=1)
        wrong = np.flatnonzero(~(np.abs(lengths - 1) <= _TOLERANCE))
        if len(wrong):
            raise ValueError(
                f"expected embeddings of length 1, got {lengths[wrong[0]]:.4g} as embedding "
                f"{wrong[0]}; divide each by its length"
            )
        if not 0 <= number <= self._num_classes:
            raise ValueError(
                f"expected a class in 0..{self._num_classes}, of which the last is new, got "
                f"{number}"
            )
        if number == self._num_classes:
            self._num_classes += 1
            self._sums[number] = np.zeros([self._depth])
        elif number not in self._sums:
            if number not in self._lengths:
                raise ValueError(
                    f"expected a class that was imprinted, got {number}, which was trained: that "
                    "cannot be changed; give its examples to a new one"
                )
            row = self._kernel.dequantise(self._rows[number]).astype(np.float64)
            self._sums[number] = row * self._lengths[number]
        self._sums[number] = self._sums[number] + embeddings.sum(axis=0)

    def build(self) -> Imprinted:
        """The model with the classes that there are.

        Raises:
          ValueError: if there is no class, or the examples of one cancel out.
        """
        if not self._num_classes:
            raise ValueError("expected examples of one class at least, got none")
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
                    f"expected examples that have something in common, got such of class {number} "
                    "that cancel out"
                )
            vectors = sums / found[:, np.newaxis]
            rows[numbers] = quanta = _quantise(vectors, self._kernel)
            cosines[numbers] = _cosines(vectors, self._kernel.dequantise(quanta))
            lengths.update(zip(numbers, found, strict=True))
        description = "".join(f"{i} {lengths[i]:f}\n" for i in sorted(lengths))
        return Imprinted(self._changed(rows, description.encode()), cosines)

    def _changed(self, rows: np.ndarray, description: bytes) -> Model:
        """The model with another last kernel."""
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
        # The engines write the zero point into each byte; it is 0, where TFLite takes the model.
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


def _values(model: Model, tensor: Tensor, kind: type) -> np.ndarray:
    """A constant's values, in one dimension."""
    buffer = model.subgraphs[0].tensors[tensor.index].buffer
    return np.asarray(model.buffers[buffer].data, np.uint8).view(kind)


def _scale_factor(model: Model, tensor: Tensor) -> float:
    factor = float(tensor.dequantise(_values(model, tensor, np.uint8)).item())
    if not factor > 0:
        raise ValueError(f"expected a scale factor above 0 as the MUL's second input, got {factor}")
    return factor


def _check_kernel(kernel: Tensor, depth: int) -> None:
    if not kernel.constant or kernel.shape[1:] != (1, 1, depth):
        raise ValueError(
            f"expected a constant [classes, 1, 1, {depth}] as the last CONV_2D's kernel, got "
            f"{kernel}"
        )


def _read_lengths(model: Model) -> dict[int, float]:
    """The lengths in a description, which is as `product_rules` wants it."""
    lengths: dict[int, float] = {}
    for line in (model.description or b"").decode().splitlines():
        number, length = line.split()
        # Of two, the engines take the first.
        lengths.setdefault(int(number), float(length))
    return lengths


def _quantise(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    (scale,), (zero_point,) = tensor.scales, tensor.zero_points
    return np.clip(np.rint(values / scale) + zero_point, 0, 255).astype(np.uint8)


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The cosine between each of the rows, [n, d]; the first are of unit length."""
    return (first * second).sum(axis=1) / np.maximum(np.linalg.norm(second, axis=1), 1e-12)
