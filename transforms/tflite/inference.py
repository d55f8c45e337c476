"""Running a .tflite over many inputs, with the kernels that the question is about."""

import concurrent.futures
import enum
import os
from typing import Any

import numpy as np
import tensorflow as tf

from transforms.tflite import model_file, model_graph
from transforms.tflite.model_graph import Model
from transforms.tflite.silence import silence


class Kernels(enum.Enum):
    """Which implementation of the operators computes.

    Attributes:
      REFERENCE: TensorFlow Lite's plain C++, which says what an operator means.
      DEFAULT: what an interpreter takes when nothing is said: XNNPACK where it can.
    """

    REFERENCE = "reference"
    DEFAULT = "default"


def run(
    model: Model,
    inputs: np.ndarray,
    *,
    kernels: Kernels,
    fetch: list[int] | None = None,
) -> list[np.ndarray]:
    """Runs a model of one input, of one image at once, over many.

    Args:
      model: the model; tensors to fetch are made outputs of a copy.
      inputs: [n, ...], of the input's type, without its first dimension, which is 1.
      kernels: what computes.
      fetch: indices of the tensors whose values are asked for; the outputs where None.

    Returns:
      The values of each tensor, [n, ...], as they are: quanta where it is quantised.

    Raises:
      ValueError: if the inputs do not fit, or if the interpreter cannot take the model.
    """
    wanted = model_graph.indices(model.subgraphs[0].outputs) if fetch is None else fetch
    subgraph = model_file.changed(model.subgraphs[0], outputs=wanted)
    data = model_file.serialise(model_file.changed(model, subgraphs=[subgraph]))
    workers = max(1, min(os.cpu_count() or 1, len(inputs)))
    # Invoking releases Python's lock: each thread has an interpreter of its own.
    shares = np.array_split(inputs, workers)
    with silence():
        interpreters = [_interpreter(data, kernels) for _ in shares]
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            done = list(pool.map(_run, interpreters, shares))
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


def _run(interpreter: tf.lite.Interpreter, inputs: np.ndarray) -> list[np.ndarray]:
    (images,) = interpreter.get_input_details()
    places = [details["index"] for details in interpreter.get_output_details()]
    values: list[list[Any]] = [[] for _ in places]
    for image in inputs:
        # Refuses another type or shape than the input's, in a ValueError.
        interpreter.set_tensor(images["index"], image[np.newaxis])
        interpreter.invoke()
        for index, place in enumerate(places):
            values[index].append(interpreter.get_tensor(place)[0])
    return [np.stack(rows) for rows in values]
