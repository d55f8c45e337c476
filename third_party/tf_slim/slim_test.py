"""Tests that tf-slim builds layers with their old names, and trains, with the pinned TensorFlow."""

import numpy as np
import tensorflow as tf
from absl.testing import absltest

from third_party.tf_slim.slim import slim

tf1 = tf.compat.v1


class SlimTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        graph = tf1.Graph()
        self.enter_context(graph.as_default())
        tf1.set_random_seed(1)

    def test_names_and_kinds_of_variables(self):
        images = tf1.placeholder(tf.float32, [None, 8, 8, 3])
        # With this list of collections, slim's batch norm does not use Keras.
        updates = [tf1.GraphKeys.UPDATE_OPS]
        with (
            slim.arg_scope([slim.batch_norm], updates_collections=updates),
            slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm),
        ):
            net = slim.conv2d(images, 4, [3, 3], scope="first")
        slim.separable_conv2d(net, None, [3, 3], depth_multiplier=1, scope="second")
        variables = {v.op.name: v for v in tf1.global_variables()}
        self.assertCountEqual(
            variables,
            [
                "first/weights",
                "first/BatchNorm/beta",
                "first/BatchNorm/moving_mean",
                "first/BatchNorm/moving_variance",
                "second/depthwise_weights",
                "second/biases",
            ],
        )
        self.assertEqual(variables["first/weights"].op.type, "VariableV2")
        self.assertEqual(variables["second/depthwise_weights"].shape, [3, 3, 4, 1])

    def test_training_lowers_the_loss(self):
        x = np.linspace(-1, 1, 32, dtype=np.float32)[:, None]
        predicted = slim.fully_connected(tf.constant(x), 1, activation_fn=None)
        loss = tf1.losses.mean_squared_error(3 * x + 1, predicted)
        step = slim.learning.create_train_op(loss, tf1.train.GradientDescentOptimizer(0.3))
        with tf1.Session() as session:
            session.run(tf1.global_variables_initializer())
            for _ in range(100):
                session.run(step)
            self.assertLess(session.run(loss), 1e-4)


if __name__ == "__main__":
    absltest.main()
