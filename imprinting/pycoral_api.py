"""The imprinting API of pycoral 2.0, for machines with and without an Edge TPU.

Programs that learn classes with pycoral run after their imports are changed:

  from imprinting import pycoral_api as classify  # pycoral.adapters.classify
  from imprinting import pycoral_api as common  # pycoral.adapters.common
  from imprinting.pycoral_api import ImprintingEngine  # pycoral.learn.imprinting.engine
  from imprinting.pycoral_api import make_interpreter  # pycoral.utils.edgetpu

Names, arguments and results are those of pycoral. Where pycoral takes wrong numbers without a word,
such as quanta instead of real numbers, there is an error. A model that is not compiled for the Edge
TPU runs on the CPU if the machine has no Edge TPU, or if the device is "cpu".
"""

import operator
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from imprinting.tflite import imprinting as engines
from imprinting.tflite import inference, metadata, model_file, split
from imprinting.tflite.silence import silence

_CPU = "cpu"


class ImprintingError(ValueError, RuntimeError):
    """An example that cannot be learned, or a model that cannot be written.

    It is a RuntimeError, too, since pycoral raises that.
    """


class Class(NamedTuple):
    """A class that an image may show.

    Attributes:
      id: the class's number.
      score: its score; a probability, if the model ends in a softmax.
    """

    id: int
    score: float


class ImprintingEngine:
    """Adds classes to a .tflite, from one embedding after the other."""

    def __init__(self, model_path: str | os.PathLike[str], keep_classes: bool = False) -> None:
        """Reads a model.

        Args:
          model_path: a quantised classifier that the on-device imprinting engines accept. Its
            extractor may be compiled for the Edge TPU.
          keep_classes: whether its classes are kept; otherwise the first new class is 0.

        Raises:
          ValueError: if the file cannot be read, is damaged, or holds another model.
        """
        path = os.fspath(model_path)
        try:
            with open(path, "rb") as file:
                self._data = file.read()
        except OSError as error:
            raise ValueError(
                f"expected a .tflite at {path}, got: {error.strerror}; correct the path"
            ) from error
        try:
            self._model = inference.verify(self._data)
            self._engine = engines.ImprintingEngine(self._model, keep_classes=keep_classes)
            self._labels = metadata.labels_of(self._data, self._model, must_be_there=False) or ()
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        self._num_kept = self._engine.num_classes

    @property
    def embedding_dim(self) -> int:
        """The number of components of an embedding."""
        return self._engine.depth

    @property
    def num_classes(self) -> int:
        """The number of classes; also the number of the next new class."""
        return self._engine.num_classes

    def serialize_extractor_model(self) -> bytes:
        """Returns the .tflite that computes the embedding of an image.

        If the extractor is compiled for the Edge TPU, it needs one.
        """
        return model_file.serialise(split.at_embedding(self._model).extractor)

    def train(self, embedding: np.ndarray, class_id: int) -> None:
        """Adds an example of a class.

        Args:
          embedding: float [embedding_dim], of unit length up to rounding: what `get_scores` returns
            after the extractor was run on an image.
          class_id: the class, `num_classes` for a new one; or one that was imprinted, now or
            earlier.

        Raises:
          ImprintingError: if it is not such an embedding, or the class was trained in another way
            or is not the next new one.
          TypeError: if `class_id` is not an integer.
        """
        if isinstance(class_id, bool | np.bool_):
            raise TypeError(f"expected the number of a class, got {class_id}")
        number = operator.index(class_id)
        values = np.asarray(embedding)
        self._check_embedding(values)
        try:
            self._engine.add(number, values[np.newaxis])
        except ValueError as error:
            raise ImprintingError(str(error)) from error

    def serialize_model(self) -> bytes:
        """Returns the .tflite with all classes; more examples can be added afterwards.

        If classes were kept, and the model carried their names, the new classes are named by their
        numbers.

        Raises:
          ImprintingError: if there is no class, or the examples of one cancel out.
        """
        try:
            made = self._engine.build().tflite_model
        except ValueError as error:
            raise ImprintingError(str(error)) from error
        if not self._num_kept or not 0 < len(self._labels) <= self._num_kept:
            return model_file.serialise(made)
        numbers = map(str, range(len(self._labels), self.num_classes))
        names = [name if name.strip() else str(i) for i, name in enumerate(self._labels)]
        return metadata.extend(made, [*names, *numbers], data=self._data)

    def _check_embedding(self, values: np.ndarray) -> None:
        """Checks the shape and the type of an embedding."""
        depth = self._engine.depth
        found = f"{values.dtype} {[*values.shape]}"
        if values.ndim >= 3 and values.shape[-1] == 3 and values.size != depth:
            raise ImprintingError(
                f"expected an embedding of {depth} numbers, got {found}, an image; run the model "
                "of serialize_extractor_model() on it, and give what get_scores() returns"
            )
        if values.shape != (depth,):
            raise ImprintingError(
                f"expected one embedding [{depth}], got {found}; "
                + (
                    "give it as get_scores() returns it, flat"
                    if values.size == depth
                    else "compute it with the model of serialize_extractor_model()"
                )
            )
        if not np.issubdtype(values.dtype, np.floating):
            raise ImprintingError(
                f"expected an embedding as real numbers of unit length, got {found}, the quanta of "
                "a tensor; give what get_scores() returns, which is dequantised"
            )


