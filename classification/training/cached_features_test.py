"""Tests of cached_features.py: compares kept features with those that the network computes."""

import dataclasses
import os
import pathlib
import tempfile
from unittest import mock

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.data.dataset import open_dataset
from classification.nets import factory
from classification.nets.batch_norm import BatchNorm
from classification.nets.checkpoint import Checkpoint
from classification.nets.l2norm_network import TrainingOptions
from classification.nets.model_config import ModelConfig
from classification.testing.digits_networks import DIGITS, images_and_labels, write_network
from classification.training import cached_features
from classification.training.cached_features import Features
from imprinting.base import large_arrays


class GetTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.digits = open_dataset("", "validation")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.prefix = write_network(folder.name, DIGITS)

    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.store = os.path.join(self.folder, "features")

    def _get(self, store: str, *, prefix: str = "", model: ModelConfig = DIGITS) -> Features:
        return cached_features.get(
            store, model=model, checkpoint=Checkpoint(prefix or self.prefix), dataset=self.digits
        )

    def test_are_what_the_base_computes(self):
        found = self._get(cached_features.MEMORY)
        images, labels = images_and_labels(self.digits, DIGITS.image_size)
        with tf.Graph().as_default(), tf.Session() as session:
            expected = factory.build(tf.constant(images), DIGITS)["Features"]
            tf.train.Saver().restore(session, self.prefix)
            np.testing.assert_allclose(found.values, session.run(expected)[:, 0, 0], atol=1e-5)
        np.testing.assert_array_equal(found.labels, labels)
        self.assertEqual(found.depth, 256)
        self.assertFalse(found.was_kept)
        self.assertRegex(
            found.describe(cached_features.MEMORY),
            "360 images: computed in .* kept until training ends",
        )

    def test_many_are_in_a_temporary_file(self):
        expected = self._get(cached_features.MEMORY)
        with mock.patch.object(large_arrays, "_MOST_IN_MEMORY", 100_000):
            found = self._get(cached_features.MEMORY)
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_array_equal(found.labels, expected.labels)
        # What is in memory can be changed.
        self.assertTrue(expected.values.flags.writeable)
        self.assertFalse(found.values.flags.writeable)
        batches = [next(f.batches(8, seed=1, start=3)) for f in (found, expected)]
        np.testing.assert_array_equal(batches[0][0], batches[1][0])

    def test_folder_keeps_them_by_base_and_data(self):
        first, second = self._get(self.store), self._get(self.store)
        np.testing.assert_array_equal(first.values, second.values)
        np.testing.assert_array_equal(first.labels, second.labels)
        self.assertEqual([first.was_kept, second.was_kept], [False, True])
        self.assertIn("kept in", second.describe(self.store))
        self.assertEqual(first.seconds, second.seconds)
        self.assertLen(os.listdir(self.store), 1)
        # A base that differs in one number; a network whose features are rounded; other images.
        other = self._change_one_number(os.path.join(self.folder, "other"))
        changed = self._get(self.store, prefix=other)
        self.assertFalse(changed.was_kept)
        self.assertTrue(np.any(changed.values != first.values))
        training = cached_features.get(
            self.store,
            model=DIGITS,
            checkpoint=Checkpoint(self.prefix),
            dataset=open_dataset("", "train"),
        )
        self.assertFalse(training.was_kept)
        self.assertLen(training.labels, 1437)
        self.assertLen(os.listdir(self.store), 3)

    def test_what_is_computed_otherwise_is_kept_apart(self):
        # Large enough that there is something to average over.
        quantised = dataclasses.replace(DIGITS, image_size=64, quantize=True)
        prefix = self._show_images(os.path.join(self.folder, "quantised"), quantised)
        learned = dataclasses.replace(quantised, learned_embedding_range=True)
        found = [self._get(self.store, prefix=prefix, model=m) for m in (quantised, learned)]
        self.assertEqual([each.was_kept for each in found], [False, False])
        # With a learned range, the pooled values are not rounded.
        self.assertTrue(np.any(found[0].values != found[1].values))
        # The last layer makes no difference.
        head = dataclasses.replace(quantised, labels=None, num_classes=7)
        self.assertTrue(self._get(self.store, prefix=prefix, model=head).was_kept)

    def _show_images(self, folder: str, model: ModelConfig) -> str:
        """Writes a network with a random base, and statistics and ranges of digits."""
        os.makedirs(folder)
        images, _ = images_and_labels(self.digits, model.image_size)
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(1)
            tf.train.create_global_step()
            factory.build(
                tf.constant(images[:16]),
                model,
                training=TrainingOptions(),
                batch_norm=BatchNorm(decay=0.5),
            )
            session.run(tf.global_variables_initializer())
            for _ in range(8):
                session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
            path = os.path.join(folder, "model.ckpt")
            return tf.train.Saver().save(session, path, write_meta_graph=False)

    def _change_one_number(self, folder: str) -> str:
        """Writes the network's checkpoint with one element of one kernel changed."""
        os.makedirs(folder)
        with tf.Graph().as_default(), tf.Session() as session:
            factory.build(tf.placeholder(tf.float32, [None, 32, 32, 3]), DIGITS)
            saver = tf.train.Saver()
            saver.restore(session, self.prefix)
            name = "MobilenetV1/Conv2d_0/weights"
            (kernel,) = (v for v in tf.global_variables() if v.op.name == name)
            value = session.run(kernel)
            value[0, 0, 0, 0] += 1.0
            kernel.load(value, session)
            return saver.save(session, os.path.join(folder, "model.ckpt"), write_meta_graph=False)

    def test_fewer_images_than_there_should_be_are_an_error(self):
        short = dataclasses.replace(self.digits, num_examples=361)
        with self.assertRaisesRegex(ValueError, "expected 361 images in digits, got 360"):
            cached_features.get(
                cached_features.MEMORY,
                model=DIGITS,
                checkpoint=Checkpoint(self.prefix),
                dataset=short,
            )

    def test_a_base_that_lacks_something_is_refused(self):
        with self.assertRaisesRegex(ValueError, "does not hold all of it"):
            self._get(self.store, model=dataclasses.replace(DIGITS, depth_multiplier=0.5))
        self.assertEmpty(os.listdir(self.store) if os.path.exists(self.store) else [])

    def test_what_is_damaged_is_named(self):
        self._get(self.store)
        (path,) = pathlib.Path(self.store).glob("*/features.npy")
        path.write_bytes(path.read_bytes()[:1000])
        with self.assertRaisesRegex(ValueError, f"{path}.*remove that folder"):
            self._get(self.store)

    def test_leaves_nothing_of_what_was_broken_off(self):
        def stop(done: int, total: int) -> None:
            self.assertLess(done, total)
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            cached_features.get(
                self.store,
                model=DIGITS,
                checkpoint=Checkpoint(self.prefix),
                dataset=self.digits,
                on_progress=stop,
            )
        self.assertEmpty(os.listdir(self.store))


class BatchesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        values = np.arange(10, dtype=np.float32)[:, np.newaxis]
        self.features = Features(values, np.arange(10), 2.0)

    def _labels(self, count: int, **options: int) -> list[list[int]]:
        options = {"seed": 1, "start": 0} | options
        batches = self.features.batches(4, **options)
        return [next(batches)[1].tolist() for _ in range(count)]

    def test_every_epoch_has_each_image_once_in_another_order(self):
        seen = sum(self._labels(5), [])
        self.assertCountEqual(seen[:10], range(10))
        self.assertCountEqual(seen[10:], range(10))
        self.assertNotEqual(seen[:10], seen[10:])
        self.assertEqual(seen, sum(self._labels(5), []))
        self.assertNotEqual(seen, sum(self._labels(5, seed=2), []))

    def test_go_on_where_an_earlier_run_stopped(self):
        self.assertEqual(self._labels(7)[3:], self._labels(4, start=3))

    def test_workers_share_the_images(self):
        parts = [sum(self._labels(5, num_shards=2, shard_index=i), []) for i in range(2)]
        self.assertCountEqual(set(parts[0]) | set(parts[1]), range(10))
        self.assertEmpty(set(parts[0]) & set(parts[1]))

    def test_values_go_with_their_labels(self):
        values, labels = next(self.features.batches(4, seed=0, start=0))
        self.assertEqual(values.shape, (4, 1, 1, 1))
        np.testing.assert_array_equal(values[:, 0, 0, 0], labels)

    def test_says_what_it_saves(self):
        self.assertIn(
            "100 images were trained on; for these, the base would have taken 20 s, and took 2 s",
            self.features.describe_saving(100),
        )


if __name__ == "__main__":
    absltest.main()
