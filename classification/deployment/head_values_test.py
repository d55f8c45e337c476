"""Tests of head_values.py: a head says the same as the last layer that it is made of."""

import numpy as np
from absl.testing import absltest, parameterized

from classification.deployment import head_values
from classification.nets import networks
from classification.nets.model_config import ModelConfig
from classification.nets.variable_names import limits
from imprinting.embedding.leading_moments import LeadingMoments
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.embedding.moments import Moments

_CHANNELS, _CLASSES = 20, 5


def features(count: int = 200) -> np.ndarray:
    """Features that are never negative, and of which one is always the same."""
    random = np.random.default_rng(1)
    values = random.gamma(0.5, size=[count, _CHANNELS]) @ random.uniform(0, 1, [_CHANNELS] * 2)
    values[:, 3] = 0.5
    return values


def rows() -> np.ndarray:
    random = np.random.default_rng(2)
    lengths = random.uniform(0.5, 2.0, _CLASSES)
    return (random.normal(0, 0.05, [_CHANNELS, _CLASSES]) * lengths).astype(np.float32)


def made(moments=None, size: int = _CHANNELS) -> head_values.Head:
    return head_values.make_head(rows(), features().mean(axis=0), size=size, moments=moments)


class MakeHeadTest(parameterized.TestCase):
    def test_without_photos_the_mean_is_subtracted(self):
        head = made()
        np.testing.assert_array_equal(head.embedding.kernel, np.eye(_CHANNELS))
        mean = features().mean(axis=0)
        np.testing.assert_allclose(head.embedding.mean, mean, atol=5.1e-5)
        unit = rows() / np.linalg.norm(rows(), axis=0)
        np.testing.assert_allclose(head.class_vectors, unit.T, atol=5.1e-5)
        np.testing.assert_allclose(head.reach, (-mean.max(), 6), atol=6e-5)

    def test_whitens_with_the_moments_of_photos(self):
        head = made(Moments.of(features()))
        embedded = head.embedding.of(features())
        np.testing.assert_allclose(embedded.mean(axis=0), np.zeros(_CHANNELS), atol=1e-3)
        before = np.linalg.eigvalsh(np.cov(features().T))
        after = np.linalg.eigvalsh(np.cov(embedded.T))
        # Half of the metric is the identity, so features that hardly vary stay small.
        self.assertGreater(before[-1] / np.median(before), 5 * after[-1] / np.median(after))
        low, high = head.reach
        self.assertEqual(low, -high)
        self.assertBetween(high, 3 * embedded.std(axis=0).max(), 7 * embedded.std(axis=0).max())

    @parameterized.parameters(_CHANNELS, 32)
    def test_logits_are_the_published_ones_but_for_lengths_and_constants(self, size):
        head = made(Moments.of(features()), size)
        self.assertEqual(head.embedding.kernel.shape, (size, _CHANNELS))
        np.testing.assert_allclose(
            np.linalg.norm(head.class_vectors, axis=1), np.ones(_CLASSES), atol=1e-3
        )
        ours = head.embedding.of(features()) @ head.class_vectors.T
        published = (features() - features().mean(axis=0)) @ rows()
        for k in range(_CLASSES):
            self.assertGreater(np.corrcoef(ours[:, k], published[:, k])[0, 1], 0.999)

    def test_the_leading_moments_are_enough(self):
        all_moments = Moments.of(features())
        exact, leading = made(all_moments), made(LeadingMoments.of(all_moments, 18))
        cosines = (exact.class_vectors * leading.class_vectors).sum(axis=1)
        self.assertGreater(cosines.min(), 0.99)

    def test_numbers_are_rounded_so_that_processors_agree(self):
        head = made(Moments.of(features()))
        for array in (head.embedding.kernel, head.class_vectors):
            np.testing.assert_array_equal(array, array.round(4))

    def test_bad_input(self):
        with self.assertRaisesRegex(ValueError, "at most 19 channels, .* got one on 20"):
            made(size=19)
        with self.assertRaisesRegex(ValueError, "expected moments of 20 features, .* of 4"):
            made(Moments.of(features()[:, :4]))
        zeros = rows()
        zeros[:, 2] = 0
        with self.assertRaisesRegex(ValueError, "got one of zeros for class 2"):
            head_values.make_head(zeros, np.zeros(_CHANNELS), size=_CHANNELS)


class CalibrateTest(absltest.TestCase):
    def test_probabilities_are_as_high_as_the_published_ones(self):
        head = made(Moments.of(features()))
        logits = 4 * features() @ rows()
        found = head_values.calibrate(head, features(), logits)
        embedded = head.embedding.of(features())
        cosines = embedded / np.linalg.norm(embedded, axis=1, keepdims=True) @ head.class_vectors.T

        def confidence(values):
            return (np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)).max(axis=1).mean()

        self.assertAlmostEqual(
            confidence(found.scale_factor * cosines), confidence(logits), delta=3e-3
        )
        self.assertAlmostEqual(found.reach, min(1, 2 * np.abs(cosines).max()), delta=5e-3)

    def test_a_classifier_that_is_always_sure(self):
        found = head_values.calibrate(made(), features(), 1e4 * features() @ rows())
        self.assertEqual(found.scale_factor, 100)