def make_interpreter(
    model_path_or_content: str | os.PathLike[str] | bytes, device: str | None = None
) -> Any:
    """Returns an interpreter of a .tflite; call its allocate_tensors() first.

    Args:
      model_path_or_content: the path or the bytes of a .tflite.
      device: "cpu"; or an Edge TPU as in pycoral, ":0", "usb", "pci:1" and so on. None means any
        Edge TPU, or the CPU if there is none and the model is not compiled.

    Raises:
      OSError: if the file cannot be read.
      ValueError: if it is damaged, or the Edge TPU that it needs is missing.
    """
    if isinstance(model_path_or_content, bytes):
        data = model_path_or_content
    else:
        with open(model_path_or_content, "rb") as file:
            data = file.read()
    compiled = model_file.is_compiled(inference.verify(data))
    edge_tpu = None if device == _CPU else inference.edge_tpu(device or "")
    if edge_tpu is None and (compiled or device not in (None, _CPU)):
        needs = "a model that is compiled for it" if compiled else f"the device {device!r}"
        advice = "give the model that was compiled" if compiled else f'give device="{_CPU}"'
        raise ValueError(
            f"expected an Edge TPU for {needs}, got "
            + ("the CPU" if device == _CPU else "none on this machine, or no libedgetpu")
            + f"; connect one, or {advice}"
        )
    with silence():
        return inference.litert.Interpreter(
            model_content=data, experimental_delegates=None if edge_tpu is None else [edge_tpu]
        )


def input_size(interpreter: Any) -> tuple[int, int]:
    """The width and the height of the image that a model takes.

    Args:
      interpreter: that of the model.
    """
    _, height, width, _ = interpreter.get_input_details()[0]["shape"]
    return int(width), int(height)


def set_input(interpreter: Any, data: Any) -> None:
    """Gives a model its image.

    Args:
      interpreter: that of the model, whose tensors are allocated.
      data: what NumPy makes an array [height, width, channels] of, such as an image of Pillow: for
        a quantised model, integers in the range of its input.

    Raises:
      ValueError: if the image has another shape, or numbers that the input cannot hold.
    """
    details = interpreter.get_input_details()[0]
    expected, kind = tuple(int(size) for size in details["shape"][1:]), details["dtype"]
    values = np.asarray(data)
    if values.shape not in (expected, (1, *expected)):
        raise ValueError(
            f"expected an image {[*expected]}, got {[*values.shape]}; convert it to RGB and resize "
            f"it to {expected[1]} x {expected[0]} pixels"
        )
    if np.issubdtype(kind, np.integer):
        limits = np.iinfo(kind)
        if not np.issubdtype(values.dtype, np.integer):
            raise ValueError(
                f"expected an image of integers in {limits.min}..{limits.max}, got {values.dtype}; "
                "give the pixels, which are not scaled"
            )
        if values.min() < limits.min or values.max() > limits.max:
            raise ValueError(
                f"expected integers in {limits.min}..{limits.max}, got {values.min()}.."
                f"{values.max()}"
            )
    interpreter.set_tensor(details["index"], values.reshape(1, *expected).astype(kind))


def num_classes(interpreter: Any) -> int:
    """The number of classes of a classifier.

    Args:
      interpreter: that of the classifier.
    """
    return int(np.prod(interpreter.get_output_details()[0]["shape"]))


def get_scores(interpreter: Any) -> np.ndarray:
    """The result of a model: the scores of all classes, or an embedding.

    Args:
      interpreter: that of the model, which was invoked.

    Returns:
      float [n], as real numbers if the model is quantised; it does not change when the model is
      invoked again.

    Raises:
      ValueError: if the result is integers without a scale, which are not scores.
    """
    details = interpreter.get_output_details()[0]
    values = interpreter.get_tensor(details["index"]).reshape(-1)
    if not np.issubdtype(details["dtype"], np.integer):
        return values
    scale, zero_point = details["quantization"]
    if not scale:
        raise ValueError(
            f"expected scores, or quanta with a scale, got {values.dtype} without one; the model "
            "is not a classifier or an extractor"
        )
    return scale * (values.astype(np.int64) - zero_point)


def get_classes_from_scores(
    scores: Iterable[float],
    top_k: float = float("inf"),
    score_threshold: float = -float("inf"),
) -> list[Class]:
    """The classes with the greatest scores, the greatest first.

    Args:
      scores: float [n], of all classes.
      top_k: the number of classes to return, at least 1.
      score_threshold: classes with a lower score are left out.

    Returns:
      At most `top_k` classes; those with equal scores are in the order of their numbers.

    Raises:
      ValueError: if `top_k` is below 1, or the scores have another shape.
    """
    values = np.asarray(scores)
    if values.ndim != 1:
        raise ValueError(f"expected scores [n], got {[*values.shape]}; give them flat")
    if not top_k >= 1:
        raise ValueError(f"expected top_k to be at least 1, got {top_k}")
    order = np.argsort(-values, kind="stable")[: int(min(top_k, len(values)))]
    return [Class(int(i), float(values[i])) for i in order if values[i] >= score_threshold]


def get_classes(
    interpreter: Any, top_k: float = float("inf"), score_threshold: float = -float("inf")
) -> list[Class]:
    """The classes with the greatest scores after a classifier was invoked.

    Args:
      interpreter: that of the classifier.
      top_k: see `get_classes_from_scores`.
      score_threshold: the same.

    Raises:
      ValueError: see `get_scores` and `get_classes_from_scores`.
    """
    return get_classes_from_scores(get_scores(interpreter), top_k, score_threshold)
