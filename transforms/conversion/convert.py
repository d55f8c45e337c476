"""Converts a folded graph to a .tflite."""

import numpy as np
import tensorflow.compat.v1 as tf

import imprinting.schema.tflite as schema
from imprinting.base import pixel_scaling
from imprinting.tflite import join, model_file, model_graph
from imprinting.tflite.silence import silence
from transforms.conversion import graph_file

_SCALE = "scale_factor_as_input"

# The number that means 0 in the input of a quantised model, and the inverse of its scale.
_PIXELS = (pixel_scaling.MEAN, pixel_scaling.STD)

# The converter's notes. They contain a hash that differs for equal graphs with another layout.
_CONVERSION_METADATA = b"CONVERSION_METADATA"


def convert(graph_def: tf.GraphDef) -> bytes:
    """Converts a classifier's graph; the same graph gives the same bytes.

    Args:
      graph_def: frozen and folded, from one Placeholder, float32 [1, s, s, 3], to one Softmax. The
        output is that of the Softmax, after any reshapes.

    Returns:
      A .tflite with an empty description. If the graph has fake-quant nodes, it is quantised: uint8
      throughout, with an input of scale 1/128 and zero point 128. If kernels have ranges per
      channel, it computes the embedding in int8, between two QUANTIZE. Without fake-quant nodes, it
      is float32.

    Raises:
      ValueError: if the graph is not frozen, not folded or not a classifier's, if its batch size is
        not 1, or if the converter refuses it.
    """
    graph_file.require_frozen(graph_def)
    _require_folded(graph_def)
    classifier = graph_file.find(graph_def)
    if graph_file.has_int8_body(graph_def):
        tflite_model = _int8_body_and_tail(graph_def, classifier)
    elif graph_file.is_quantised(graph_def):
        tflite_model = _convert(
            graph_def, [classifier.input], classifier.output, type_=tf.uint8, stats=_PIXELS
        )
    elif classifier.scale is not None:
        graph_def, scale = _scale_as_input(graph_def, classifier.scale.removesuffix(":0"))
        tflite_model = _convert(graph_def, [classifier.input, _SCALE + ":0"], classifier.output)
        _make_constant(tflite_model, *scale)
    else:
        tflite_model = _convert(graph_def, [classifier.input], classifier.output)
    return _finished(tflite_model)


def _int8_body_and_tail(
    graph_def: tf.GraphDef, classifier: graph_file.Classifier
) -> model_graph.Model:
    """A body in int8, and a tail in uint8 from the L2_NORMALIZATION on.

    The on-device imprinting engines read only the tail. TensorFlow Lite's kernels allow a scale for
    each channel only in int8.
    """
    cut = graph_file.before_normalisation(graph_def)
    body = _convert(
        graph_def,
        [classifier.input],
        cut,
        type_=tf.int8,
        stats=(pixel_scaling.MEAN - pixel_scaling.INT8_OFFSET, pixel_scaling.STD),
    )
    (features,) = model_graph.graph(body).outputs
    (scale,), (zero_point,) = features.scales, features.zero_points
    tail = _convert(
        graph_def,
        [cut],
        classifier.output,
        type_=tf.uint8,
        stats=(zero_point + pixel_scaling.INT8_OFFSET, 1 / scale),
    )
    return join.join(join.with_uint8_input(body), tail)


def _convert(
    graph_def: tf.GraphDef,
    inputs: list[str],
    output: str,
    *,
    type_: tf.DType | None = None,
    stats: tuple[float, float] | None = None,
) -> model_graph.Model:
    """Runs the converter.

    Args:
      graph_def: the graph.
      inputs: names of tensors. The first is that of images, or has no dimension for them.
      output: the name of a tensor.
      type_: of all tensors; None for float32.
      stats: the number that means 0 in the first input, and the inverse of its scale.
    """
    with tf.Graph().as_default() as graph:
        try:
            tf.import_graph_def(graph_def, name="")
        except (ValueError, tf.errors.OpError) as error:
            raise ValueError(f"expected a graph that TensorFlow accepts, got {error}") from error
        tensors = [graph.get_tensor_by_name(name) for name in inputs]
        if tensors[0].op.type == "Placeholder":
            _require_images(tensors[0])
        converter = tf.lite.TFLiteConverter(graph_def, tensors, [graph.get_tensor_by_name(output)])
        if type_ is not None:
            converter.inference_type = type_
            converter.quantized_input_stats = {tensors[0].op.name: stats}
        try:
            with silence():
                data = converter.convert()
        # The converter's own error class is private, and derives only from Exception.
        except Exception as error:
            text = " ".join(str(error).split())
            raise ValueError(
                f"expected a graph that TensorFlow Lite's converter accepts, got {text}"
            ) from error
    return model_file.parse(data)


def _finished(tflite_model: model_graph.Model) -> bytes:
    """The bytes of a model without the converter's notes."""
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
