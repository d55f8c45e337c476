"""Runs a .tflite on many inputs, with the reference kernels or the default ones.

The interpreter is LiteRT's, TensorFlow Lite under its new name; or that of tflite-runtime, on
machines for which there is no package of LiteRT, such as a Raspberry Pi with a 32-bit system.
"""

import concurrent.futures
import ctypes
import enum
import os
import sys
from typing import Any

import numpy as np

from imprinting.tflite import model_file, verification
from imprinting.tflite.model_graph import Model
from imprinting.tflite.silence import silence

try:
    from ai_edge_litert import interpreter as litert
except ImportError as missing:
    try:
        from tflite_runtime import interpreter as litert
    except ImportError:
        raise ImportError(
            "expected LiteRT, or tflite-runtime, which run a .tflite, got neither; install one by "
            f"`pip install ai-edge-litert` ({missing})"
        ) from missing

# The library of the Edge TPU's runtime, where its packages install it.
_EDGE_TPU = {"darwin": "libedgetpu.1.dylib", "win32": "edgetpu.dll"}.get(
    sys.platform, "libedgetpu.so.1"
)


class Kernels(enum.Enum):
    """An implementation of the operators.

    Attributes:
      REFERENCE: TensorFlow Lite's plain C++, which defines what an operator computes.
      DEFAULT: the interpreter's default: XNNPACK for the operators that it supports.
    """

    REFERENCE = "reference"
    DEFAULT = "default"


class Runner:
    """A TFLite model in an interpreter, for one image at a time."""

    def __init__(
        self, data: bytes, *, kernels: Kernels, edge_tpu: Any = None, threads: int = 1
    ) -> None:
        """Prepares the model.

        Args:
          data: the bytes of a .tflite with one input.
          kernels: the implementation of the operators.
          edge_tpu: computes the operators that are compiled for the Edge TPU; see `delegate`.
          threads: the number of the interpreter's threads.

        Raises:
          ValueError: if the interpreter refuses the model.
        """
        with silence():
            self._interpreter = _interpreter(data, kernels, edge_tpu, threads)
        (image,) = self._interpreter.get_input_details()
        self._input = image["index"]
        self._outputs = [details["index"] for details in self._interpreter.get_output_details()]

    def run(self, image: np.ndarray) -> list[np.ndarray]:
        """Returns the values of each output, without the first dimension, which is 1.

        Args:
          image: has the input's type, and its shape without the first dimension, which is 1.

        Raises:
          ValueError: if the image has another type or shape, or if the interpreter cannot run the
            model.
        """
        self._interpreter.set_tensor(self._input, image[np.newaxis])
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise ValueError(
                "expected a model that TensorFlow Lite's interpreter can run, got one that it "
                f"cannot ({' '.join(str(error).split())}); create or download it again"
            ) from error
        return [self._interpreter.get_tensor(output)[0] for output in self._outputs]


def delegate(device: str) -> Any:
    """Returns what lets the interpreter use a device; None for "cpu".

    Args:
      device: "cpu"; "usb" or "pci" for an Edge TPU, with its runtime (libedgetpu); or the path of
        another delegate's library.

    Raises:
      ValueError: if there is no such device or library.
    """
    if device == "cpu":
        return None
    is_edge_tpu = device in ("usb", "pci")
    if not is_edge_tpu and not os.path.splitext(device)[1]:
        raise ValueError(
            'expected a device, "cpu", "usb", "pci" or the path of a delegate\'s library, got '
            f"{device!r}"
        )
    found = edge_tpu(device) if is_edge_tpu else _delegate(device, None)
    if found is None:
        raise ValueError(
            f"expected an Edge TPU at {device} and its runtime, {_EDGE_TPU}, got none; connect it, "
            "and install libedgetpu"
            if is_edge_tpu
            else f"expected the library of a delegate of TensorFlow Lite, got {device}, which "
            "cannot be loaded"
        )
    return found


def edge_tpu(device: str = "") -> Any:
    """Returns a delegate for an Edge TPU; None if there is none on this machine.

    Args:
      device: which Edge TPU, as its runtime names them, such as ":0", "usb" or "pci:1"; empty for
        any.
    """
    return _delegate(_EDGE_TPU, {"device": device} if device else None)


def _delegate(library: str, options: dict[str, str] | None) -> Any:
    try:
        # If the library is missing, the destructor of a delegate would print an error.
        ctypes.CDLL(library)
        with silence():
            return litert.load_delegate(library, options)
    except (ValueError, OSError, AttributeError):
        return None


def verify(data: bytes, *, compiled: bool = True) -> Model:
    """Checks the bytes of a .tflite of unknown origin; call it before anything else runs them.

    First `model_file.parse` checks the file's structure, then `verification.check` whether it is a
    network that can be run safely, and last the interpreter itself, in this process.

    Args:
      data: the bytes of the file.
      compiled: whether the model may be compiled for the Edge TPU.

    Returns:
      The model.

    Raises:
      ValueError: if the file is truncated or damaged, or is not a network of operators that image
        classifiers have.
    """
    tflite_model = model_file.parse(data, compiled=compiled)
    verification.check(tflite_model)
    try:
        with silence():
            litert.Interpreter(
                model_content=data,
                experimental_op_resolver_type=(
                    litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
                ),
            )
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"expected a complete .tflite, got {len(data)} bytes that are truncated or damaged "
            f"({' '.join(str(error).split())}); create or download it again"
        ) from error
    return tflite_model


def run(
    tflite_model: Model,
    inputs: np.ndarray,
    *,
    kernels: Kernels,
    fetch: list[int] | None = None,
) -> list[np.ndarray]:
    """Runs a model for one image at a time on many images, in several threads.

    Args:
      tflite_model: has one input; it is not changed.
      inputs: [n, ...], of the input's type; the input is [1, ...].
      kernels: the implementation of the operators.
      fetch: indices of the tensors to return; None means the outputs.

    Returns:
      The values of each tensor, [n, ...], without conversion: quanta if it is quantised.

    Raises:
      ValueError: if the inputs do not fit, or if the interpreter refuses the model.
    """
    workers = max(1, min(os.cpu_count() or 1, len(inputs)))
    if fetch is not None:
        subgraph = model_file.changed(tflite_model.subgraphs[0], outputs=fetch)
        tflite_model = model_file.changed(tflite_model, subgraphs=[subgraph])
    data = model_file.serialise(tflite_model)
    # `invoke` releases Python's global lock: threads with their own interpreters run in parallel.
    runners = [Runner(data, kernels=kernels) for _ in range(workers)]

    def share(runner: Runner, images: np.ndarray) -> list[np.ndarray]:
        return [np.stack(values) for values in zip(*map(runner.run, images), strict=True)]

    with silence(), concurrent.futures.ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(share, runners, np.array_split(inputs, workers)))
    return [np.concatenate(values) for values in zip(*done, strict=True)]


def _interpreter(data: bytes, kernels: Kernels, edge_tpu: Any, threads: int) -> Any:
    resolver = litert.OpResolverType
    reference = kernels is Kernels.REFERENCE
    try:
        interpreter = litert.Interpreter(
            model_content=data,
            num_threads=threads,
            experimental_op_resolver_type=resolver.BUILTIN_REF if reference else resolver.AUTO,
            experimental_delegates=None if edge_tpu is None else [edge_tpu],
        )
        interpreter.allocate_tensors()
    except RuntimeError as error:
        raise ValueError(
            "expected a model that TensorFlow Lite's interpreter accepts, got "
            + " ".join(str(error).split())
        ) from error
    return interpreter
