"""Tests of fit.py, with features that vary a lot in directions that say nothing about the class."""

import tracemalloc
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.base import large_arrays
from imprinting.embedding import linear_embedding
from imprinting.embedding.fit import Fitter, Kept
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.embedding.samples import Samples

_DEPTH, _CLASSES = 30, 4
_NONE = Kept(np.zeros([0, _DEPTH]), np.zeros(0, bool))


def centres(count: int = _CLASSES, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=[count, _DEPTH])


def photos(count: int, seed: int, views: int = 2) -> Samples:
    """`count` photos of each class."""
    random = np.random.default_rng(seed)
    classes = np.repeat(np.arange(_CLASSES), count)
    noise = random.normal(size=[len(classes), 1, _DEPTH])
    noise[..., :5] *= 6
    noise = noise + 0.3 * random.normal(size=[len(classes), views, _DEPTH])
    features = 3 + centres()[classes][:, np.newaxis] + noise
    return Samples(features.astype(np.float32), classes)


def start(size: int = _DEPTH) -> LinearEmbedding:
    return LinearEmbedding.of_metric(np.eye(_DEPTH), np.full(_DEPTH, 3.0), size=size)


def accuracy(embedding: LinearEmbedding, learned: Samples) -> float:
    """Of new photos, with vectors of the learned ones."""
    tests = photos(50, seed=9)
    everything = np.ones(len(learned.classes), bool)
    vectors = learned.class_vectors(embedding.of(learned.features), everything)
    return float(
        ((embedding.of(tests.features[:, 0]) @ vectors.T).argmax(axis=1) == tests.classes).mean()
    )


