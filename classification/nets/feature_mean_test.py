"""Tests of feature_mean.py."""

import numpy as np
from absl.testing import absltest

from classification.nets import feature_mean


class FeatureMeanTest(absltest.TestCase):
    def test_is_that_of_clipped_normal_values(self):
        beta = np.array([-1.0, 0.0, 3.0, 7.0], np.float32)
        gamma = np.array([1.0, -2.0, 0.5, 3.0], np.float32)
        draws = np.random.default_rng(0).normal(size=[200_000, 4]) * gamma + beta
        found = feature_mean.of_relu6({"last/beta": beta, "last/gamma": gamma}, "last")
        np.testing.assert_allclose(found, np.clip(draws, 0, 6).mean(axis=0), atol=0.02)

    def test_channels_that_are_always_the_same(self):
        values = {"last/beta": np.array([-1.0, 2.0, 9.0]), "last/gamma": np.zeros(3)}
        np.testing.assert_array_equal(feature_mean.of_relu6(values, "last"), [0, 2, 6])


if __name__ == "__main__":
    absltest.main()
