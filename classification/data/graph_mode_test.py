"""Tests of dataset.py in graph mode, which the programs use."""

import tempfile
from typing import Any

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from classification.data import dataset, testing

tf.compat.v1.disable_eager_execution()


class GraphModeTest(parameterized.TestCase):
    folder: str

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        for split in ("train", "validation"):
            testing.write_grey_images(cls.folder, split, (20, 10))

    def setUp(self):
        super().setUp()
        graph = tf.Graph()
        self.enter_context(graph.as_default())

    @parameterized.parameters("digits", "imagenet")
    def test_evaluation(self, name):
        data = dataset.open_dataset(self.folder if name == "imagenet" else "", "validation")
        batches = testing.run_batches(data.batches(batch_size=7, image_size=8, is_training=False))
        self.assertEqual(sum(len(b["label"]) for b in batches), data.num_examples)
        self.assertLen({b.tobytes() for a in batches for b in a["image"]}, data.num_examples)

    @parameterized.parameters("digits", "imagenet")
    def test_training(self, name):
        data = dataset.open_dataset(self.folder if name == "imagenet" else "", "train")
        # 1437 = 3 * 479, and 30 = 3 * 10.
        options: dict[str, Any] = {
            "batch_size": data.num_examples // 3,
            "image_size": 8,
            "is_training": True,
        }
        once = testing.run_batches(data.batches(**options), limit=6)
        # The graph's seed has no effect.
        tf.compat.v1.set_random_seed(7)
        again = testing.run_batches(data.batches(**options), limit=6)
        for a, b in zip(once, again, strict=True):
            np.testing.assert_array_equal(a["image"], b["image"])
            np.testing.assert_array_equal(a["label"], b["label"])
        epochs = [np.concatenate([b["label"] for b in once[i : i + 3]]) for i in (0, 3)]
        np.testing.assert_array_equal(np.sort(epochs[0]), np.sort(epochs[1]))
        self.assertLess(np.mean(epochs[0] == epochs[1]), 0.3)

    @parameterized.parameters("digits", "imagenet")
    def test_training_continues_from_start(self, name):
        data = dataset.open_dataset(self.folder if name == "imagenet" else "", "train")
        options: dict[str, Any] = {
            "batch_size": data.num_examples // 3 + 1,
            "image_size": 8,
            "is_training": True,
        }
        whole = testing.run_batches(data.batches(**options), limit=8)
        rest = testing.run_batches(data.batches(start=4, **options), limit=4)
        for a, b in zip(whole[4:], rest, strict=True):
            np.testing.assert_array_equal(a["image"], b["image"])
            np.testing.assert_array_equal(a["label"], b["label"])

    @parameterized.parameters("digits", "imagenet")
    def test_initializable_iterator_starts_again(self, name):
        data = dataset.open_dataset(self.folder if name == "imagenet" else "", "validation")
        batches = data.batches(batch_size=16, image_size=8, is_training=False)
        iterator = tf.compat.v1.data.make_initializable_iterator(batches)
        batch = iterator.get_next()
        self.assertEqual(batch["image"].shape.as_list(), [None, 8, 8, 3])
        with tf.compat.v1.Session() as session:
            first = []
            for _ in range(2):
                session.run(iterator.initializer)
                first.append(session.run(batch))
        np.testing.assert_array_equal(first[0]["image"], first[1]["image"])

    def test_names_bad_record(self):
        folder = self.create_tempdir().full_path
        good = testing.make_image_example(testing.encode_png(np.zeros([4, 4, 3], np.uint8)), 1)
        for bad, message in (
            (testing.make_image_example(b"no image", 1), "one that cannot be decoded in record 2"),
            (good.replace(b"image/class/label", b"image/class/other"), "got none in record 2"),
            (b"", "expected an image under image/encoded, got none in record 2"),
        ):
            testing.write_records(f"{folder}/train-0", [good, good, bad, good])
            batches = dataset.open_dataset(folder, "train").batches(
                batch_size=4, image_size=8, is_training=False
            )
            with self.assertRaisesRegex(tf.errors.InvalidArgumentError, message):
                testing.run_batches(batches)


if __name__ == "__main__":
    absltest.main()