class FitterTest(parameterized.TestCase):
    @parameterized.parameters(_DEPTH, 40)
    def test_new_classes_become_more_accurate(self, size):
        learned = photos(8, seed=2)
        fitter = Fitter(learned, start(size), Kept(np.zeros([0, size]), np.zeros(0, bool)))
        choice = fitter.choose()
        self.assertGreater(choice.after, choice.before + 0.1)
        fitted = fitter.fit(choice.weight)
        self.assertEqual(fitted.kernel.shape, (size, _DEPTH))
        np.testing.assert_array_equal(fitted.mean, start().mean)
        self.assertGreater(accuracy(fitted, learned), accuracy(start(size), learned) + 0.1)

    def test_the_choice_is_that_of_held_out_photos(self):
        learned = photos(8, seed=2)
        choice = Fitter(learned, start(), _NONE).choose()
        self.assertEqual(choice.cosines.shape, (32, _CLASSES))
        right = (choice.cosines.argmax(axis=1) == choice.labels).mean()
        self.assertAlmostEqual(choice.after, right)
        self.assertLessEqual(np.abs(choice.cosines).max(), 1.0001)
        np.testing.assert_array_equal(np.bincount(choice.labels), np.full(_CLASSES, 8))

    def test_kept_classes_compete(self):
        learned = photos(8, seed=2)
        kept = Kept(start().of(centres(3, seed=5)), np.array([False, True, False]))
        choice = Fitter(learned, start(), kept).choose()
        self.assertEqual(choice.cosines.shape, (32, 3 + _CLASSES))
        self.assertEqual(choice.labels.min(), 3)
        self.assertLessEqual(choice.weight, 0.1)

    @parameterized.parameters(0.0, 0.3)
    def test_cosines_are_those_in_the_fitted_embedding(self, weight):
        learned, old = photos(3, seed=2), start(40)
        vectors = old.of(centres(3, seed=5))
        imprinted = np.array([False, True, False])
        choice = Fitter(learned, old, Kept(vectors, imprinted)).choose((weight,))
        expected = []
        for fold in learned.folds(0):
            within = learned.within(learned.features, ~fold)
            metric = linear_embedding.mixture(old.metric, within, weight)
            new = LinearEmbedding.of_metric(metric, old.mean, size=40)
            kept = linear_embedding.map_functionals(vectors, old, new)
            kept[1] = linear_embedding.map_means(vectors[1:2], old, new)
            learned_vectors = learned.class_vectors(new.of(learned.features[~fold]), ~fold)
            tests = new.of(learned.features[fold, 0])
            tests /= np.linalg.norm(tests, axis=1, keepdims=True)
            expected.append(tests @ np.concatenate([kept, learned_vectors]).T)
        self.assertEqual(choice.weight, weight if choice.after > choice.before else 0)
        if choice.weight == weight:
            np.testing.assert_allclose(choice.cosines, np.concatenate(expected), atol=1e-4)

    def test_one_photo_of_each_class(self):
        learned = photos(1, seed=2, views=5)
        choice = Fitter(learned, start(), _NONE).choose()
        self.assertEqual((choice.weight, choice.before, choice.after), (0.1, None, None))
        self.assertEqual(choice.cosines.shape, (0, _CLASSES))

    def test_photos_that_are_all_the_same(self):
        same = Samples(np.ones([4, 1, _DEPTH], np.float32), np.array([0, 0, 1, 1]))
        fitter = Fitter(same, start(), _NONE)
        self.assertEqual(fitter.choose().weight, 0)
        self.assertTrue(np.isfinite(fitter.fit(0.5).kernel).all())

    @parameterized.parameters(1, 3)
    def test_a_single_class(self, count):
        one = Samples(photos(count, seed=2).features[:count], np.zeros(count, int))
        fitter = Fitter(one, start(), _NONE)
        choice = fitter.choose()
        self.assertTrue(np.isfinite(fitter.fit(choice.weight or 0.1).kernel).all())

    def test_a_feature_that_is_always_the_same(self):
        learned = photos(4, seed=2)
        learned.features[..., 7] = 3
        fitter = Fitter(learned, start(), _NONE)
        fitted = fitter.fit(fitter.choose().weight or 0.1)
        self.assertTrue(np.isfinite(fitted.kernel).all())

    def test_a_weight_of_0_changes_only_the_axes(self):
        fitted = Fitter(photos(4, seed=2), start(), _NONE).fit(0.0)
        np.testing.assert_allclose(fitted.metric, start().metric, rtol=1e-6, atol=1e-9)

    def test_the_old_metric_can_be_recovered(self):
        learned = photos(4, seed=2)
        fitter = Fitter(learned, start(), _NONE)
        fitted = fitter.fit(0.3)
        everything = np.ones(len(learned.classes), bool)
        within = learned.within(learned.features, everything)
        within *= _DEPTH / np.trace(within)
        recovered = (fitted.metric - 0.3 * within) / 0.7
        np.testing.assert_allclose(recovered, np.eye(_DEPTH), atol=1e-5)

    def test_reach_is_six_deviations(self):
        learned = photos(20, seed=2)
        fitter = Fitter(learned, start(), _NONE)
        fitted = fitter.fit(0.3)
        deviation = np.sqrt((fitted.of(learned.features[:, 0]) ** 2).mean())
        self.assertBetween(fitter.reach(fitted), 6 * deviation, 12 * deviation)
        self.assertLess(np.abs(fitted.of(learned.features)).max(), fitter.reach(fitted))

    def test_pieces_change_nothing_but_the_last_digits(self):
        learned = photos(100, seed=2)
        kept = Kept(start().of(centres(3, seed=5)), np.array([False, True, False]))
        results = []
        # All at once; a few photos at a time, in a file.
        for piece, most in ((1 << 30, 1 << 30), (3000, 0)):
            with (
                mock.patch.object(large_arrays, "_PIECE_BYTES", piece),
                mock.patch.object(large_arrays, "_MOST_IN_MEMORY", most),
            ):
                fitter = Fitter(learned, start(), kept)
                choice = fitter.choose()
                fitted = fitter.fit(0.3)
                results.append((choice, fitted.kernel, fitter.reach(fitted), learned.varies))
        (first, *others), (second, *same) = results
        self.assertEqual((first.weight, first.after), (second.weight, second.after))
        np.testing.assert_allclose(second.cosines, first.cosines, atol=1e-5)
        for before, after in zip(others, same, strict=True):
            np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)

    def test_memory_does_not_grow_with_the_features(self):
        views, peaks = 8, []
        with (
            mock.patch.object(large_arrays, "_PIECE_BYTES", 200_000),
            mock.patch.object(large_arrays, "_MOST_IN_MEMORY", 200_000),
        ):
            for count in (2000, 10_000):
                path = self.create_tempfile().full_path
                some = photos(100, seed=2, views=views).features
                with open(path, "wb") as file:
                    for _ in range(0, _CLASSES * count, len(some)):
                        file.write(some.tobytes())
                mapped = np.memmap(path, np.float32, "r").reshape(-1, views, _DEPTH)
                classes = np.arange(len(mapped)) // 100 % _CLASSES
                tracemalloc.start()
                fitter = Fitter(Samples(mapped, classes), start(), _NONE)
                choice = fitter.choose()
                fitter.reach(fitter.fit(choice.weight or 0.1))
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
                self.assertLen(choice.labels, 4000)
        # The features of a photo have 960 bytes.
        self.assertLess(peaks[1] - peaks[0], 200 * _CLASSES * (10_000 - 2000))

    def test_an_embedding_that_ignores_features(self):
        flat = LinearEmbedding(np.diag([1e-4, *np.ones(_DEPTH - 1)]), np.zeros(_DEPTH))
        with self.assertRaisesRegex(ValueError, "nearly ignores some"):
            Fitter(photos(2, seed=2), flat, _NONE)


if __name__ == "__main__":
    absltest.main()
