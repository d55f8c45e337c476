"""Tests of features.py."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.deployment import features
from classification.nets import factory
from classification.nets.model_config import ModelConfig

_MODEL = ModelConfig(network="mobilenet_v1", image_size=32, depth_multiplier=0.25, num_classes=3)


class FeaturesTest(absltest.TestCase):
    def test_are_those_of_the_network(self):
        images = np.random.default_rng(0).integers(0, 256, [5, 32, 32, 3], np.uint8)
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(3)
            inputs = tf.constant((images - 128.0) / 128.0, tf.float32)
            expected = factory.build(inputs, _MODEL)["AvgPool_1a"]
            session.run(tf.global_variables_initializer())
            variables = {v.op.name: v for v in tf.global_variables()}
            values, expected = session.run((variables, expected))
        without_head = {n: v for n, v in values.items() if "/Logits/" not in n}
        first, second = features.of_images(without_head, _MODEL, [images[:3], images[3:]])
        self.assertEqual(first.shape, (3, 256))
        found = np.concatenate([first, second])
        np.testing.assert_allclose(found, expected[:, 0, 0], rtol=1e-4, atol=1e-6)
        self.assertGreater(np.ptp(found, axis=0).max(), 0)


if __name__ == "__main__":
    absltest.main()
