"""Tests of the scaling between pixels and a network's input."""

import numpy as np
import tensorflow as tf
from absl.testing import absltest

from imprinting.base import pixel_scaling


class PixelsTest(absltest.TestCase):
    def test_known_values(self):
        quanta = np.array([0, 64, 128, 255], np.float32)
        expected = np.array([-1, -0.5, 0, 127 / 128], np.float32)
        np.testing.assert_array_equal(pixel_scaling.to_real(quanta), expected)
        self.assertEqual(pixel_scaling.to_real(quanta).dtype, np.float32)

    def test_every_number_survives_a_round_trip(self):
        quanta = np.arange(256, dtype=np.uint8)
        back = pixel_scaling.to_quanta(pixel_scaling.to_real(quanta.astype(np.float32)))
        self.assertEqual(back.dtype, np.uint8)
        np.testing.assert_array_equal(back, quanta)

    def test_rounds_and_clips(self):
        images = np.array([[-1.1, -1, 0.003], [0.004, 1, 1.1]])
        np.testing.assert_array_equal(
            pixel_scaling.to_quanta(images), [[0, 0, 128], [129, 255, 255]]
        )

    def test_tensors_are_scaled_like_arrays(self):
        quanta = np.arange(256, dtype=np.float32)
        tensor = pixel_scaling.to_real(tf.constant(quanta))
        self.assertEqual(tensor.dtype, tf.float32)
        np.testing.assert_array_equal(tf.get_static_value(tensor), pixel_scaling.to_real(quanta))


if __name__ == "__main__":
    absltest.main()
