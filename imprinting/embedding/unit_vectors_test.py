"""Tests of unit_vectors.py."""

import numpy as np
from absl.testing import absltest

from imprinting.embedding import unit_vectors


class MeanTest(absltest.TestCase):
    def test_means_of_unit_length(self):
        found = unit_vectors.mean(np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.6, 0.8], [0.6, 0.8]]]))
        np.testing.assert_allclose(found, [[0.5**0.5, 0.5**0.5], [0.6, 0.8]])

    def test_a_single_view_stays_as_it_is(self):
        # Because of rounding to quanta, its length is not exactly 1.
        single = np.array([[[0.61, 0.8]]], np.float32)
        np.testing.assert_array_equal(unit_vectors.mean(single), single[0])


if __name__ == "__main__":
    absltest.main()
