"""Cuts a quantised classifier of any origin before its last layer, and reads that layer.

The last layer is the CONV_2D or FULLY_CONNECTED whose result becomes the probabilities, or the
logits, without another operator that computes something.
"""

import dataclasses

import numpy as np

import imprinting.schema.tflite as schema
from imprinting.tflite import join, model_file, model_graph, product_rules, split
from imprinting.tflite.model_builder import ModelBuilder
from imprinting.tflite.model_graph import Graph, Model, Operator, Tensor

_LAYERS = ("CONV_2D", "FULLY_CONNECTED")
# What may follow the last layer.
_AFTER = ("RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE", "SOFTMAX")
_TYPES = ("UINT8", "INT8")
_QUANTISE = (
    "quantise it to eight bits, weights and activations: with TensorFlow's converter, by a "
    "representative_dataset and the operators TFLITE_BUILTINS_INT8"
)
# The real numbers of the pixels 0 and 255 in the usual inputs.
_PIXELS = ((0.0, 255.0), (-128.0, 127.0), (-1.0, 1.0), (0.0, 1.0))
_PIXEL_TOLERANCE = 0.02


@dataclasses.dataclass(frozen=True, eq=False)
class Cut:
    """A classifier without its last layer, and this layer.

    Attributes:
      body: from the image, uint8 [1, s, s, 3], to the features, uint8 or int8 [1, 1, 1, d], its
        only output.
      rows: the layer's weights as real numbers, float64 [classes, d].
      biases: the same, float64 [classes]; 0 if it has none.
    """

    body: Model
    rows: np.ndarray
    biases: np.ndarray

    @property
    def image(self) -> Tensor:
        """The body's input."""
        return model_graph.graph(self.body).inputs[0]

    @property
    def features(self) -> Tensor:
        """The body's output."""
        return model_graph.graph(self.body).outputs[0]

    @property
    def input_range(self) -> tuple[float, float]:
        """The real numbers that the network takes for the pixels 0 and 255."""
        (scale,), (zero_point,) = self.image.scales, self.image.zero_points
        return -zero_point * scale, (255 - zero_point) * scale

    @property
    def has_usual_input(self) -> bool:
        """Whether the input's range is one of those in which quanta are pixels.

        If a network takes pixels in another scaling, such as one for each channel, its quanta are
        only similar to pixels.
        """
        found = np.array(self.input_range)
        return any(
            np.abs(found - usual).max() <= _PIXEL_TOLERANCE * (usual[1] - usual[0])
            for usual in _PIXELS
        )


def cut(tflite_model: Model) -> Cut:
    """Cuts a classifier. Weights, scales and zero points of the body do not change.

    If the classifier takes int8, or float32 that a QUANTIZE changes to eight bits, the body takes
    uint8 instead, the pixels. All dimensions become constant.

    Args:
      tflite_model: a quantised classifier of RGB photos, which is not compiled for the Edge TPU; it
        is not changed.

    Raises:
      ValueError: if the model is not a quantised classifier that can be cut; the error says why.
    """
    graph = model_graph.graph(tflite_model)
    _check_ends(tflite_model, graph)
    layer = _find(graph)
    _check_quantised(tflite_model, layer)
    features = _features(graph, layer)
    body = split.before(tflite_model, [features.index])
    image = _quantised_image(model_graph.graph(body))
    if image is not None:
        body = split.at(body, image).head
    if model_graph.graph(body).inputs[0].type == "INT8":
        body = join.with_uint8_input(body)
    return Cut(_with_constant_shapes(body), *_numbers(tflite_model, layer))


