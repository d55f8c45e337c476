"""Tests of variable_values.py."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.nets import variable_values


class LoadTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.graph = self.enter_context(tf.Graph().as_default())
        self.step = tf.train.create_global_step()
        self.matrix = tf.get_variable("matrix", initializer=tf.zeros([2, 3]))
        self.other = tf.get_variable("other", initializer=[7.0])
        self.session = self.enter_context(tf.Session())
        self.session.run(tf.global_variables_initializer())

    def test_sets_some_variables(self):
        self.graph.finalize()
        matrix = np.arange(6.0).reshape(2, 3)
        variable_values.load(self.session, {self.matrix: matrix, self.step: 5})
        values = self.session.run([self.matrix, self.step, self.other])
        np.testing.assert_array_equal(values[0], matrix)
        self.assertEqual(values[1:], [5, [7.0]])

    def test_refuses_another_shape(self):
        with self.assertRaisesRegex(ValueError, "shape"):
            variable_values.load(self.session, {self.step: 5, self.matrix: np.ones([3, 2])})
        self.assertEqual(self.session.run(self.step), 0)


if __name__ == "__main__":
    absltest.main()
