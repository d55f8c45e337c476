"""Tests of train_step.py."""

import dataclasses

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.cluster.cluster import Cluster
from classification.data.dataset import open_dataset
from classification.nets.model_config import ModelConfig
from classification.training import train_step
from classification.training.training_config import TrainingConfig

_FLOAT = ModelConfig(image_size=32, depth_multiplier=0.25, num_classes=10)
_FAST = TrainingConfig(number_of_steps=2, batch_size=8)


class TrainingGraphTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.digits = open_dataset("", "train")

    def test_a_step_counts_and_moves_every_trained_variable(self):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(0)
            tf.train.create_global_step()
            model = dataclasses.replace(_FLOAT, quantize=True)
            graph = train_step.build(model, _FAST, self.digits)
            trained = {v.op.name: v for v in tf.trainable_variables()}
            session.run(tf.global_variables_initializer())
            before = session.run(trained)
            number, loss = session.run([graph.step, graph.loss])
            after = session.run(trained)
        self.assertEqual(number, 1)
        # An untrained network with ten classes has a loss of ln 10, plus some weight decay.
        self.assertBetween(loss, 1.5, 4.0)
        # 27 layers' kernel, gamma and beta; the head's two kernels, biases, scale factor.
        self.assertLen(trained, 27 * 3 + 4)
        for name in trained:
            self.assertTrue(np.any(after[name] != before[name]), name)

    def test_variables_go_to_the_parameter_servers(self):
        cluster = Cluster(worker=1, num_workers=2, num_ps=2)
        with tf.Graph().as_default(), tf.device(cluster.placement()):
            tf.set_random_seed(0)
            tf.train.create_global_step()
            config = dataclasses.replace(_FAST, freeze_base_model=True)
            graph = train_step.build(_FLOAT, config, self.digits, cluster=cluster)
            devices = {variable.device for variable in tf.global_variables()}
            self.assertEqual(devices, {"/job:ps/task:0", "/job:ps/task:1"})
            self.assertEqual(graph.loss.device, "/job:worker/task:1")
            # Each worker folds a frozen base's kernels itself.
            local = {variable.device for variable in tf.local_variables()}
            self.assertEqual(local, {"/job:worker/task:1"})

    def _rate(self, step: int, num_examples: int, num_workers: int = 1, **changes) -> float:
        config = dataclasses.replace(_FAST, learning_rate=0.1, batch_size=64, **changes)
        with tf.Graph().as_default(), tf.Session() as session:
            number = tf.constant(step, tf.int64)
            rate = train_step.learning_rate(config, number, num_examples, num_workers)
            return session.run(rate)

    def test_schedule_follows_the_size_of_the_data(self):
        # 1,437 images in batches of 64: 2.5 epochs are 56 steps.
        for num_examples, step, expected in ((1437, 55, 0.1), (1437, 56, 0.094), (64, 4, 0.0884)):
            self.assertAlmostEqual(self._rate(step, num_examples), expected, places=4)
        # Each of the workers that take a step together uses 64 images.
        self.assertAlmostEqual(self._rate(28, 1437, 2, sync_replicas=True), 0.094, places=4)
        self.assertAlmostEqual(self._rate(28, 1437, 2), 0.1, places=4)

    def test_warmup_rises_in_a_straight_line(self):
        rates = [self._rate(step, 10**6, warmup_steps=4) for step in range(6)]
        np.testing.assert_allclose(rates, [0.025, 0.05, 0.075, 0.1, 0.1, 0.1], rtol=1e-6)

    def _loss(self, **changes) -> float:
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(0)
            tf.train.create_global_step()
            config = dataclasses.replace(_FAST, **changes)
            graph = train_step.build(_FLOAT, config, self.digits)
            session.run(tf.global_variables_initializer())
            return session.run(graph.loss)

    def test_weight_decay_and_label_smoothing_are_in_the_loss(self):
        plain = self._loss(weight_decay=0.0)
        decays = [self._loss(weight_decay=decay) - plain for decay in (0.001, 0.002)]
        self.assertGreater(decays[0], 0.01)
        self.assertAlmostEqual(decays[1], 2 * decays[0], places=4)
        # An untrained network has the same loss for every label, smoothed or not.
        smooth = self._loss(weight_decay=0.0, label_smoothing=0.5)
        self.assertNotEqual(smooth, plain)
        self.assertAlmostEqual(smooth, plain, delta=0.5)

    def test_averages_take_the_places_of_variables(self):
        config = dataclasses.replace(_FAST, moving_average_decay=0.99)
        kernel = "MobilenetV1/Conv2d_0/weights"
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(0)
            tf.train.create_global_step()
            graph = train_step.build(_FLOAT, config, self.digits)
            weights = next(v for v in tf.global_variables() if v.op.name == kernel)
            average = graph.stored_as[kernel]
            self.assertIs(graph.stored_as[f"{kernel}/ExponentialMovingAverage"], weights)
            session.run(tf.global_variables_initializer())
            session.run(graph.initialize)
            before = session.run(weights)
            np.testing.assert_array_equal(session.run(average), before)
            session.run(graph.step)
            after, averaged = session.run([weights, average])
        # At the start the averages move faster: the decay is (1 + 0) / (10 + 0).
        decay = 0.1
        np.testing.assert_allclose(averaged, decay * before + (1 - decay) * after, atol=1e-6)
        self.assertTrue(np.any(after != before))


if __name__ == "__main__":
    absltest.main()
