"""The steps from a checkpoint to its products, and the same steps with TensorFlow's Python tools.

Each step is a function whose argument is a folder. It reads the files that earlier steps wrote to
it, and returns the function to measure, which returns the files to write. Each step imports the
modules that it uses, so that modules of other steps do not count as its memory.
"""

import os
import time
from collections.abc import Callable
from typing import NamedTuple

Timed = Callable[[], dict[str, bytes]]

CHECKPOINT = "model.ckpt"
IMAGES = "images.npy"
NUM_IMAGES = 64

# The same names as in the rule l2norm_tflite.
_INPUT = "input"
_OUTPUT = "MobilenetV1/Predictions/Reshape_1"
# With these parameters, TensorFlow's transforms give the same result as ours. Our fold_constants
# sets them itself, and TensorFlow's fold_constants also does the work of our fold_l2_norm.
_TENSORFLOW_TRANSFORMS = (
    "strip_unused_nodes fold_constants(exclude_op=FakeQuantWithMinMaxVars, "
    "exclude_op=FakeQuantWithMinMaxArgs, exclude_op=FakeQuantWithMinMaxVarsPerChannel, "
    f"max_constant_size_in_bytes={1 << 31})"
)


class Times(NamedTuple):
    """The times of a step's runs.

    Attributes:
      first: the time of the first run, in seconds.
      others: the times of the other runs, in seconds.
    """

    first: float
    others: list[float]


def run(name: str, folder: str, runs: int) -> Times:
    """Runs a step once and then `runs` more times, and writes its files.

    Raises:
      ValueError: if the step fails.
    """
    timed = STEPS[name](folder)
    seconds = []
    files: dict[str, bytes] = {}
    for _ in range(1 + runs):
        files.clear()
        start = time.perf_counter()
        files = timed()
        seconds.append(time.perf_counter() - start)
    for path, data in files.items():
        with open(os.path.join(folder, path), "wb") as file:
            file.write(data)
    return Times(seconds[0], seconds[1:])


def _read(folder: str, name: str) -> bytes:
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def _imports(folder: str) -> Timed:
    """Imports TensorFlow; the memory of all steps that use it includes this."""
    del folder

    def timed() -> dict[str, bytes]:
        import third_party.tensorflow.quiet  # noqa: F401

        return {}

    return timed


def _export(folder: str) -> Timed:
    import third_party.tensorflow.quiet  # noqa: F401

    # isort: split
    from classification.deployment import export
    from classification.nets import model_config
    from classification.nets.checkpoint import Checkpoint

    model = model_config.read(folder)
    if model is None:
        raise ValueError(f"expected a {model_config.FILE_NAME} in {folder}")
    prefix = os.path.join(folder, CHECKPOINT)

    def timed() -> dict[str, bytes]:
        graph = export.build(model=model, batch_size=1, checkpoint=Checkpoint(prefix))
        return {"graph.pb": graph.graph_def.SerializeToString(deterministic=True)}

    return timed


def _freeze(folder: str) -> Timed:
    from transforms import graph_transforms

    graph, prefix = _read(folder, "graph.pb"), os.path.join(folder, CHECKPOINT)
    return lambda: {
        "frozen.pb": graph_transforms.freeze(graph, checkpoint=prefix, outputs=[_OUTPUT])
    }


def _fold(folder: str) -> Timed:
    from transforms.conversion import products

    frozen = _read(folder, "frozen.pb")
    return lambda: {"folded.pb": products.fold(frozen, input_name=_INPUT, output_name=_OUTPUT)}


def _convert(folder: str) -> Timed:
    import third_party.tensorflow.quiet  # noqa: F401

    # isort: split
    from transforms.conversion import convert, graph_file

    folded = graph_file.read(os.path.join(folder, "folded.pb"))
    return lambda: {"model.tflite": convert.convert(folded)}


def _split(folder: str) -> Timed:
    import third_party.tensorflow.quiet  # noqa: F401

    # isort: split
    from imprinting.tflite import model_file, split

    tflite_model = model_file.read(os.path.join(folder, "model.tflite"))

    def timed() -> dict[str, bytes]:
        parts = split.split(tflite_model)
        return {
            "extractor.tflite": model_file.serialise(parts.extractor),
            "head.tflite": model_file.serialise(parts.head),
        }

    return timed


