"""Tests of linear_embedding.py."""

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.embedding import linear_embedding
from imprinting.embedding.linear_embedding import LinearEmbedding

_DEPTH = 6


def covariance(seed: int = 0) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(0, 1, [_DEPTH, _DEPTH])
    return factor @ factor.T + 0.1 * np.eye(_DEPTH)


def features(count: int = 5) -> np.ndarray:
    return np.random.default_rng(7).normal(1, 1, [count, _DEPTH])


def embedding(seed: int = 0, size: int = _DEPTH) -> LinearEmbedding:
    return LinearEmbedding.of_metric(covariance(seed), np.arange(1.0, _DEPTH + 1), size=size)


class LinearEmbeddingTest(parameterized.TestCase):
    @parameterized.parameters(_DEPTH, 9)
    def test_distances_are_those_of_the_metric(self, size):
        found = embedding(size=size)
        self.assertEqual(found.kernel.shape, (size, _DEPTH))
        step = features()[0] - features()[1]
        embedded = found.of(features()[0]) - found.of(features()[1])
        np.testing.assert_allclose(embedded @ embedded, step @ np.linalg.solve(covariance(), step))
        np.testing.assert_allclose(found.metric, covariance())

    @parameterized.parameters(_DEPTH, 9)
    def test_of_a_layer(self, size):
        expected = embedding(size=size)
        biases = -expected.kernel @ expected.mean
        found = LinearEmbedding.of_layer(expected.kernel, biases)
        np.testing.assert_allclose(found.mean, expected.mean)
        np.testing.assert_array_equal(found.kernel, expected.kernel)
        zero = LinearEmbedding.of_layer(expected.kernel, np.zeros(size))
        np.testing.assert_array_equal(zero.mean, np.zeros(_DEPTH))

    def test_of_a_layer_that_is_none(self):
        kernel = embedding(size=9).kernel
        with self.assertRaisesRegex(ValueError, "biases that are something else"):
            LinearEmbedding.of_layer(kernel, np.ones(9))
        with self.assertRaisesRegex(ValueError, "got 5 of 6"):
            LinearEmbedding.of_layer(kernel[:5], np.zeros(5))

    def test_the_mean_becomes_0(self):
        np.testing.assert_allclose(embedding().of(embedding().mean), np.zeros(_DEPTH), atol=1e-12)

    def test_whitens(self):
        found = embedding()
        np.testing.assert_allclose(
            found.kernel @ covariance() @ found.kernel.T, np.eye(_DEPTH), atol=1e-10
        )

    def test_components_vary_alike_because_of_the_rotation(self):
        uneven = np.diag([100.0, *np.ones(99)])
        found = LinearEmbedding.of_metric(np.eye(100), np.zeros(100), size=100)
        variances = np.diag(found.kernel @ uneven @ found.kernel.T)
        self.assertLess(variances.max(), 20)

    def test_the_rotation_is_always_the_same(self):
        np.testing.assert_array_equal(embedding().kernel, embedding().kernel)
        # Changing it would change the bytes of every product.
        np.testing.assert_allclose(
            LinearEmbedding.of_metric(np.eye(2), np.zeros(2), size=2).kernel,
            [[0.192646, -0.981268], [0.981268, 0.192646]],
            atol=1e-6,
        )

    def test_a_feature_that_is_always_the_same(self):
        metric = np.diag([1.0, 2.0, 0.0])
        found = LinearEmbedding.of_metric(metric, np.zeros(3), size=3)
        self.assertTrue(np.isfinite(found.kernel).all())

    def test_what_has_no_embedding(self):
        with self.assertRaisesRegex(ValueError, "expected features that vary"):
            LinearEmbedding.of_metric(np.zeros([3, 3]), np.zeros(3), size=3)
        with self.assertRaisesRegex(ValueError, "NaN or infinity"):
            LinearEmbedding.of_metric(np.full([3, 3], np.nan), np.zeros(3), size=3)
        with self.assertRaisesRegex(ValueError, "at least 6 components, got 5"):
            embedding(size=5)
        flat = LinearEmbedding(np.diag([1.0, 1.0, 0.0]), np.zeros(3))
        with self.assertRaisesRegex(ValueError, "lower rank"):
            _ = flat.metric


class MetricTest(parameterized.TestCase):
    def test_mixture_of_matrices_of_any_scale(self):
        found = linear_embedding.mixture(4 * np.eye(3), np.diag([9.0, 0.0, 0.0]), 0.25)
        np.testing.assert_allclose(found, np.diag([1.5, 0.75, 0.75]))

    def test_nothing_to_mix(self):
        np.testing.assert_allclose(
            linear_embedding.mixture(2 * np.eye(3), np.zeros([3, 3]), 0.5), np.eye(3)
        )
        with self.assertRaisesRegex(ValueError, "features that vary"):
            linear_embedding.mixture(np.zeros([3, 3]), np.eye(3), 0.5)
        with self.assertRaisesRegex(ValueError, "NaN or infinity"):
            linear_embedding.mixture(np.eye(3), np.full([3, 3], np.inf), 0.5)

    def test_whitened_is_the_covariance_with_its_mean_eigenvalue_added(self):
        mean = np.trace(covariance()) / _DEPTH
        np.testing.assert_allclose(
            linear_embedding.whitened(covariance()) * 2 * mean, covariance() + mean * np.eye(_DEPTH)
        )
        np.testing.assert_allclose(linear_embedding.whitened(np.zeros([3, 3])), np.eye(3))


class MapTest(parameterized.TestCase):
    @parameterized.parameters(_DEPTH, 9)
    def test_functionals_keep_their_values(self, size):
        old, new = embedding(0), embedding(1, size=size)
        vectors = np.random.default_rng(3).normal(0, 1, [4, _DEPTH])
        mapped = linear_embedding.map_functionals(vectors, old, new)
        np.testing.assert_allclose(np.linalg.norm(mapped, axis=1), np.ones(4))
        before, after = vectors @ old.of(features()).T, mapped @ new.of(features()).T
        ratios = after / before
        np.testing.assert_allclose(ratios, np.broadcast_to(ratios[:, :1], ratios.shape))
        self.assertGreater(ratios.min(), 0)

    @parameterized.parameters(_DEPTH, 9)
    def test_means_are_those_of_the_new_embeddings(self, size):
        old, new = embedding(0), embedding(1, size=size)
        mapped = linear_embedding.map_means(old.of(features()).mean(axis=0)[np.newaxis], old, new)
        expected = new.of(features()).mean(axis=0)
        np.testing.assert_allclose(mapped[0], expected / np.linalg.norm(expected))

    @parameterized.parameters(linear_embedding.map_functionals, linear_embedding.map_means)
    def test_there_and_back(self, function):
        vectors = np.random.default_rng(3).normal(0, 1, [4, _DEPTH])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        there = function(vectors, embedding(0), embedding(1))
        np.testing.assert_allclose(function(there, embedding(1), embedding(0)), vectors)


if __name__ == "__main__":
    absltest.main()
