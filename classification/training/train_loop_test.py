"""Tests of train_loop.py, with a step that counts, and fails on request."""

import os
import signal

import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.cluster.cluster import Cluster
from classification.nets import checkpoints
from classification.training import train_loop
from classification.training.step_display import Display
from classification.training.stop_signals import StopSignals
from classification.training.train_step import Graph
from classification.training.training_config import TrainingConfig


class TrainingSessionTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.fed: list[float] = []

    def _run(self, losses: list[float], *, stop_at: int | None = None, last_step: int = 5) -> int:
        """Feeds a loss at each step; the variable becomes what was fed last."""
        with tf.Graph().as_default(), StopSignals() as signals:
            step = tf.train.create_global_step()
            value = tf.get_variable("value", initializer=0.0, use_resource=False)
            loss = tf.placeholder(tf.float32, [])

            def feed() -> dict[tf.Tensor, float]:
                self.fed.append(losses[len(self.fed)])
                if len(self.fed) == stop_at:
                    os.kill(os.getpid(), signal.SIGTERM)
                return {loss: self.fed[-1]}

            positive = tf.debugging.Assert(tf.not_equal(loss, -1.0), ["got", loss])
            with tf.control_dependencies([positive]):
                moved = value.assign(loss)
            with tf.control_dependencies([moved]):
                count = step.assign_add(1)
            graph = Graph(
                step=count,
                loss=tf.identity(loss),
                learning_rate=tf.constant(0.1),
                variables=(value,),
                initialize=tf.no_op(),
                stored_as={v.op.name: v for v in tf.global_variables()},
                hooks=(tf.train.StopAtStepHook(last_step=last_step),),
                feed=feed,
            )
            return train_loop.run(
                graph,
                TrainingConfig(save_summaries_secs=0),
                cluster=Cluster(),
                folder=self.folder,
                start_values={},
                signals=signals,
                best=None,
                display=Display(),
            )

    def _saved(self) -> tuple[int | None, float]:
        newest = checkpoints.find(self.folder)
        return newest.global_step, newest.scalar("value")

    def test_takes_the_steps_and_saves(self):
        self.assertEqual(self._run([1.0, 2.0, 3.0, 4.0, 5.0]), 5)
        self.assertEqual(self._saved(), (5, 5.0))
        self.assertTrue(train_loop.has_ended(self.folder, 5))
        self.assertFalse(train_loop.has_ended(self.folder, 6))
        self.assertFalse(train_loop.has_ended(self.folder, None))

    def test_a_signal_ends_training_after_the_step_and_saves(self):
        self.assertEqual(self._run([1.0, 2.0, 3.0, 4.0, 5.0], stop_at=3), 3)
        self.assertEqual(self._saved(), (3, 3.0))

    def test_a_step_that_fails_costs_none_of_those_before(self):
        with self.assertRaises(train_loop.StepFailed) as failed:
            self._run([1.0, 2.0, -1.0])
        self.assertEqual(failed.exception.saved, 2)
        self.assertIsInstance(failed.exception.__cause__, tf.errors.InvalidArgumentError)
        self.assertEqual(self._saved(), (2, 2.0))

    def test_nan_is_not_saved(self):
        with self.assertRaises(tf.train.NanLossDuringTrainingError):
            self._run([1.0, 2.0, float("nan")])
        self.assertEqual(self._saved(), (0, 0.0))

    def test_continues_from_a_checkpoint(self):
        self._run([1.0, 2.0], last_step=2)
        self.fed.clear()
        self.assertEqual(self._run([3.0, 4.0, 5.0]), 5)
        self.assertEqual(self._saved(), (5, 5.0))


if __name__ == "__main__":
    absltest.main()