def _check_ends(tflite_model: Model, graph: Graph) -> None:
    """Checks what can be seen without finding the last layer."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ValueError(
            f"expected a classifier with one input and one output, got {len(graph.inputs)} and "
            f"{len(graph.outputs)}; leave the others out when you convert it"
        )
    if graph.named("L2_NORMALIZATION"):
        usable = not product_rules.check(tflite_model, quantised=True)
        raise ValueError(
            "expected a classifier without an L2_NORMALIZATION, which is added, got one with it; "
            + ("imprint into it as it is" if usable else "start from a classifier without it")
        )
    image = graph.inputs[0]
    if len(image.shape) != 4 or image.shape != (1, image.shape[1], image.shape[1], 3):
        raise ValueError(
            f"expected a classifier of square RGB photos, [1, s, s, 3], got one that takes {image}"
        )


def _find(graph: Graph) -> Operator:
    """The last layer."""
    tensor: Tensor | None = graph.outputs[0]
    passed: list[str] = []
    # Not `while`: a damaged model may go in circles.
    for _ in graph.operators:
        op = graph.producer(tensor)
        if op is None or op.name not in (*_AFTER, *_LAYERS):
            break
        if op.name in _LAYERS:
            return op
        passed.append(op.name)
        tensor = op.input(0)
    op = graph.producer(tensor)
    after = f" before {', '.join(reversed(passed))}" if passed else ""
    raise ValueError(
        f"expected a classifier whose last layer is a {' or '.join(_LAYERS)}, with at most "
        f"{', '.join(_AFTER)} after it, got {op.name if op else 'no operator'}{after}"
    )


def _check_quantised(tflite_model: Model, layer: Operator) -> None:
    """Checks the types of a layer, and that it computes nothing but K x + b."""
    found, kernel, biases = (layer.input(index) for index in range(3))
    if found is None or found.type not in _TYPES or len(found.scales) != 1:
        raise ValueError(
            "expected a quantised classifier, whose activations are uint8 or int8, got one whose "
            f"last layer takes {found}; {_QUANTISE}"
        )
    classes = kernel.shape[0] if kernel is not None and kernel.shape else 0
    if (
        kernel is None
        or not kernel.constant
        or kernel.type not in _TYPES
        or len(kernel.scales) not in (1, classes)
        or (biases is not None and not (biases.constant and biases.type == "INT32"))
    ):
        raise ValueError(
            "expected a last layer with constant weights of uint8 or int8 and biases of int32, got "
            f"weights {kernel} and biases {biases}; {_QUANTISE}"
        )
    options = tflite_model.subgraphs[0].operators[layer.index].builtinOptions
    activation = getattr(options, "fusedActivationFunction", 0)
    if activation != schema.ActivationFunctionType.NONE:
        names = {v: k for k, v in vars(schema.ActivationFunctionType).items() if isinstance(v, int)}
        raise ValueError(
            "expected a last layer without an activation before the softmax, got one with "
            f"{names.get(activation, activation)}; leave the activation out"
        )


def _features(graph: Graph, layer: Operator) -> Tensor:
    """The tensor that the layer is a linear function of."""
    found, kernel = layer.input(0), layer.input(1)
    assert found is not None and kernel is not None
    depth = found.shape[-1] if found.shape else 0
    is_vector = found.shape in ((1, 1, 1, depth), (1, depth))
    if not is_vector or kernel.shape[1:] not in ((1, 1, depth), (depth,)):
        raise ValueError(
            "expected a last layer that takes features [1, 1, 1, d] or [1, d], got one that takes "
            f"{found} with weights {list(kernel.shape)}; the classifier needs a pooling over the "
            "image before it"
        )
    users = [op for op in graph.operators if found in op.inputs]
    if len(users) != 1:
        raise ValueError(
            "expected features that only the last layer takes, got "
            f"{' and '.join(op.name for op in users)}; the classifier must be a chain at its end"
        )
    before = graph.producer(found)
    # Often features are [1, 1, 1, d] before they become [1, d].
    if len(found.shape) == 2 and before is not None and before.name in ("RESHAPE", "SQUEEZE"):
        pooled = before.input(0)
        if pooled is not None and pooled.shape == (1, 1, 1, depth) and pooled.type == found.type:
            found = pooled
    if graph.producer(found) is None:
        raise ValueError("expected a classifier with layers before its last one, got none")
    return found


def _quantised_image(graph: Graph) -> int | None:
    """The index of what a QUANTIZE makes of a float input; None if the input has eight bits."""
    image = graph.inputs[0]
    if image.type in _TYPES and len(image.scales) == 1:
        return None
    users = [op for op in graph.operators if image in op.inputs]
    quantised = users[0].outputs[0] if [op.name for op in users] == ["QUANTIZE"] else None
    if quantised is None or quantised.type not in _TYPES or len(quantised.scales) != 1:
        raise ValueError(
            "expected a quantised classifier, which takes uint8 or int8, or float32 for a QUANTIZE "
            f"alone, got one that takes {image} for {' and '.join(op.name for op in users)}; "
            f"{_QUANTISE}"
        )
    return quantised.index


def _with_constant_shapes(body: Model) -> Model:
    """The body without dimensions that may change, and with features [1, 1, 1, d]."""
    graph = model_graph.graph(body)
    (image,), (features,) = graph.inputs, graph.outputs
    builder = ModelBuilder(body)
    for tensor in builder.tensors:
        tensor.shapeSignature = None
    for op in graph.named("RESHAPE"):
        source, shape = op.input(0), op.input(1)
        # The converter lets operators compute the shape out of that of the image.
        if source is not None and shape is not None and not shape.constant:
            found = builder.constant("shape", np.array(op.outputs[0].shape, np.int32))
            builder.operators[op.index] = model_file.changed(
                builder.operators[op.index], inputs=[source.index, found]
            )
    output = features.index
    if len(features.shape) == 2:
        pooled = [1, 1, 1, features.shape[1]]
        kind = np.uint8 if features.type == "UINT8" else np.int8
        (scale,), (zero_point,) = features.scales, features.zero_points
        wanted = builder.constant("features/shape", np.array(pooled, np.int32))
        output = builder.activation("features", kind, pooled, scale, zero_point)
        builder.operator("RESHAPE", [features.index, wanted], [output])
    whole = builder.build(inputs=[image.index], outputs=[output])
    # Without the operators that computed shapes.
    return split.before(whole, model_graph.indices(whole.subgraphs[0].outputs))


def _numbers(tflite_model: Model, layer: Operator) -> tuple[np.ndarray, np.ndarray]:
    """The weights [classes, d] and biases [classes] of a layer, as real numbers."""
    features, kernel, biases = (layer.input(index) for index in range(3))
    assert features is not None and kernel is not None
    quanta = model_graph.values(tflite_model, kernel).reshape(kernel.shape[0], -1)
    scales, zero_points = np.array(kernel.scales), np.array(kernel.zero_points)
    rows = (quanta.astype(np.float64) - zero_points[:, np.newaxis]) * scales[:, np.newaxis]
    if biases is None:
        return rows, np.zeros(len(rows))
    # The kernels take this for the scale of biases, whatever the file says.
    return rows, model_graph.values(tflite_model, biases) * (features.scales[0] * scales)
