"""Looks for where training starts from, in folders of all kinds."""

import contextlib
import dataclasses
import io
import os
import pathlib

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.nets import checkpoints, factory
from classification.testing.digits_networks import DIGITS, write_network
from classification.training import warm_start
from classification.training.training_config import TrainingConfig


class NewestWholeTest(absltest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.prefixes = [write_network(self.folder, DIGITS, step=step) for step in (9, 10)]

    def _newest(self) -> tuple[str | None, str]:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            return warm_start.newest_whole(self.folder), printed.getvalue()

    def _data(self, prefix: str) -> pathlib.Path:
        return pathlib.Path(f"{prefix}.data-00000-of-00001")

    def test_takes_the_newest_by_its_step(self) -> None:
        self.assertEqual(self._newest(), (self.prefixes[1], ""))
        # Whatever the file that names the newest says, or whether there is one.
        os.remove(os.path.join(self.folder, "checkpoint"))
        self.assertEqual(self._newest(), (self.prefixes[1], ""))

    def test_leaves_aside_what_is_not_whole(self) -> None:
        path = self._data(self.prefixes[1])
        data = path.read_bytes()
        for damaged in (data[:-1000], data[:500] + b"\0" * 1000 + data[1500:]):
            path.write_bytes(damaged)
            newest, printed = self._newest()
            self.assertEqual(newest, self.prefixes[0])
            self.assertRegex(printed, f"{self.prefixes[1]} is not whole, and left aside")
        path.unlink()
        self.assertEqual(self._newest()[0], self.prefixes[0])

    def test_the_session_finds_what_was_chosen(self) -> None:
        self._data(self.prefixes[1]).unlink()
        warm_start.prepare_folder(self.folder, DIGITS, self._newest()[0])
        self.assertEqual(tf.train.latest_checkpoint(self.folder), self.prefixes[0])

    def test_nothing_whole_is_an_error(self) -> None:
        for prefix in self.prefixes:
            self._data(prefix).write_bytes(b"noise")
        with self.assertRaisesRegex(ValueError, "2 that cannot be read; name another"):
            self._newest()

    def test_an_empty_folder_has_none(self) -> None:
        self.assertIsNone(warm_start.newest_whole(self.create_tempdir().full_path))
        self.assertIsNone(warm_start.newest_whole(os.path.join(self.folder, "gone")))


class CheckFolderTest(absltest.TestCase):
    def test_names_what_differs(self) -> None:
        folder = self.create_tempdir().full_path
        warm_start.check_folder(folder, DIGITS)
        DIGITS.write(folder)
        warm_start.check_folder(folder, dataclasses.replace(DIGITS, dataset="elsewhere"))
        for name, value in (("image_size", 64), ("depth_multiplier", 0.5), ("quantize", True)):
            other = dataclasses.replace(DIGITS, **{name: value})
            message = f"model.json describes.*: {name} {getattr(DIGITS, name)}, not {value};"
            with self.assertRaisesRegex(ValueError, message):
                warm_start.check_folder(folder, other)

    def test_refuses_a_file(self) -> None:
        path = self.create_tempfile().full_path
        with self.assertRaisesRegex(NotADirectoryError, f"got the file {path}"):
            warm_start.check_folder(path, DIGITS)
        with self.assertRaisesRegex(NotADirectoryError, f"got {path}/net, and {path} is no"):
            warm_start.check_folder(os.path.join(path, "net"), DIGITS)


class FineTuningTest(absltest.TestCase):
    def _start(self, **changes: object) -> tuple[checkpoints.Restoration, str]:
        """Plans to start a network from one of ten classes; returns what was printed, too."""
        folder = self.create_tempdir().full_path
        prefix = write_network(folder, DIGITS)
        model = dataclasses.replace(DIGITS, labels=None, **changes)
        printed = io.StringIO()
        with tf.Graph().as_default(), contextlib.redirect_stdout(printed):
            tf.train.create_global_step()
            factory.build(tf.placeholder(tf.float32, [None, 32, 32, 3]), model, is_training=True)
            config = TrainingConfig(fine_tune_checkpoint=prefix)
            return (
                warm_start.fine_tuning(model, config, tf.model_variables()),
                printed.getvalue(),
            )

    def test_says_that_the_head_goes_on(self) -> None:
        restoration, printed = self._start()
        self.assertEmpty((*restoration.missing, *restoration.mismatched))
        self.assertIn("The head goes on from the checkpoint's, with its 10 classes.", printed)

    def test_says_that_the_last_layer_starts_fresh(self) -> None:
        restoration, printed = self._start(num_classes=12)
        self.assertLen(restoration.mismatched, 2)
        self.assertIn("Conv2d_1d_1x1_normalize/weights [1, 1, 1024, 10]", printed)
        self.assertIn("has 10 classes, and this network 12: the base is kept", printed)
        self.assertIn("the last layer starts fresh", printed)

    def test_an_embedding_that_is_not_there_starts_as_the_features(self) -> None:
        name = "MobilenetV1/Logits/Conv2d_1c_1x1_negative/weights"
        with tf.Graph().as_default(), tf.Session() as session:
            factory.build(tf.placeholder(tf.float32, [None, 32, 32, 3]), DIGITS)
            variables = tf.global_variables()
            session.run([variable.initializer for variable in variables])
            base = [v for v in variables if "/Logits/" not in v.op.name]
            prefix = os.path.join(self.create_tempdir().full_path, "base.ckpt")
            tf.train.Saver(base).save(session, prefix, write_meta_graph=False)
            restoration = checkpoints.plan(prefix, variables)
            values = warm_start.start_values(restoration, variables)
            self.assertEqual([variable.op.name for variable in values], [name])
            (kernel,) = values.values()
            features = np.arange(256.0)
            expected = np.concatenate([features, np.zeros(1024 - 256)])
            np.testing.assert_array_equal(features @ kernel[0, 0], expected)
            # One that is there goes on.
            self.assertEmpty(warm_start.start_values(self._start()[0], variables))


if __name__ == "__main__":
    absltest.main()