def _check(folder: str) -> Timed:
    import third_party.tensorflow.quiet  # noqa: F401

    # isort: split
    import numpy as np

    from imprinting.tflite import model_file
    from transforms.conversion import check, graph_file

    tflite_model, extractor, head = (
        model_file.read(os.path.join(folder, f"{part}.tflite"))
        for part in ("model", "extractor", "head")
    )
    frozen = graph_file.read(os.path.join(folder, "frozen.pb"))
    images = np.load(os.path.join(folder, IMAGES))

    def timed() -> dict[str, bytes]:
        checked = check.check(
            tflite_model=tflite_model,
            extractor=extractor,
            head=head,
            frozen=frozen,
            images=images,
            labels=None,
        )
        return {"checked.tflite": checked.tflite_model}

    return timed


def _freeze_graph(folder: str) -> Timed:
    """TensorFlow's freeze_graph, from and to bytes like ours."""
    import third_party.tensorflow.quiet  # noqa: F401

    # isort: split
    import tensorflow.compat.v1 as tf
    from tensorflow.python.tools import freeze_graph

    graph, prefix = _read(folder, "graph.pb"), os.path.join(folder, CHECKPOINT)

    def timed() -> dict[str, bytes]:
        with tf.Graph().as_default():
            frozen = freeze_graph.freeze_graph_with_def_protos(
                input_graph_def=tf.GraphDef.FromString(graph),
                input_saver_def=None,
                input_checkpoint=prefix,
                output_node_names=_OUTPUT,
                restore_op_name="",
                filename_tensor_name="",
                output_graph="",
                clear_devices=True,
                initializer_nodes="",
            )
        return {"freeze_graph.pb": frozen.SerializeToString(deterministic=True)}

    return timed


def _convert_variables(folder: str) -> Timed:
    """The part of freeze_graph that converts variables, already in memory, to constants."""
    import third_party.tensorflow.quiet  # noqa: F401

    # isort: split
    import tensorflow.compat.v1 as tf

    from classification.nets import factory, model_config

    model = model_config.read(folder)
    if model is None:
        raise ValueError(f"expected a {model_config.FILE_NAME} in {folder}")
    session = tf.Session(graph=tf.Graph())
    with session.graph.as_default():
        size = model.image_size
        factory.build(tf.placeholder(tf.float32, [1, size, size, 3], _INPUT), model)
        tf.train.Saver().restore(session, os.path.join(folder, CHECKPOINT))
        graph_def = session.graph.as_graph_def()

    def timed() -> dict[str, bytes]:
        frozen = tf.graph_util.convert_variables_to_constants(session, graph_def, [_OUTPUT])
        return {"convert_variables.pb": frozen.SerializeToString(deterministic=True)}

    return timed


def _transform_graph(folder: str) -> Timed:
    """The C++ function behind TensorFlow's TransformGraph; the wheel lacks its Python module."""
    import third_party.tensorflow.quiet  # noqa: F401

    # isort: split
    from tensorflow.python.util import _pywrap_transform_graph

    frozen = _read(folder, "frozen.pb")
    return lambda: {
        "transform_graph.pb": _pywrap_transform_graph.TransformGraphWithStringInputs(
            frozen, _INPUT.encode(), _OUTPUT.encode(), _TENSORFLOW_TRANSFORMS.encode()
        )
    }


def _optimize_for_inference(folder: str) -> Timed:
    """TensorFlow's optimize_for_inference in Python, which does not fold constants."""
    import third_party.tensorflow.quiet  # noqa: F401

    # isort: split
    import tensorflow.compat.v1 as tf
    from tensorflow.python.tools import optimize_for_inference_lib

    frozen = _read(folder, "frozen.pb")

    def timed() -> dict[str, bytes]:
        optimised = optimize_for_inference_lib.optimize_for_inference(
            tf.GraphDef.FromString(frozen), [_INPUT], [_OUTPUT], tf.float32.as_datatype_enum
        )
        return {"optimize_for_inference.pb": optimised.SerializeToString(deterministic=True)}

    return timed


STEPS: dict[str, Callable[[str], Timed]] = {
    "imports": _imports,
    "export": _export,
    "freeze": _freeze,
    "fold": _fold,
    "convert": _convert,
    "split": _split,
    "check": _check,
    "freeze_graph": _freeze_graph,
    "convert_variables": _convert_variables,
    "transform_graph": _transform_graph,
    "optimize_for_inference": _optimize_for_inference,
}
