"""Classifies photos with a complete .tflite.

In a notebook:

  classifier = photo_classifier.read(default_model.path())
  answers, unreadable = classifier.classify(["mug.jpg", "cup.jpg"])
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from imprinting.base import labels as label_files
from imprinting.base import pixel_scaling
from imprinting.photos.photo_file import BadImageError
from imprinting.photos.pixel_reader import PixelReader, Source
from imprinting.tflite import inference, metadata, model_graph, runner_pool
from imprinting.tflite.inference import Kernels, Runner
from imprinting.tflite.model_graph import Graph, Model, Tensor

# Operators that do not change what a tensor means; converters put them after the softmax.
_SAME_VALUES = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE")
# The types of inputs and outputs.
_TYPES = {"UINT8": np.uint8, "FLOAT32": np.float32}


class Answer(NamedTuple):
    """A class that a photo may show.

    Attributes:
      label: the class's name.
      probability: in [0, 1]; a multiple of 1/256 if the model is quantised.
    """

    label: str
    probability: float


class PhotoClassifier:
    """A .tflite that classifies photos, on all processors.

    Attributes:
      labels: the names of the classes, in order.
      image_size: height and width of the model's input, in pixels.
      crop: which part of a photo the input is.
    """

    def __init__(self, data: bytes, *, labels: Sequence[str] | None = None) -> None:
        """Reads the model.

        Args:
          data: the bytes of a complete classifier, from an image [1, s, s, 3] to the probabilities
            [1, n] of a softmax. The image is uint8 pixels; if it is float32, it is (q - 128) / 128
            for a pixel q.
          labels: the names of the classes; None means those that the model carries. A class
            without a name there is named by its number.

        Raises:
          ValueError: if the model is damaged, is not such a classifier or is refused by the
            interpreter, or if the names do not fit it.
        """
        tflite_model = inference.verify(data, compiled=False)
        self._image, self._output = _image_and_output(model_graph.graph(tflite_model))
        self._data = data
        self._runners = [_tried_runner(data, self._image)]
        num_classes = self._output.shape[1]
        if labels is None:
            self.labels = _carried_labels(data, tflite_model, num_classes)
        else:
            label_files.check_count(labels, num_classes, "labels")
            self.labels = tuple(labels)
        self.image_size = self._image.shape[1]
        self.crop = metadata.crop_of(tflite_model)

    def classify(
        self,
        paths: Sequence[str],
        top: int = 5,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> tuple[list[list[Answer]], dict[int, str]]:
        """Classifies photos, preprocessed as in evaluation.

        Args:
          paths: JPEG, PNG, BMP, WebP or GIF files.
          top: how many classes to return for each photo, at least 1.
          on_progress: called with the number of photos done and the total number.

        Returns:
          For each photo, the most probable classes, the most probable first; equally probable ones
          are in the order of the classes. And the reasons why files cannot be read, by index; such
          files have no answers.

        Raises:
          MemoryError: if there is too little memory for a photo.
          ValueError: if `top` is below 1.
        """
        if top < 1:
            raise ValueError(f"expected top to be at least 1, got {top}")
        answers: list[list[Answer]] = []
        bad: dict[int, str] = {}
        workers = max(1, min(os.cpu_count() or 1, len(paths)))
        while len(self._runners) < workers:
            self._runners.append(Runner(self._data, kernels=Kernels.DEFAULT))
        reader = PixelReader(self.image_size, self.crop)

        def compute(index: int, runner: Runner) -> list[Answer]:
            try:
                (pixels,) = reader.read(paths[index])
            except BadImageError as error:
                bad[index] = str(error)
                return []
            return self._answers(pixels, runner, top)

        results = runner_pool.results(len(paths), self._runners[:workers], compute)
        with contextlib.closing(results):
            for found in results:
                answers.append(found)
                if on_progress is not None:
                    on_progress(len(answers), len(paths))
        return answers, bad

    def classify_one(self, photo: Source, *, top: int = 5) -> list[Answer]:
        """Classifies one photo, which may also be pixels; see `classify`.

        Raises:
          BadImageError: if it cannot be read.
        """
        (pixels,) = PixelReader(self.image_size, self.crop).read(photo)
        return self._answers(pixels, self._runners[0], top)

    def _answers(self, pixels: np.ndarray, runner: Runner, top: int) -> list[Answer]:
        """The most probable classes of an image, uint8 [s, s, 3]."""
        image = pixels if self._image.type == "UINT8" else pixel_scaling.to_real(pixels)
        (values,) = runner.run(image)
        probabilities = self._output.dequantise(values)
        best = np.argsort(-probabilities, kind="stable")[:top]
        return [Answer(self.labels[i], float(probabilities[i])) for i in best]


def read(path: str) -> PhotoClassifier:
    """Reads a classifier.

    Args:
      path: the .tflite.

    Raises:
      OSError: if it cannot be read.
      ValueError: see `PhotoClassifier`; the error names the file.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        return PhotoClassifier(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _image_and_output(graph: Graph) -> tuple[Tensor, Tensor]:
    """The input and the output of a classifier; raises a ValueError for other models."""
    found = _why_not(graph)
    if found:
        raise ValueError(
            "expected a complete classifier, from an image [1, s, s, 3] to the probabilities "
            f"[1, n] of a softmax, both uint8 or float32, got one with {found}; name a complete "
            ".tflite, not its extractor or its head"
        )
    return graph.inputs[0], graph.outputs[0]


def _why_not(graph: Graph) -> str:
    """What a model has instead of what a classifier has; '' for a classifier."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return f"{len(graph.inputs)} inputs and {len(graph.outputs)} outputs"
    image, output = graph.inputs[0], graph.outputs[0]
    is_image = len(image.shape) == 4 and image.shape == (1, image.shape[1], image.shape[1], 3)
    if not (is_image and image.shape[1] > 0 and _is_supported(image)):
        return f"the input {image}"
    is_vector = len(output.shape) == 2 and output.shape[0] == 1 and output.shape[1] > 0
    if not (is_vector and _is_supported(output)):
        return f"the output {output}"
    last = graph.producer(output)
    # Not `while`: a damaged model may go in circles.
    for _ in graph.operators:
        if last is not None and last.name in _SAME_VALUES:
            last = graph.producer(last.input(0))
    if last is None or last.name != "SOFTMAX":
        return f"the output of {last.name if last else 'no operator'}"
    return ""


def _tried_runner(data: bytes, image: Tensor) -> Runner:
    """A runner that has computed something; raises a ValueError if the model cannot."""
    try:
        runner = Runner(data, kernels=Kernels.DEFAULT)
        # Some damage is found only now.
        runner.run(np.zeros(image.shape[1:], _TYPES[image.type]))
    except ValueError as error:
        raise ValueError(_one_line(error)) from error
    return runner


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _is_supported(tensor: Tensor) -> bool:
    return tensor.type in _TYPES and len(tensor.scales) == (tensor.type == "UINT8")


def _carried_labels(data: bytes, tflite_model: Model, num_classes: int) -> tuple[str, ...]:
    """The names of a model's classes; the number of a class that has no name."""
    # An on-device imprinting engine keeps the description of the labels, but loses their file.
    names = [
        name.strip() for name in metadata.labels_of(data, tflite_model, must_be_there=False) or ()
    ]
    while names and not names[-1]:
        names.pop()
    if len(names) > num_classes:
        raise ValueError(
            f"expected the names of at most {num_classes} classes in the model's metadata, got "
            f"{len(names)}; create the .tflite again, with the names of its classes"
        )
    names += [""] * (num_classes - len(names))
    return tuple(name or str(index) for index, name in enumerate(names))
