"""Tests of leading_moments.py."""

import os

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.embedding.leading_moments import LeadingMoments
from imprinting.embedding.moments import Moments


def moments() -> Moments:
    random = np.random.default_rng(0)
    return Moments.of(random.normal(1, 1, [200, 12]) * np.linspace(3, 0.1, 12))


class LeadingMomentsTest(parameterized.TestCase):
    def test_nearly_all_directions_are_nearly_the_covariance(self):
        found = LeadingMoments.of(moments(), 11)
        np.testing.assert_allclose(found.covariance, moments().covariance, atol=5e-3)
        np.testing.assert_allclose(found.mean, moments().mean, atol=2e-3)

    def test_the_rest_of_the_variance_is_spread_evenly(self):
        found = LeadingMoments.of(moments(), 4)
        self.assertEqual(found.directions.shape, (4, 12))
        exact, kept = np.linalg.eigvalsh(moments().covariance), np.linalg.eigvalsh(found.covariance)
        np.testing.assert_allclose(kept[8:], exact[8:], rtol=2e-3)
        np.testing.assert_allclose(kept[:8], np.full(8, exact[:8].mean()), rtol=2e-3)
        np.testing.assert_allclose(np.trace(found.covariance), exact.sum(), rtol=2e-3)

    def test_saves_and_loads(self):
        path = os.path.join(self.create_tempdir().full_path, "moments.npz")
        LeadingMoments.of(moments(), 4).save(path)
        found = LeadingMoments.load(path)
        self.assertEqual(found.directions.dtype, np.float16)
        np.testing.assert_array_equal(found.covariance, LeadingMoments.of(moments(), 4).covariance)

    def test_other_moments(self):
        path = os.path.join(self.create_tempdir().full_path, "moments.npz")
        moments().save(path)
        with self.assertRaisesRegex(ValueError, "expected leading moments in .*, with the arrays"):
            LeadingMoments.load(path)
        np.savez(path, mean=np.zeros(3), directions=np.zeros([2, 4]), residual=np.zeros([]))
        with self.assertRaisesRegex(ValueError, "shapes that do not fit"):
            LeadingMoments.load(path)

    @parameterized.parameters(0, 12)
    def test_number_of_directions(self, count):
        with self.assertRaisesRegex(
            ValueError, f"expected 1..11 directions of 12 features, got {count}"
        ):
            LeadingMoments.of(moments(), count)


if __name__ == "__main__":
    absltest.main()
