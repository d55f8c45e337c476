"""Tests of probabilities.py."""

import tracemalloc

import numpy as np
from absl.testing import absltest

from imprinting.embedding import probabilities


def _sample(n: int, classes: int, factor: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cosines, and labels drawn by softmax(factor * cosines)."""
    random = np.random.default_rng(seed)
    cosines = random.uniform(-0.5, 0.5, [n, classes])
    # The greatest of logits with Gumbel noise is distributed as the softmax says.
    return cosines, np.argmax(factor * cosines + random.gumbel(size=[n, classes]), axis=1)


def _log_likelihood(cosines: np.ndarray, labels: np.ndarray, factor: float) -> float:
    logits = factor * cosines
    norms = np.log(np.exp(logits).sum(axis=1))
    return float((logits[np.arange(len(labels)), labels] - norms).mean())


class LikeliestScaleFactorTest(absltest.TestCase):
    def test_recovers_the_factor_of_the_labels(self):
        for factor in (2.0, 8.0, 30.0):
            found = probabilities.likeliest_scale_factor(*_sample(20_000, 10, factor))
            self.assertAlmostEqual(found / factor, 1, delta=0.05)

    def test_no_other_factor_is_likelier(self):
        cosines, labels = _sample(300, 7, 12.0)
        best = probabilities.likeliest_scale_factor(cosines, labels)
        at_best = _log_likelihood(cosines, labels, best)
        for factor in np.geomspace(1, 100, 500):
            # The factor is rounded to three digits.
            self.assertLess(_log_likelihood(cosines, labels, factor), at_best + 1e-5)

    def test_rounds_to_three_digits(self):
        for factor in (3.0, 30.0):
            found = probabilities.likeliest_scale_factor(*_sample(500, 5, factor))
            self.assertEqual(found, float(f"{found:.3g}"))

    def test_stays_in_range(self):
        right = np.eye(4)
        labels = np.arange(4)
        find = probabilities.likeliest_scale_factor
        self.assertEqual(find(right, labels), 100.0)
        self.assertEqual(find(right, labels, greatest=33.333), 33.333)
        self.assertEqual(find(-right, labels), 1.0)
        self.assertEqual(find(right, labels, greatest=1.0), 1.0)
        self.assertEqual(find(np.zeros([3, 1]), np.zeros(3, int)), 100.0)

    def test_float32_and_several_chunks(self):
        cosines, labels = _sample(6_000, 500, 20.0)
        whole = probabilities.likeliest_scale_factor(cosines, labels)
        self.assertEqual(
            probabilities.likeliest_scale_factor(cosines.astype(np.float32), labels), whole
        )

    def test_memory_is_bounded(self):
        cosines = np.random.default_rng(0).uniform(-1, 1, [10_000, 2_000]).astype(np.float32)
        labels = cosines.argmax(axis=1)
        labels[::3] = 0
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        probabilities.likeliest_scale_factor(cosines, labels)
        _, peak = tracemalloc.get_traced_memory()
        self.assertLess(peak, 60e6)

    def test_errors(self):
        cosines, labels = _sample(5, 3, 2.0)
        wrong = cosines.copy()
        wrong[2, 1] = np.nan
        for message, arguments in (
            ("cosines \\[n, classes\\]", (cosines[0], labels)),
            ("at least one photo", (cosines[:0], labels[:0])),
            ("labels \\[5\\]", (cosines, labels[1:])),
            ("integer labels", (cosines, labels.astype(float))),
            ("labels in 0..2, got 0..3", (cosines, np.array([0, 1, 2, 3, 0]))),
            ("labels in 0..2, got -1..1", (cosines, np.array([0, 1, -1, 0, 0]))),
            ("finite cosines", (wrong, labels)),
        ):
            with self.assertRaisesRegex(ValueError, message):
                probabilities.likeliest_scale_factor(*arguments)
        for greatest in (0.5, np.nan, np.inf):
            with self.assertRaisesRegex(ValueError, "greatest factor"):
                probabilities.likeliest_scale_factor(cosines, labels, greatest=greatest)


class AsConfidentTest(absltest.TestCase):
    def test_finds_the_factor(self):
        cosines, _ = _sample(100, 10, 1.0)
        for factor in (2.0, 8.0, 30.0):
            self.assertAlmostEqual(
                probabilities.as_confident(cosines, factor * cosines), factor, delta=0.05
            )

    def test_another_classifier(self):
        cosines, _ = _sample(200, 10, 1.0)
        logits = np.random.default_rng(1).normal(size=[200, 6])
        found = probabilities.as_confident(cosines, logits)
        highest = []
        for values in (found * cosines, logits):
            odds = np.exp(values)
            highest.append((odds.max(axis=1) / odds.sum(axis=1)).mean())
        self.assertAlmostEqual(*highest, delta=0.002)

    def test_stays_in_range_and_rounds_to_three_digits(self):
        cosines, _ = _sample(50, 5, 1.0)
        find = probabilities.as_confident
        self.assertEqual(find(cosines, 1e4 * cosines), 100.0)
        self.assertEqual(find(cosines, 1e4 * cosines, greatest=20.0), 20.0)
        self.assertEqual(find(cosines, 0 * cosines), 1.0)
        found = find(cosines, 33.3333 * cosines)
        self.assertEqual(found, float(f"{found:.3g}"))


class CalibrationErrorTest(absltest.TestCase):
    def test_hand_computed(self):
        best = np.array([0.1, 0.2, 0.9, 0.8, 0.7])
        right = np.array([False, True, True, True, False])
        # Two bins: |0.15 - 0.5| of two photos, and |0.8 - 2/3| of three.
        expected = 0.4 * 0.35 + 0.6 * (0.8 - 2 / 3)
        self.assertAlmostEqual(probabilities.calibration_error(best, right, bins=2), expected)

    def test_ends_of_bins(self):
        # 0.5 belongs to the first of two bins, and 0 and 1 to the first and last.
        best = np.array([0.0, 0.5, 1.0])
        right = np.array([False, True, True])
        self.assertAlmostEqual(probabilities.calibration_error(best, right, bins=2), 0.5 / 3)

    def test_zero_if_perfect_and_one_if_always_wrong(self):
        ones = np.ones(4)
        self.assertEqual(probabilities.calibration_error(ones, ones > 0), 0)
        self.assertEqual(probabilities.calibration_error(ones, ones < 0), 1)

    def test_errors(self):
        good = np.array([0.5, 0.6])
        right = np.array([True, False])
        for message, best, which in (
            ("at least one", good[:0], right[:0]),
            (r"bool \[2\]", good, right[:1]),
            ("bool", good, np.array([1, 0])),
            ("0..1", good + 1, right),
            ("finite", np.array([0.5, np.nan]), right),
        ):
            with self.assertRaisesRegex(ValueError, message):
                probabilities.calibration_error(best, which)
        with self.assertRaisesRegex(ValueError, "one bin"):
            probabilities.calibration_error(good, right, bins=0)


class RocAreaTest(absltest.TestCase):
    def test_agrees_with_all_pairs(self):
        random = np.random.default_rng(1)
        # Few values, so that there are ties.
        known, unknown = random.integers(2, 9, 50), random.integers(0, 7, 80)
        pairs = (known[:, None] > unknown) + 0.5 * (known[:, None] == unknown)
        self.assertAlmostEqual(probabilities.roc_area(known, unknown), pairs.mean())

    def test_extremes(self):
        low, high = np.array([0.1, 0.2]), np.array([0.3, 0.4, 0.5])
        self.assertEqual(probabilities.roc_area(high, low), 1)
        self.assertEqual(probabilities.roc_area(low, high), 0)
        self.assertEqual(probabilities.roc_area(low, low), 0.5)

    def test_errors(self):
        good = np.array([0.5])
        for known, unknown in ((good[:0], good), (good, good[:0]), (good[:, None], good)):
            with self.assertRaisesRegex(ValueError, "at least one"):
                probabilities.roc_area(known, unknown)
        with self.assertRaisesRegex(ValueError, "finite scores of unknown"):
            probabilities.roc_area(good, np.array([np.nan]))


if __name__ == "__main__":
    absltest.main()
