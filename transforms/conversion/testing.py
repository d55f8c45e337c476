"""Helpers for tests: a small classifier with its graphs and .tflite files, and images for it."""

import dataclasses
import functools

import numpy as np
import tensorflow.compat.v1 as tf

import imprinting.schema.tflite as schema
from imprinting.base import pixel_scaling
from imprinting.tflite import model_file, split
from transforms.conversion import convert

SIZE = 32
CLASSES = 7
EMBEDDING = 24
# What the Edge TPU's compiler stores is opaque. Here, it is bytes whose number is not even.
COMPILED_OPTIONS = np.random.default_rng(5).bytes(10_007)
LABELS = ("null", "crane", "crane", "Äpfel", "two words", "5", "six")


@dataclasses.dataclass(frozen=True)
class Small:
    """A small classifier with an L2-normalised embedding and last layer.

    Attributes:
      frozen: the graph, which normalises the last kernel.
      folded: the graph with the normalised kernel as a constant.
      model: the bytes of the .tflite.
      extractor: those of the part before the L2_NORMALIZATION.
      head: those of the rest.
      embedder: those of the part up to and including the L2_NORMALIZATION, which is the extractor
        of an old pair.
      classes: those of the rest, which is the head of an old pair.
    """

    frozen: tf.GraphDef
    folded: tf.GraphDef
    model: bytes
    extractor: bytes
    head: bytes
    embedder: bytes
    classes: bytes


def images(count: int = 64, size: int = SIZE) -> np.ndarray:
    """Returns images of smooth noise, uint8 [count, size, size, 3]."""
    coarse = np.random.RandomState(2).uniform(0, 255, [count, 5, 5, 3])
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(tf.cast(tf.image.resize(coarse, [size, size]), tf.uint8))


@functools.cache
def small(*, quantise: bool = True, int8: bool = False) -> Small:
    """Returns the small classifier, with random weights and measured ranges.

    Args:
      quantise: whether it is quantised.
      int8: whether its body has a range for each channel of a kernel, and a residual addition.
    """
    # The ranges of activations are measured with the float network on images.
    floats = graph_def(folded=True, ranges=None, int8=int8)
    ranges: dict[str, tuple[float, float]] = {}
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(floats, name="")
        names = ["act1", "act2", "act3", "classes", "scaled"] + ["projected", "sum"] * int8
        for image in images(16):
            inputs = pixel_scaling.to_real(image[np.newaxis])
            values = session.run([f"{name}:0" for name in names], {"input:0": inputs})
            for name, value in zip(names, values, strict=True):
                low, high = ranges.get(name, (0.0, 0.0))
                ranges[name] = (min(low, float(value.min())), max(high, float(value.max())))
    chosen = ranges if quantise else None
    frozen, folded = (graph_def(folded=f, ranges=chosen, int8=int8) for f in (False, True))
    data = convert.convert(folded)
    parts = split.split(model_file.parse(data))
    old = split.at_embedding(model_file.parse(data))
    return Small(
        frozen=frozen,
        folded=folded,
        model=data,
        extractor=model_file.serialise(parts.extractor),
        head=model_file.serialise(parts.head),
        embedder=model_file.serialise(old.extractor),
        classes=model_file.serialise(old.head),
    )


def compiled(data: bytes, *, kept: int = 0) -> bytes:
    """Returns a .tflite as the Edge TPU's compiler writes it, with one operator for the chip.

    Args:
      data: the bytes of a .tflite.
      kept: how many of the last operators are kept, since the chip does not support them.
    """
    model = model_file.parse(data)
    subgraph = model.subgraphs[0]
    split_at = len(subgraph.operators) - kept
    last = subgraph.operators[split_at - 1]
    chip = schema.OperatorT()
    chip.inputs, chip.outputs = subgraph.inputs, last.outputs
    chip.opcodeIndex = len(model.operatorCodes)
    chip.customOptions = np.frombuffer(COMPILED_OPTIONS, np.uint8)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = b"edgetpu-custom-op", 1
    subgraph = model_file.changed(subgraph, operators=[chip, *subgraph.operators[split_at:]])
    codes = [*model.operatorCodes, code]
    return model_file.serialise(
        model_file.pruned(model_file.changed(model, subgraphs=[subgraph], operatorCodes=codes))
    )


