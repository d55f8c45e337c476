"""Converts a folded graph to a .tflite."""

import numpy as np
import tensorflow.compat.v1 as tf

import third_party.tflite.schema as schema
from transforms.base import pixel_scaling
from transforms.conversion import graph_file
from transforms.conversion.silence import silence
from transforms.tflite import model_file, model_graph

_SCALE = "scale_factor_as_input"

# The converter's notes. They contain a hash that differs for equal graphs with another layout.
_CONVERSION_METADATA = b"CONVERSION_METADATA"


def convert(graph_def: tf.GraphDef) -> bytes:
    """Converts a classifier's graph; the same graph gives the same bytes.

    Args:
      graph_def: frozen and folded, from one Placeholder, float32 [1, s, s, 3], to one Softmax. The
        output is that of the Softmax, after any reshapes.

    Returns:
      A .tflite with an empty description. If the graph has fake-quant nodes, it is quantised: uint8
      throughout, with an input of scale 1/128 and zero point 128. Otherwise it is float32.

    Raises:
      ValueError: if the graph is not frozen, not folded or not a classifier's, if its batch size is
        not 1, or if the converter refuses it.
    """
    graph_file.require_frozen(graph_def)
    _require_folded(graph_def)
    classifier = graph_file.find(graph_def)
    quantised = graph_file.is_quantised(graph_def)
    scale = None
    if not quantised and classifier.scale is not None:
        graph_def, scale = _scale_as_input(graph_def, classifier.scale.removesuffix(":0"))
    with tf.Graph().as_default() as graph:
        try:
            tf.import_graph_def(graph_def, name="")
        except (ValueError, tf.errors.OpError) as error:
            raise ValueError(f"expected a graph that TensorFlow accepts, got {error}") from error
        images = graph.get_tensor_by_name(classifier.input)
        _require_images(images)
        output = graph.get_tensor_by_name(classifier.output)
        inputs = [images] if scale is None else [images, graph.get_tensor_by_name(_SCALE + ":0")]
        converter = tf.lite.TFLiteConverter(graph_def, inputs, [output])
        if quantised:
            converter.inference_type = tf.uint8
            converter.quantized_input_stats = {
                images.op.name: (pixel_scaling.MEAN, pixel_scaling.STD)
            }
        try:
            with silence():
                data = converter.convert()
        # The converter's own error class is private, and derives only from Exception.
        except Exception as error:
            text = " ".join(str(error).split())
            raise ValueError(
                f"expected a graph that TensorFlow Lite's converter accepts, got {text}"
            ) from error
    tflite_model = model_file.parse(data)
    if scale is not None:
        _make_constant(tflite_model, *scale)
    # The on-device imprinting engines keep their notes there.
    tflite_model.description = b""
    tflite_model.metadata = [
        m for m in tflite_model.metadata or () if m.name != _CONVERSION_METADATA
    ]
    return model_file.serialise(model_file.pruned(tflite_model))


def _scale_as_input(
    graph_def: tf.GraphDef, name: str
) -> tuple[tf.GraphDef, tuple[str, np.ndarray]]:
    """Returns a graph with the scale factor as an input, and the factor's name and value.

    Otherwise the converter would multiply the float kernel by the constant factor, and remove the
    MUL, which the on-device imprinting engines need.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(graph_def, name="")
        value = session.run(name + ":0")
    changed = tf.GraphDef()
    changed.CopyFrom(graph_def)
    for node in changed.node:
        if node.op == "Mul" and name in node.input:
            node.input[list(node.input).index(name)] = _SCALE
    changed.node.add(name=_SCALE, op="Placeholder").attr["dtype"].type = tf.float32.as_datatype_enum
    # The converter treats a scalar input as one of unknown shape.
    changed.node[-1].attr["shape"].shape.CopyFrom(tf.TensorShape([1]).as_proto())
    return changed, (name, value)


def _make_constant(tflite_model: model_graph.Model, name: str, scale: np.ndarray) -> None:
    """Turns the input for the scale factor into a constant with the scale factor's name."""
    subgraph = tflite_model.subgraphs[0]
    (index,) = (i for i in subgraph.inputs if subgraph.tensors[i].name == _SCALE.encode())
    subgraph.inputs = [i for i in subgraph.inputs if i != index]
    tflite_model.buffers.append(schema.BufferT(data=np.frombuffer(scale.tobytes(), np.uint8)))
    subgraph.tensors[index].buffer = len(tflite_model.buffers) - 1
    subgraph.tensors[index].name = name.encode()
    subgraph.tensors[index].shape = np.array(scale.shape, np.int32)


def _require_images(images: tf.Tensor) -> None:
    shape = images.shape.as_list() if images.shape.rank is not None else None
    if shape is not None and len(shape) == 4 and shape[0] != 1:
        raise ValueError(
            f"expected a graph for one image at a time, got one with the batch size {shape[0]}; "
            "export it with --batch_size=1"
        )
    if images.dtype != tf.float32 or shape is None or len(shape) != 4 or None in shape:
        raise ValueError(
            f"expected the input {images.op.name} to be float32 [1, s, s, 3], got "
            f"{images.dtype.name} {shape}; export it with --batch_size=1"
        )
    _, height, width, channels = shape
    if height != width or channels != 3:
        raise ValueError(f"expected the input to be [1, s, s, 3], got {shape}")


def _require_folded(graph_def: tf.GraphDef) -> None:
    for node in graph_file.constant_nodes(graph_def):
        # Batch norm's factors are computed from constants, too, but the converter folds them.
        if node.op in ("Square", "Sum"):
            raise ValueError(
                f"expected a folded graph, got one that computes the norm of a kernel when it runs "
                f"({node.op} {node.name} of constants); fold it with fold_l2_norm first"
            )
