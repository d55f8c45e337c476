"""Tests of bilinear.py: equal to TensorFlow's operator, to the bit."""

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from imprinting.photos import bilinear


class BilinearTest(parameterized.TestCase):
    @parameterized.parameters(
        (224, 224, 224),
        (1, 1, 224),
        (2, 3, 5),
        (256, 384, 224),
        (241, 333, 224),
        (3000, 211, 240),
        (96, 4001, 260),
    )
    def test_equals_tensorflow(self, height, width, size):
        pixels = np.random.default_rng(height).integers(0, 256, [height, width, 3], np.uint8)
        expected = tf.raw_ops.ResizeBilinear(
            images=pixels[np.newaxis],
            size=[size, size],
            align_corners=False,
            half_pixel_centers=False,
        )
        got = bilinear.resize(pixels, size)
        self.assertEqual(got.dtype, np.float32)
        np.testing.assert_array_equal(got, expected[0])

    def test_every_level(self):
        levels = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 3, axis=1)
        pixels = np.broadcast_to(levels[:, np.newaxis], [256, 256, 3])
        expected = np.clip(np.rint(np.arange(256) * (256 / 255)), 0, 255)
        got = bilinear.quanta(pixels, 256)
        self.assertEqual(got.dtype, np.uint8)
        np.testing.assert_array_equal(got[:, 7, 1], expected)

    def test_samples_at_multiples_of_the_scale(self):
        pixels = np.arange(0, 80, 10, dtype=np.uint8).reshape(1, 8, 1)
        np.testing.assert_array_equal(bilinear.resize(pixels, 4)[0, :, 0], [0, 20, 40, 60])
        np.testing.assert_array_equal(bilinear.resize(pixels[:, :3], 2)[0, :, 0], [0, 15])


if __name__ == "__main__":
    absltest.main()
