"""Tests of checkpoint_hook.py, with a small session."""

import os
import pathlib
import resource

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.nets import checkpoints
from classification.training.checkpoint_hook import CheckpointHook


class CheckpointHookTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.evaluated: list[str] = []

    def _run(self, steps: int, *, to: float = 1.0, size: int = 1, **options: float) -> None:
        """Counts steps in a session, and sets a variable."""
        with tf.Graph().as_default():
            step = tf.train.create_global_step()
            variable = tf.get_variable("value", initializer=tf.zeros([size]), use_resource=False)
            with tf.control_dependencies([variable.assign(tf.fill([size], to))]):
                count = step.assign_add(1)
            hook = CheckpointHook(
                self.folder,
                step=count,
                stored_as={v.op.name: v for v in tf.global_variables()},
                save_secs=options.get("save_secs", 1e6),
                eval_every=int(options.get("eval_every", 0)),
                evaluated=int(options.get("evaluated", 0)),
                evaluate=self.evaluated.append if "eval_every" in options else None,
            )
            creator = tf.train.ChiefSessionCreator(
                tf.train.Scaffold(saver=hook.saver), checkpoint_dir=self.folder
            )
            with tf.train.MonitoredSession(creator, hooks=[hook]) as session:
                for _ in range(steps):
                    session.run(count)

    def _steps(self) -> list[int]:
        return [checkpoint.global_step for checkpoint in checkpoints.by_step(self.folder)]

    def test_saves_at_both_ends(self):
        self._run(3)
        self.assertEqual(self._steps(), [3, 0])
        newest = checkpoints.find(self.folder)
        np.testing.assert_array_equal(newest.read(["value"])["value"], [1.0])
        self.assertEmpty(self.evaluated)

    def test_saves_in_time_and_keeps_five_also_of_earlier_runs(self):
        self._run(3, save_secs=0.0)
        self.assertEqual(self._steps(), [3, 2, 1, 0])
        self._run(3, save_secs=0.0)
        self.assertEqual(self._steps(), [6, 5, 4, 3, 2])

    def test_evaluates_at_multiples_and_at_the_end(self):
        self._run(5, eval_every=2)
        names = [os.path.basename(checkpoint.prefix) for checkpoint in self.evaluated]
        self.assertEqual(names, ["model.ckpt-2", "model.ckpt-4", "model.ckpt-5"])
        self._run(1, eval_every=2, evaluated=5)
        self.assertEndsWith(self.evaluated[-1].prefix, "model.ckpt-6")
        self.assertLen(self.evaluated, 4)

    def test_makes_up_for_an_evaluation_that_was_broken_off(self):
        self._run(4)
        self._run(1, eval_every=2, evaluated=2)
        names = [os.path.basename(checkpoint.prefix) for checkpoint in self.evaluated]
        self.assertEqual(names, ["model.ckpt-4", "model.ckpt-5"])

    def test_does_not_save_nan(self):
        with self.assertRaises(tf.train.NanLossDuringTrainingError):
            self._run(1, to=float("nan"))
        self.assertEqual(self._steps(), [0])

    def test_removes_what_a_broken_off_write_left_and_nothing_else(self):
        self._run(1)
        folder = pathlib.Path(self.folder)
        left = ["model.ckpt-7.data-00000-of-00001", "model.ckpt-8.index.tempstate123"]
        others = ["model.ckpt-1.meta", "notes.txt", "other.ckpt-7.data-00000-of-00001"]
        for name in (*left, *others):
            (folder / name).write_bytes(b"x")
        before = set(os.listdir(folder))
        self._run(1)
        new = {"model.ckpt-2.index", "model.ckpt-2.data-00000-of-00001"}
        self.assertEqual(set(os.listdir(folder)), before - set(left) | new)

    def test_a_write_that_fails_leaves_the_checkpoints_before(self):
        self._run(1, size=1 << 16)
        before = set(os.listdir(self.folder))
        # Imitates a full disk: no file may grow beyond this.
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
        try:
            with self.assertRaisesRegex(
                OSError, "step 2 cannot be written in .*: .*continues from .*model.ckpt-1$"
            ):
                self._run(1, size=1 << 16)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        self.assertEqual(set(os.listdir(self.folder)), before)


if __name__ == "__main__":
    absltest.main()
