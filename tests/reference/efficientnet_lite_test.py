"""Tests of EfficientNet-Lite0 with its published weights: numbers, and accuracy on photos."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.nets import checkpoints, factory, model_config, variable_values
from classification.pretrained import pytorch_file
from imprinting.base import pixel_scaling
from imprinting.inference import default_model
from imprinting.tflite import model_file
from tests import runfiles
from tests.benchmarks import imagenet_sample
from tests.reference import files

# Two correct implementations agree to this, in proportion.
_BOUND = 1e-4
# Of the photos at odd positions, those of 500 classes.
_LEAST_FLOAT, _LEAST_QUANTISED = 0.86, 0.855
_BATCH_SIZE = 50


def _float_network():
    folder = runfiles.path("classification/pretrained/imagenet_efficientnet_lite0_float")
    return checkpoints.find(str(folder)), model_config.read(str(folder))


def _run(images, end_points):
    """The values of end points of the float network, for images in [-1, 1]."""
    checkpoint, model = _float_network()
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.placeholder(tf.float32, [None, *images.shape[1:]])
        built = factory.build(inputs, model)
        variable_values.load(session, checkpoint.read_all(tf.global_variables()))
        found = [
            session.run([built[name] for name in end_points], {inputs: images[i : i + _BATCH_SIZE]})
            for i in range(0, len(images), _BATCH_SIZE)
        ]
    return [np.concatenate(values) for values in zip(*found, strict=True)]


class EfficientNetLiteTest(absltest.TestCase):
    def test_float_results(self):
        golden = np.load(files.path("golden", "efficientnet_lite0.npz"))
        images = (golden["images"].astype(np.float32) - 127) / 128
        (pooled,) = _run(images, ["AvgPool_1a"])
        pooled = pooled.reshape(golden["pooled"].shape)
        difference = np.abs(pooled - golden["pooled"]).max() / np.abs(golden["pooled"]).max()
        print(f"pooled features differ by {difference:.2g} in proportion")
        self.assertLess(difference, _BOUND)
        state = pytorch_file.read(str(runfiles.path("../efficientnet_lite0/weights.pth")))
        logits = pooled @ state["_fc.weight"].T + state["_fc.bias"]
        difference = np.abs(logits - golden["logits"]).max() / np.abs(golden["logits"]).max()
        print(f"logits differ by {difference:.2g} in proportion")
        self.assertLess(difference, _BOUND)

    def test_accuracy_in_float_with_unit_rows(self):
        product = model_file.read(default_model.path())
        photos = imagenet_sample.read_photos(files.path("data", "imagenet_sample"), product)[1::2]
        (logits,) = _run(pixel_scaling.to_real(photos), ["Logits"])
        accuracy = np.mean(logits.argmax(axis=1) == np.arange(1000)[1::2])
        print(f"top-1 in float {accuracy:.3f}")
        self.assertGreaterEqual(accuracy, _LEAST_FLOAT)

    def test_accuracy_of_the_product(self):
        product = model_file.read(default_model.path())
        photos = imagenet_sample.read_photos(files.path("data", "imagenet_sample"), product)
        top1, top5, scale, loss = imagenet_sample.accuracy(product, photos)
        print(f"top-1 {top1:.3f}, top-5 {top5:.3f}, scale factor {scale} ({loss:.4f})")
        self.assertGreaterEqual(top1, _LEAST_QUANTISED)


if __name__ == "__main__":
    absltest.main()
