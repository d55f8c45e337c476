"""Looks at the graph of a training step."""

import dataclasses

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification import training_graph
from classification.data.dataset import open_dataset
from classification.model_config import ModelConfig
from classification.training_graph import TrainingConfig

_FLOAT = ModelConfig(image_size=32, depth_multiplier=0.25, num_classes=10)
_FAST = TrainingConfig(number_of_steps=2, batch_size=8)


class TrainingGraphTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.digits = open_dataset("", "train")

    def test_a_step_counts_and_moves_every_trained_variable(self) -> None:
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(0)
            tf.train.create_global_step()
            model = dataclasses.replace(_FLOAT, quantize=True)
            graph = training_graph.build(model, _FAST, self.digits, 0)
            trained = {v.op.name: v for v in tf.trainable_variables()}
            session.run(tf.global_variables_initializer())
            before = session.run(trained)
            number, loss = session.run([graph.step, graph.loss])
            after = session.run(trained)
        self.assertEqual(number, 1)
        # Ten classes, and a network that knows nothing: ln 10, and some weight decay.
        self.assertBetween(loss, 1.5, 4.0)
        # 27 layers' kernel, gamma and beta; the head's two kernels, biases, scale factor.
        self.assertLen(trained, 27 * 3 + 4)
        for name in trained:
            self.assertTrue(np.any(after[name] != before[name]), name)

    def test_variables_go_to_the_parameter_servers(self) -> None:
        config = dataclasses.replace(_FAST, ps_tasks=2, task=1)
        with tf.Graph().as_default(), tf.device(training_graph.placement(config)):
            tf.set_random_seed(0)
            tf.train.create_global_step()
            graph = training_graph.build(_FLOAT, config, self.digits, 0)
            devices = {variable.device for variable in tf.global_variables()}
            self.assertEqual(devices, {"/job:ps/task:0", "/job:ps/task:1"})
            self.assertEqual(graph.loss.device, "/job:worker/task:1")

    def test_schedule_follows_the_size_of_the_data(self) -> None:
        # 1,437 images in batches of 64: 2.5 epochs are 56 steps.
        for dataset_size, steps, expected in ((1437, 55, 0.1), (1437, 56, 0.094), (64, 4, 0.0884)):
            with tf.Graph().as_default(), tf.Session() as session:
                step = tf.train.create_global_step()
                rate = training_graph.learning_rate(0.1, step, dataset_size, 64)
                session.run(step.initializer)
                step.load(steps, session)
                self.assertAlmostEqual(session.run(rate), expected, places=4)

    def test_refuses_what_makes_no_sense(self) -> None:
        for name, value in (
            ("batch_size", 0),
            ("number_of_steps", 0),
            ("learning_rate", 0.0),
            ("learning_rate", float("nan")),
            ("batch_norm_decay", 1.0),
            ("quant_delay", -1),
            ("log_every_n_steps", 0),
            ("task", -1),
        ):
            with self.assertRaisesRegex(ValueError, f"expected --{name}"):
                TrainingConfig(**{name: value})


if __name__ == "__main__":
    absltest.main()
