"""Running a .tflite over many inputs, with the kernels that the question is about."""

import concurrent.futures
import enum
import os

import numpy as np
import tensorflow as tf

from transforms.conversion.silence import silence
from transforms.tflite import model_file
from transforms.tflite.model_graph import Model


class Kernels(enum.Enum):
    """Which implementation of the operators computes.

    Attributes:
      REFERENCE: TensorFlow Lite's plain C++, which says what an operator means.
      DEFAULT: what an interpreter takes when nothing is said: XNNPACK where it can.
    """

    REFERENCE = "reference"
    DEFAULT = "default"


class Runner:
    """A model in an interpreter of one thread, for one image at once."""

    def __init__(self, data: bytes, *, kernels: Kernels):
        """Prepares the model.

        Args:
          data: the bytes of a .tflite of one input.
          kernels: what computes.

        Raises:
          ValueError: if the interpreter cannot take the model.
        """
        with silence():
            self._interpreter = _interpreter(data, kernels)
        (image,) = self._interpreter.get_input_details()
        self._input = image["index"]
        self._outputs = [details["index"] for details in self._interpreter.get_output_details()]

    def run(self, image: np.ndarray) -> list[np.ndarray]:
        """The values of each output, without their first dimension, which is 1.

        Args:
          image: of the input's type and shape, without its first dimension.

        Raises:
          ValueError: if it is not.
        """
        self._interpreter.set_tensor(self._input, image[np.newaxis])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output)[0] for output in self._outputs]


def run(
    model: Model,
    inputs: np.ndarray,
    *,
    kernels: Kernels,
    fetch: list[int] | None = None,
) -> list[np.ndarray]:
    """Runs a model of one input, of one image at once, over many.

    Args:
      model: of one input; tensors to fetch are made outputs of a copy.
      inputs: [n, ...], of the input's type, without its first dimension, which is 1.
      kernels: what computes.
      fetch: indices of the tensors whose values are asked for; the outputs where None.

    Returns:
      The values of each tensor, [n, ...], as they are: quanta where it is quantised.

    Raises:
      ValueError: if the inputs do not fit, or if the interpreter cannot take the model.
    """
    workers = max(1, min(os.cpu_count() or 1, len(inputs)))
    if fetch is not None:
        subgraph = model_file.changed(model.subgraphs[0], outputs=fetch)
        model = model_file.changed(model, subgraphs=[subgraph])
    data = model_file.serialise(model)
    # Invoking releases Python's lock: each thread has an interpreter of its own.
    runners = [Runner(data, kernels=kernels) for _ in range(workers)]

    def share(runner: Runner, images: np.ndarray) -> list[np.ndarray]:
        return [np.stack(values) for values in zip(*map(runner.run, images), strict=True)]

    with silence(), concurrent.futures.ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(share, runners, np.array_split(inputs, workers)))
    return [np.concatenate(values) for values in zip(*done, strict=True)]


def _interpreter(data: bytes, kernels: Kernels) -> tf.lite.Interpreter:
    resolver = tf.lite.experimental.OpResolverType
    reference = kernels is Kernels.REFERENCE
    try:
        interpreter = tf.lite.Interpreter(
            model_content=data,
            num_threads=1,
            experimental_op_resolver_type=resolver.BUILTIN_REF if reference else resolver.AUTO,
        )
        interpreter.allocate_tensors()
    except RuntimeError as error:
        raise ValueError(f"TensorFlow Lite's interpreter refused the model: {error}") from error
    return interpreter
