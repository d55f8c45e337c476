"""Tests of optimizers.py: takes a step with each optimiser."""

import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.training import optimizers


class OptimizersTest(parameterized.TestCase):
    @parameterized.parameters(*optimizers.NAMES)
    def test_goes_downhill(self, name):
        with tf.Graph().as_default(), tf.Session() as session:
            place = tf.get_variable("place", initializer=3.0, use_resource=False)
            height = tf.square(place)
            optimizer = optimizers.make(name, tf.constant(0.01), momentum=0.9)
            step = optimizer.minimize(height)
            session.run(tf.global_variables_initializer())
            before = session.run(height)
            for _ in range(3):
                session.run(step)
            self.assertLess(session.run(height), before)

    def test_takes_momentum(self):
        places = []
        for momentum in (0.0, 0.9):
            with tf.Graph().as_default(), tf.Session() as session:
                place = tf.get_variable("place", initializer=3.0, use_resource=False)
                optimizer = optimizers.make("momentum", tf.constant(0.01), momentum=momentum)
                step = optimizer.minimize(tf.square(place))
                session.run(tf.global_variables_initializer())
                for _ in range(3):
                    session.run(step)
                places.append(session.run(place))
        self.assertLess(places[1], places[0])


if __name__ == "__main__":
    absltest.main()
