"""Tests that the quantised network gives the features of the published extractor."""

import os

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.data import preprocessing
from classification.nets import l2norm_network, mobilenet_v1
from classification.nets.fake_quant import Quantization
from tests.reference import files

_SIZE = 224
_COUNT = 8
_BOUND = 0.999


def _images():
    """Names and pixels, uint8 [8, 224, 224, 3], of images that are spread over the sample."""
    folder = files.path("data", "imagenet_sample")
    names = sorted(name for name in os.listdir(folder) if name.endswith(".jpg"))
    names = names[:: len(names) // _COUNT][:_COUNT]
    with tf.Graph().as_default(), tf.Session() as session:
        encoded = tf.placeholder(tf.string, [])
        image = preprocessing.for_evaluation(encoded, image_size=_SIZE)
        images = []
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                images.append(session.run(image, {encoded: file.read()}))
    pixels = np.round((np.stack(images) + 1) * 127.5)
    return names, np.clip(pixels, 0, 255).astype(np.uint8)


def _dequantize(values, details):
    scale, zero_point = details["quantization"]
    return (values.astype(np.float32) - zero_point) * np.float32(scale)


def _published(pixels):
    """The extractor's inputs as real numbers, and its features [8, 1024]."""
    interpreter = tf.lite.Interpreter(
        files.path("models", "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite")
    )
    interpreter.allocate_tensors()
    (inputs,), (outputs,) = interpreter.get_input_details(), interpreter.get_output_details()
    features = []
    for image in pixels:
        interpreter.set_tensor(inputs["index"], image[np.newaxis])
        interpreter.invoke()
        features.append(_dequantize(interpreter.get_tensor(outputs["index"]), outputs).ravel())
    return _dequantize(pixels, inputs), np.stack(features)


def _ours(inputs):
    """The features of the quantised graph for evaluation, [8, 1024]."""
    checkpoint = files.checkpoint("mobilenet_v1_1.0_224_quant.ckpt")
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, _SIZE, _SIZE, 3], "input")
        _, end_points = l2norm_network.l2norm_network(
            mobilenet_v1.NETWORK, images, 0, quantization=Quantization(learned_embedding_range=True)
        )
        # The base with its ranges must come from the checkpoint, which has no head.
        base = [v for v in tf.global_variables() if "/Logits/" not in v.op.name]
        tf.train.Saver(base).restore(session, checkpoint)
        return session.run(end_points["AvgPool_1a"], {images: inputs}).reshape(len(inputs), -1)


def _cosines(a, b):
    return np.sum(a * b, axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


class PublishedFeaturesTest(absltest.TestCase):
    def test_cosines(self):
        names, pixels = _images()
        inputs, expected = _published(pixels)
        actual = _ours(inputs)
        self.assertEqual(actual.shape, (_COUNT, 1024))
        cosines = _cosines(actual, expected)
        for name, cosine in zip(names, cosines, strict=True):
            print(f"cosine {cosine:.6f}  {name}")
        self.assertGreaterEqual(cosines.min(), _BOUND)
        # Features of other images are different.
        self.assertLess(_cosines(actual, np.roll(expected, 1, axis=0)).max(), 0.9)


if __name__ == "__main__":
    absltest.main()
