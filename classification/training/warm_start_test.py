"""Tests of warm_start.py: the values that training starts from."""

import dataclasses
import os

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.nets import factory, mobilenet_v1
from classification.nets.checkpoint import Checkpoint
from classification.nets.l2norm_network import TrainingOptions
from classification.testing.digits_networks import DIGITS, write_network
from classification.training import warm_start
from classification.training.training_config import TrainingConfig

NAMES = mobilenet_v1.NETWORK.names


class FineTuningTest(absltest.TestCase):
    def _start(self, **changes):
        """Starts a network from one of ten classes.

        Returns the names of the variables that have start values, and what was said.
        """
        folder = self.create_tempdir().full_path
        model = dataclasses.replace(DIGITS, labels=None, **changes)
        said: list[str] = []
        with tf.Graph().as_default():
            tf.train.create_global_step()
            images = tf.placeholder(tf.float32, [None, 32, 32, 3])
            factory.build(images, model, training=TrainingOptions())
            checkpoint = Checkpoint(write_network(folder, DIGITS))
            variables = tf.model_variables()
            values = warm_start.fine_tuning(
                model, TrainingConfig(), checkpoint, variables, said.append
            )
            fresh = {v.op.name for v in variables if v not in values}
        return fresh, "\n".join(said)

    def test_says_that_the_head_continues(self):
        fresh, said = self._start()
        self.assertEmpty(fresh)
        self.assertIn("The head continues from the checkpoint's, with its 10 classes.", said)

    def test_says_that_the_last_layer_starts_with_random_values(self):
        fresh, said = self._start(num_classes=12)
        self.assertEqual(fresh, {NAMES.class_vectors, NAMES.class_biases, NAMES.scale_factor})
        self.assertIn("Conv2d_1d_1x1_normalize/weights [1, 1, 1024, 10]", said)
        self.assertIn("has 10 classes, and this network 12: base and embedding are kept", said)
        self.assertIn("the last layer starts with random values", said)

    def test_missing_embedding_starts_as_the_features(self):
        with tf.Graph().as_default(), tf.Session() as session:
            factory.build(tf.placeholder(tf.float32, [None, 32, 32, 3]), DIGITS)
            variables = tf.global_variables()
            session.run([variable.initializer for variable in variables])
            base = [v for v in variables if "/Logits/" not in v.op.name]
            prefix = os.path.join(self.create_tempdir().full_path, "base.ckpt")
            tf.train.Saver(base).save(session, prefix, write_meta_graph=False)
            values = warm_start.fine_tuning(
                DIGITS, TrainingConfig(), Checkpoint(prefix), variables, lambda _: None
            )
            self.assertCountEqual(
                [variable.op.name for variable in values],
                [*(v.op.name for v in base), NAMES.embedding_kernel],
            )
            (kernel,) = (
                v for variable, v in values.items() if variable.op.name == NAMES.embedding_kernel
            )
            features = np.arange(256.0)
            expected = np.concatenate([features, np.zeros(1024 - 256)])
            np.testing.assert_array_equal(features @ kernel[0, 0], expected)


if __name__ == "__main__":
    absltest.main()
