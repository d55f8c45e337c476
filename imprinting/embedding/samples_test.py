"""Tests of samples.py."""

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.embedding import samples
from imprinting.embedding.samples import Samples


def some(counts: tuple[int, ...] = (3, 1, 7), views: int = 2, depth: int = 4) -> Samples:
    features = np.random.default_rng(0).normal(size=[sum(counts), views, depth])
    return Samples(features.astype(np.float32), np.repeat(np.arange(len(counts)), counts))


class SamplesTest(parameterized.TestCase):
    def test_each_photo_of_a_class_with_several_is_held_out_once(self):
        found = some()
        folds = found.folds(0)
        self.assertLen(folds, 5)
        times = np.sum(folds, axis=0)
        np.testing.assert_array_equal(times, found.classes != 1)
        for fold in folds:
            kept = found.classes[~fold]
            self.assertEqual(set(kept), {0, 1, 2})

    def test_no_folds_of_single_photos(self):
        self.assertEmpty(some((1, 1, 1)).folds(0))
        self.assertEmpty(some((1,)).folds(0))
        self.assertLen(some((2,)).folds(0), 2)

    def test_fewer_folds_of_many_photos(self):
        self.assertLen(some((300, 300)).folds(0), 2)

    def test_most_photos_that_are_held_out(self):
        found = some((30, 1, 70))
        everything, fewer = found.folds(0), found.folds(0, 20)
        self.assertEqual(np.sum(fewer), 20)
        for part, complete in zip(fewer, everything, strict=True):
            self.assertTrue(np.all(complete[part]))
        # Of both classes, about as many as they have photos.
        self.assertBetween(np.sum(np.sum(fewer, axis=0)[:30]), 5, 7)
        np.testing.assert_array_equal(found.folds(0, 100), everything)

    def test_covariance_within_classes(self):
        found = some()
        chosen = np.arange(11) % 4 != 1
        expected, count = np.zeros([4, 4]), 0
        for number in range(3):
            points = found.features[chosen & (found.classes == number)].reshape(-1, 4)
            count += len(points)
            if len(points):
                expected += (points - points.mean(axis=0)).T @ (points - points.mean(axis=0))
        np.testing.assert_allclose(
            found.within(found.features, chosen), expected / count, rtol=1e-4, atol=1e-5
        )

    def test_class_vectors_are_means_of_photos(self):
        found = some()
        chosen = found.classes != 1
        vectors = found.class_vectors(found.features[chosen], chosen)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 0, 1], rtol=1e-5)
        unit = found.features / np.linalg.norm(found.features, axis=-1, keepdims=True)
        photos = unit.mean(axis=1)
        photos /= np.linalg.norm(photos, axis=1, keepdims=True)
        expected = photos[found.classes == 2].mean(axis=0)
        np.testing.assert_allclose(vectors[2], expected / np.linalg.norm(expected), rtol=1e-5)

    def test_whether_photos_differ(self):
        self.assertTrue(some().varies)
        self.assertTrue(some((1,)).varies)
        self.assertFalse(some((1,), views=1).varies)
        copies = np.repeat(some((1,), views=1).features, 4, axis=0)
        self.assertFalse(Samples(copies, np.zeros(4, int)).varies)

    def test_classes_by_name(self):
        features = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
        found = samples.of_classes(features, {"b": [4, 0], "a": [5]})
        np.testing.assert_array_equal(found.features, features[[4, 0, 5]])
        np.testing.assert_array_equal(found.classes, [0, 0, 1])
        self.assertEqual((found.num_classes, found.photos_per_class), (2, 1.5))

    def test_bad_samples(self):
        features = np.zeros([3, 1, 2], np.float32)
        for bad, classes, expected in (
            (features[:0], [], "at least one photo"),
            (features[:, 0], [0, 0, 0], r"expected features \[n, v, d\]"),
            (features, [0, 0], r"classes \[n\], got \[3, 1, 2\] and \[2\]"),
            (features, [0, 2, 2], "photos of each class from 0 on"),
            (features, [0, -1, 0], "photos of each class from 0 on"),
            (features + np.nan, [0, 0, 0], "NaN or infinity for 3 of 3 photos"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                Samples(bad, np.array(classes, int))


if __name__ == "__main__":
    absltest.main()
