"""Quantised classifiers of other origins, for tests: small ones, with random weights."""

import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

import imprinting.schema.tflite as schema
from imprinting.tflite import model_file, model_graph
from imprinting.tflite.model_builder import ModelBuilder
from transforms.conversion import testing

SIZE = testing.SIZE
CLASSES = 5
FEATURES = 12
LABELS = ("null", "crane", "crane", "Äpfel", "two words")


@functools.cache
def dense(kind: type = np.uint8, *, last: str = "softmax", pooled: bool = True) -> bytes:
    """A Keras model with a fully connected last layer, as TensorFlow's converter writes it.

    Args:
      kind: the type of input and output; the body is int8.
      last: the activation of the last layer.
      pooled: whether features are averages over the image; otherwise they are all of its values.
    """
    body = tf.keras.layers.GlobalAveragePooling2D() if pooled else tf.keras.layers.Flatten()
    return _converted([body, tf.keras.layers.Dense(CLASSES, last)], kind)


@functools.cache
def convolution(kind: type = np.int8) -> bytes:
    """The same with a 1x1 convolution and a reshape at the end; see `dense`."""
    return _converted(
        [
            tf.keras.layers.GlobalAveragePooling2D(keepdims=True),
            tf.keras.layers.Conv2D(CLASSES, 1),
            tf.keras.layers.Reshape([CLASSES]),
            tf.keras.layers.Softmax(),
        ],
        kind,
    )


@functools.cache
def uint8_body() -> bytes:
    """One whose layers are uint8, with a scale for each kernel, as TensorFlow 1 made them."""
    body = model_file.parse(testing.small().extractor)
    graph = model_graph.graph(body)
    (image,), (features,) = graph.inputs, graph.outputs
    builder = ModelBuilder(body)
    depth = features.shape[3]
    kernel = np.random.default_rng(3).integers(1, 256, [CLASSES, 1, 1, depth]).astype(np.uint8)
    biases = np.array([300, -200, 100, 0, 50], np.int32)
    scale = features.scales[0] * 0.01
    inputs = [
        features.index,
        builder.constant("kernel", kernel, [0.01], 120),
        builder.constant("biases", biases, [scale]),
    ]
    logits = builder.activation("logits", np.uint8, [1, 1, 1, CLASSES], 0.1, 128)
    options = schema.Conv2DOptionsT(strideH=1, strideW=1)
    builder.operator("CONV_2D", inputs, [logits], options)
    flat = builder.activation("flat", np.uint8, [1, CLASSES], 0.1, 128)
    shape = builder.constant("shape", np.array([1, CLASSES], np.int32))
    builder.operator("RESHAPE", [logits, shape], [flat])
    output = builder.activation("probabilities", np.uint8, [1, CLASSES], 1 / 256, 0)
    builder.operator("SOFTMAX", [flat], [output], schema.SoftmaxOptionsT(beta=1.0))
    return model_file.serialise(builder.build(inputs=[image.index], outputs=[output]))


@functools.cache
def float_classifier() -> bytes:
    """One that is not quantised."""
    return _converted(
        [tf.keras.layers.GlobalAveragePooling2D(), tf.keras.layers.Dense(CLASSES, "softmax")], None
    )


def _converted(layers: list[Callable], kind: type | None) -> bytes:
    tf.keras.utils.set_random_seed(1)
    model = tf.keras.Sequential(
        [
            tf.keras.Input([SIZE, SIZE, 3]),
            tf.keras.layers.Rescaling(1 / 127.5, offset=-1),
            tf.keras.layers.Conv2D(FEATURES, 5, strides=4, padding="same"),
            tf.keras.layers.BatchNormalization(),
            tf.keras.layers.ReLU(),
            *layers,
        ]
    )

    def photos() -> Iterator[list[np.ndarray]]:
        images = testing.images(16)
        # So that the input has the range of pixels.
        images[0], images[1] = 0, 255
        for image in images:
            yield [image[np.newaxis].astype(np.float32)]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = photos
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(kind)
    return converter.convert()
