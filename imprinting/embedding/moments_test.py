"""Tests of moments.py."""

import os

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.embedding.moments import Moments


def samples(count: int = 40, depth: int = 5) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.normal(3, 1, [count, depth]) @ random.normal(0, 1, [depth, depth])


def labels(count: int = 40) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 4, count)


class MomentsTest(parameterized.TestCase):
    def assert_equal(self, first: Moments, second: Moments) -> None:
        self.assertEqual(first.count, second.count)
        np.testing.assert_array_equal(first.class_counts, second.class_counts)
        for name in ("mean", "scatter", "class_means"):
            np.testing.assert_allclose(
                getattr(first, name), getattr(second, name), rtol=1e-12, atol=1e-12
            )

    def test_mean_and_covariance(self):
        moments = Moments.of(samples())
        np.testing.assert_allclose(moments.mean, samples().mean(axis=0))
        np.testing.assert_allclose(moments.covariance, np.cov(samples().T, bias=True))

    def test_covariance_within_classes(self):
        found = Moments.of(samples(), labels()).within
        centred = samples()
        for number in range(4):
            centred[labels() == number] -= centred[labels() == number].mean(axis=0)
        np.testing.assert_allclose(found, centred.T @ centred / 40, atol=1e-12)

    @parameterized.parameters(1, 7, 39)
    def test_parts_add_up_to_the_whole(self, first):
        parts = Moments.of(samples()[:first], labels()[:first]) + Moments.of(
            samples()[first:], labels()[first:]
        )
        self.assert_equal(parts, Moments.of(samples(), labels()))

    def test_classes_that_are_in_one_part_only(self):
        first, second = (
            Moments.of(samples()[:5], np.zeros(5, int)),
            Moments.of(samples()[5:9], np.full(4, 2)),
        )
        both = first + second
        np.testing.assert_array_equal(both.class_counts, [5, 0, 4])
        np.testing.assert_allclose(both.class_means[2], samples()[5:9].mean(axis=0))
        np.testing.assert_array_equal(both.class_means[1], np.zeros(5))

    def test_a_large_mean_costs_no_digits(self):
        far = samples() + 1e6
        parts = Moments.of(far[:20]) + Moments.of(far[20:])
        np.testing.assert_allclose(parts.covariance, Moments.of(samples()).covariance, rtol=1e-7)

    def test_float32_samples_are_summed_in_float64(self):
        found = Moments.of(samples().astype(np.float32))
        self.assertEqual(found.scatter.dtype, np.float64)

    def test_copies_of_a_sample_do_not_vary(self):
        found = Moments.of(np.repeat(samples()[:1], 6, axis=0), np.zeros(6, int))
        np.testing.assert_allclose(found.covariance, np.zeros([5, 5]), atol=1e-25)
        np.testing.assert_allclose(found.within, np.zeros([5, 5]), atol=1e-25)

    def test_saves_and_loads(self):
        path = os.path.join(self.create_tempdir().full_path, "moments.npz")
        Moments.of(samples(), labels()).save(path)
        self.assert_equal(Moments.load(path), Moments.of(samples(), labels()))
        with open(path, "rb") as file:
            first = file.read()
        Moments.load(path).save(path)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), first)

    @parameterized.parameters(b"", b"PK", b"not an archive")
    def test_another_file(self, content):
        path = self.create_tempfile(content=content, mode="wb").full_path
        with self.assertRaisesRegex(ValueError, "expected moments in .*, got no .npz file"):
            Moments.load(path)

    def test_other_arrays(self):
        path = os.path.join(self.create_tempdir().full_path, "other.npz")
        np.savez(path, mean=np.zeros(3))
        with self.assertRaisesRegex(ValueError, "with the arrays count, mean, .*, got mean"):
            Moments.load(path)
        moments = Moments.of(samples(), labels())
        arrays = {**vars(moments), "class_means": np.zeros([2, 5])}
        np.savez(path, **arrays)
        with self.assertRaisesRegex(ValueError, "shapes that do not fit"):
            Moments.load(path)
        np.savez(path, **{**vars(moments), "mean": np.full(5, np.nan)})
        with self.assertRaisesRegex(ValueError, "NaN or infinity in mean"):
            Moments.load(path)

    def test_nan(self):
        bad = samples()
        bad[3, 1] = np.nan
        with self.assertRaisesRegex(
            ValueError, "NaN or infinity in 1 of 40 samples, first in sample 3"
        ):
            Moments.of(bad)

    @parameterized.parameters(([0, 5],), ([5],), ([2, 0],))
    def test_no_samples(self, shape):
        with self.assertRaisesRegex(ValueError, "at least one sample"):
            Moments.of(np.zeros(shape))

    @parameterized.parameters(([0] * 39,), ([-1] * 40,))
    def test_bad_labels(self, bad):
        with self.assertRaisesRegex(ValueError, r"expected labels \[40\] of at least 0"):
            Moments.of(samples(), np.array(bad))

    def test_what_cannot_be_added(self):
        with self.assertRaisesRegex(ValueError, "as many features, got 5 and 4"):
            Moments.of(samples()) + Moments.of(samples(depth=4))
        with self.assertRaisesRegex(ValueError, "with labels or without"):
            Moments.of(samples()) + Moments.of(samples(), labels())
        with self.assertRaisesRegex(ValueError, "without labels"):
            _ = Moments.of(samples()).within


if __name__ == "__main__":
    absltest.main()
