"""Tests of digits.py: splits, enlarging and movements."""

import gzip

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from classification.data import digits


class LoadTest(parameterized.TestCase):
    def test_counts(self):
        images, labels = digits.load("train")
        self.assertEqual(images.shape, (1437, 8, 8))
        self.assertEqual(images.dtype, np.uint8)
        self.assertEqual(images.max(), 16)
        # The file has 178, 182, 177, 183, 181, 182, 181, 179, 174 and 180 images of the digits.
        np.testing.assert_array_equal(
            np.bincount(labels), np.subtract([178, 182, 177, 183, 181, 182, 181, 179, 174, 180], 36)
        )
        images, labels = digits.load("validation")
        self.assertEqual(images.shape, (360, 8, 8))
        np.testing.assert_array_equal(np.bincount(labels), [36] * 10)

    def test_splits_are_disjoint(self):
        train, held_out = (
            {image.tobytes() for image in digits.load(split)[0]}
            for split in ("train", "validation")
        )
        self.assertLen(train | held_out, 1797)

    def test_splits_never_change(self):
        # The first ten lines of the file are 0 to 9 and held out; the next ten are 0 to 9 and for
        # training. The sum of the pixels was computed with awk.
        images, labels = digits.load("validation")
        np.testing.assert_array_equal(labels[:10], range(10))
        np.testing.assert_array_equal(images[0][0], [0, 0, 5, 13, 9, 1, 0, 0])
        np.testing.assert_array_equal(digits.load("train")[1][:10], range(10))
        self.assertEqual(int(images.astype(int).sum()), 112286)

    def test_held_out_images_are_spread_evenly(self):
        labels = np.repeat(np.arange(10), 72)
        np.testing.assert_array_equal(np.flatnonzero(digits._held_out(labels)), range(0, 720, 2))

    def test_refuses_too_few_images_of_a_digit(self):
        with self.assertRaisesRegex(ValueError, "more than 36 images of each digit, got 36 of 9"):
            digits._held_out(np.concatenate([np.repeat(np.arange(10), 36), np.arange(9)]))

    def test_refuses_unknown_split(self):
        with self.assertRaisesRegex(ValueError, 'got "test"'):
            digits.load("test")

    def test_refuses_another_file(self):
        path = self.create_tempdir().full_path + "/short.csv.gz"
        with gzip.open(path, "wt") as file:
            file.write("0,1,2\n3,4,5\n")
        with self.assertRaisesRegex(ValueError, "64 pixels and a label .*, got 3 numbers"):
            digits.load("train", csv_path=path)


class EnlargeTest(parameterized.TestCase):
    def test_four_times(self):
        images = np.zeros([1, 8, 8], np.uint8)
        images[0, :, 3] = 16
        result = digits.enlarge(images, image_size=32).numpy()
        self.assertEqual(result.shape, (1, 32, 32, 1))
        # Interpolation spreads the column to both sides, in steps of a quarter of a pixel.
        expected = np.zeros(32)
        expected[10:18] = [0.125, 0.375, 0.625, 0.875, 0.875, 0.625, 0.375, 0.125]
        np.testing.assert_allclose(result[0, 5, :, 0], expected, atol=1e-6)

    def test_same_size(self):
        images = np.arange(64, dtype=np.uint8).reshape(1, 8, 8) // 4
        result = digits.enlarge(images, image_size=8).numpy()
        np.testing.assert_allclose(result[..., 0], images / 16, atol=1e-6)


class MoveTest(parameterized.TestCase):
    def test_amounts(self):
        size = 64
        y, x = np.mgrid[:size, :size]
        blob = np.exp(-((x - 31.5) ** 2 + (y - 31.5) ** 2) / 32)
        images = tf.constant(np.tile(blob[None, ..., None], [200, 1, 1, 1]), tf.float32)
        moved = digits._move(images, tf.constant([0, 1], tf.int64)).numpy()[..., 0]
        mass = moved.sum((1, 2))
        centre_x = (moved * x).sum((1, 2)) / mass - 31.5
        centre_y = (moved * y).sum((1, 2)) / mass - 31.5
        # 1/16 of 64 is 4 pixels; zooming by 0.9 and shearing by 0.1 make the shift a bit larger.
        for centre in (centre_x, centre_y):
            self.assertBetween(np.abs(centre).max(), 3.5, 5.2)
            self.assertBetween(centre.std(), 1.8, 2.9)
        self.assertLess(abs(np.corrcoef(centre_x, centre_y)[0, 1]), 0.3)
        # The area is proportional to 1 / (zoom_x zoom_y), each in 0.9..1.1.
        np.testing.assert_array_less(mass / blob.sum(), 1.27)
        np.testing.assert_array_less(0.81, mass / blob.sum())

    def test_fills_edges_with_paper(self):
        images = tf.ones([50, 32, 32, 1])
        moved = digits._move(images, tf.constant([0, 2], tf.int64)).numpy()
        self.assertEqual(moved.min(), 0.0)
        self.assertLessEqual(moved.max(), 1.0 + 1e-6)
        np.testing.assert_allclose(moved[:, 12:20, 12:20], 1.0, atol=1e-6)


if __name__ == "__main__":
    absltest.main()