def graph_def(
    *,
    folded: bool,
    ranges: dict[str, tuple[float, float]] | None,
    batch_size: int | None = 1,
    scale: float = 10.0,
    int8: bool = False,
) -> tf.GraphDef:
    """Returns the classifier's graph.

    Args:
      folded: whether the normalised last kernel is a constant; otherwise the graph normalises it.
      ranges: name -> range of each activation; None for a float graph.
      batch_size: the batch size of the placeholder.
      scale: the scale factor.
      int8: whether kernels up to the embedding have a range for each channel, and the body has a
        residual addition.
    """
    random = np.random.RandomState(3)

    def quantised(value: tf.Tensor, low: float, high: float, narrow: bool = False) -> tf.Tensor:
        if ranges is None:
            return value
        return tf.fake_quant_with_min_max_vars(value, low, high, narrow_range=narrow)

    def activation(value: tf.Tensor, name: str) -> tf.Tensor:
        return quantised(tf.identity(value, name), *(ranges or {}).get(name, (0.0, 0.0)))

    def kernel(*shape: int) -> np.ndarray:
        fan_in = np.prod(shape[:3]) if shape[3] > 1 else 9
        return (random.normal(size=shape) * np.sqrt(2 / fan_in)).astype(np.float32)

    def weights(values: np.ndarray | tf.Tensor, around: np.ndarray) -> tf.Tensor:
        return quantised(tf.convert_to_tensor(values), around.min(), around.max(), narrow=True)

    def biases(mean: float) -> np.ndarray:
        # The converter would use the first channel's scale for all of several equal numbers.
        spread = 0.1 * random.normal(size=8) if int8 else np.zeros(8)
        return (mean + spread).astype(np.float32)

    def body_weights(values: np.ndarray) -> tf.Tensor:
        if ranges is None or not int8:
            return weights(values, values)
        # The operation takes the last dimension for the channels.
        flat = values[..., 0] if values.shape[-1] == 1 else values
        magnitude = np.abs(flat).max(axis=tuple(range(flat.ndim - 1)))
        net = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            flat, -magnitude, magnitude, narrow_range=True
        )
        return net if flat is values else tf.reshape(net, values.shape)

    with tf.Graph().as_default() as graph:
        net = tf.placeholder(tf.float32, [batch_size, SIZE, SIZE, 3], "input")
        if int8:
            net = quantised(net, -1, 127 / 128)
        net = tf.nn.conv2d(net, body_weights(kernel(3, 3, 3, 8)), 2, "SAME")
        net = activation(tf.nn.relu6(net + biases(0.1)), "act1")
        if int8:
            before, net = net, tf.nn.conv2d(net, body_weights(kernel(1, 1, 8, 8)), 1, "SAME")
            net = activation(net + biases(-0.3), "projected")
            net = activation(net + before, "sum")
        net = tf.nn.depthwise_conv2d(net, body_weights(kernel(3, 3, 8, 1)), [1, 1, 1, 1], "SAME")
        net = activation(tf.nn.relu6(net + biases(0.2)), "act2")
        pooled = tf.nn.avg_pool2d(net, SIZE // 2, 1, "VALID")
        net = quantised(pooled, *(ranges or {}).get("act2", (0.0, 0.0)))
        values = kernel(1, 1, 8, EMBEDDING)
        bias = random.normal(size=[EMBEDDING]).astype(np.float32) * 0.1
        net = tf.nn.bias_add(tf.nn.conv2d(net, body_weights(values), 1, "SAME"), bias)
        net = tf.nn.l2_normalize(activation(net, "act3"), axis=3)
        net = quantised(net, -1, 127 / 128)
        raw = kernel(1, 1, EMBEDDING, CLASSES)
        unit = raw / np.linalg.norm(raw, axis=2, keepdims=True)
        values = unit if folded else tf.nn.l2_normalize(tf.constant(raw), axis=2)
        net = tf.nn.conv2d(net, weights(values, unit), 1, "SAME")
        net = activation(tf.nn.bias_add(net, np.zeros([CLASSES], np.float32)), "classes")
        net = activation(net * tf.constant(scale, tf.float32, name="scale_factor"), "scaled")
        net = tf.reshape(tf.squeeze(net, [1, 2]), [-1, CLASSES])
        tf.reshape(tf.nn.softmax(net), [-1, CLASSES], "probabilities")
        return graph.as_graph_def()