class ValuesTest(parameterized.TestCase):
    @parameterized.parameters(("efficientnet_lite0", 1280), ("mobilenet_v1", 1024))
    def test_values_and_ranges(self, name, size):
        names = networks.get(name).names
        head = made(Moments.of(features()), size)
        values = head_values.values(
            head, ModelConfig(network=name), head_values.Calibration(30.0, 0.4)
        )
        self.assertEqual({value.dtype for value in values.values()}, {np.dtype(np.float32)})
        self.assertEqual(values[names.embedding_kernel].shape, (1, 1, _CHANNELS, size))
        np.testing.assert_allclose(
            values[names.embedding_biases], -head.embedding.kernel @ head.embedding.mean, atol=6e-5
        )
        self.assertEqual(values[names.class_vectors].shape, (1, 1, size, _CLASSES))
        low, high = (values[limit] for limit in limits(names.embedding_kernel_range))
        magnitudes = np.abs(head.embedding.kernel).max(axis=1)
        if name == "mobilenet_v1":
            magnitudes = magnitudes.max()
        np.testing.assert_allclose(high, magnitudes, rtol=1e-6)
        np.testing.assert_array_equal(low, -high)
        for attribute, expected in (
            ("class_vectors_range", 0.5),
            ("cosines_range", 0.4),
            ("logits_range", 12.0),
        ):
            found = [values[limit] for limit in limits(getattr(names, attribute))]
            np.testing.assert_allclose(found, (-expected, expected), rtol=1e-6)

    def test_ranges_hold_what_is_larger_than_usual(self):
        large = np.full([_CHANNELS, 3], 1e-3, np.float32)
        large[7, 0], large[8, 1] = 5, -3
        head = head_values.make_head(large, np.zeros(_CHANNELS), size=1280)
        values = head_values.values(
            head, ModelConfig(network="efficientnet_lite0"), head_values.Calibration(30.0, 0.4)
        )
        names = networks.get("efficientnet_lite0").names
        low, high = (values[limit] for limit in limits(names.class_vectors_range))
        self.assertLess(low, -0.9)
        self.assertGreater(high, 0.9)
        # Outputs beyond the channels are 0, and have a range all the same.
        self.assertGreater(values[limits(names.embedding_kernel_range)[1]].min(), 0)


class KnownCalibrationTest(absltest.TestCase):
    def test_measured_for_the_networks_that_come_with_weights(self):
        known = [
            head_values.known_calibration(ModelConfig(network=f"efficientnet_lite{n}"))
            for n in range(3)
        ]
        self.assertEqual([k and k.scale_factor for k in known], [47, 44.5, 40])
        self.assertIsNone(head_values.known_calibration(ModelConfig(network="mobilenet_v1")))


class ImprintedHeadTest(parameterized.TestCase):
    def test_range_of_the_component_that_varies_most(self):
        moments = Moments.of(features())
        kernel = np.random.default_rng(0).normal(0, 1, [24, _CHANNELS])
        embedding = LinearEmbedding(kernel, moments.mean)
        found, (low, high) = head_values.rounded(embedding, moments.covariance)
        np.testing.assert_array_equal(found.kernel, kernel.round(4))
        deviations = embedding.of(features()).std(axis=0)
        np.testing.assert_allclose(high, 6 * deviations.max(), rtol=1e-3)
        self.assertEqual(low, -high)
        # The range has few digits, and noise as of another processor does not change it.
        noise = kernel * (1 + 1e-12 * np.random.default_rng(1).normal(0, 1, kernel.shape))
        again = head_values.rounded(LinearEmbedding(noise, moments.mean), moments.covariance)
        np.testing.assert_array_equal(again[0].kernel, found.kernel)
        self.assertEqual(again[1], (low, high))

    def test_class_vectors_are_rounded(self):
        embedding = LinearEmbedding(np.eye(3), np.zeros(3))
        head = head_values.imprinted(embedding, (-1.0, 1.0), np.array([[0.36, 0.48, 0.8 + 1e-7]]))
        np.testing.assert_array_equal(head.class_vectors, [[0.36, 0.48, 0.8]])

    @parameterized.parameters((0.4, 0.5), (0.7123, 0.89), (0.9, 1.0))
    def test_range_of_cosines_has_a_margin(self, greatest, expected):
        cosines = np.array([[0.1, -greatest], [0.2, 0.3]])
        calibration = head_values.held_out_calibration(31.5, cosines)
        self.assertEqual(calibration, head_values.Calibration(31.5, expected))


if __name__ == "__main__":
    absltest.main()
