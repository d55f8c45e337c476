"""Tests of discriminant.py, on features of which most directions say nothing about the class."""

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.embedding import discriminant
from imprinting.embedding.linear_embedding import LinearEmbedding

_DEPTH = 12


def photos(
    classes: int = 5, each: int = 6, views: int = 3, *, noise: float = 4.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Features with much noise in half of the directions, and little in the others."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    scales = np.where(np.arange(_DEPTH) < _DEPTH // 2, noise, 0.3)
    # The same classes for all seeds.
    means = np.random.default_rng(100).normal(0, 1, [classes, _DEPTH])
    middle = means[labels] + scales * random.normal(0, 1, [len(labels), _DEPTH])
    shifts = 0.3 * scales * random.normal(0, 1, [len(labels), views, _DEPTH])
    return (5 + middle[:, np.newaxis] + shifts).astype(np.float32), labels


def embedding(features: np.ndarray, labels: np.ndarray, weight: float) -> LinearEmbedding:
    samples = discriminant.moments(features, labels)
    metric = discriminant.metric(samples, weight)
    return LinearEmbedding.of_metric(metric, samples.mean, size=_DEPTH)


class DiscriminantTest(parameterized.TestCase):
    def test_classifies_other_photos(self):
        features, labels = photos(each=20)
        others, known = photos(each=20, seed=1)
        accuracies = {}
        for weight in (0.0, 0.97):
            found = embedding(features, labels, weight)
            vectors = discriminant.class_vectors(found, features, labels, classes=5)
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1)
            best = (found.of(others[:, 0]) @ vectors.T).argmax(axis=1)
            accuracies[weight] = (best == known).mean()
        self.assertGreater(accuracies[0.97], 0.95)
        self.assertLess(accuracies[0.0], accuracies[0.97] - 0.1)

    def test_class_vectors_by_hand(self):
        features, labels = photos()
        found = embedding(features, labels, 0.5)
        for number, vector in enumerate(
            discriminant.class_vectors(found, features, labels, classes=5)
        ):
            total = np.zeros(_DEPTH)
            for photo in features[labels == number]:
                views = [view / np.linalg.norm(view) for view in found.of(photo)]
                total += np.mean(views, axis=0) / np.linalg.norm(np.mean(views, axis=0))
            np.testing.assert_allclose(vector, total / np.linalg.norm(total))

    def test_pieces_give_the_same(self):
        features, labels = photos()
        fold_of = discriminant.folds(labels)
        whole = discriminant.cross_validate(features, labels, fold_of)
        moments = discriminant.moments(features, labels)
        piece, discriminant._PIECE = discriminant._PIECE, 100
        try:
            parts = discriminant.cross_validate(features, labels, fold_of)
            again = discriminant.moments(features, labels)
        finally:
            discriminant._PIECE = piece
        np.testing.assert_allclose(parts.cosines, whole.cosines, atol=1e-6)
        np.testing.assert_allclose(again.scatter, moments.scatter)
        self.assertEqual(parts.accuracies, whole.accuracies)

    def test_constant_feature(self):
        features, labels = photos()
        features[..., 7] = 2.5
        found = discriminant.cross_validate(features, labels, discriminant.folds(labels))
        self.assertTrue(np.isfinite(found.cosines).all())
        kernel = embedding(features, labels, 0.97).kernel
        self.assertTrue(np.isfinite(kernel).all())

    def test_copies_have_the_metric_of_no_variance(self):
        random = np.random.default_rng(0)
        labels = np.repeat(np.arange(3), 4)
        features = random.uniform(0, 6, [3, 1, _DEPTH])[labels].astype(np.float32)
        # Sums in another order, so that the variance is not exactly 0.
        samples = discriminant.moments(features, labels)
        np.testing.assert_allclose(discriminant.metric(samples, 0.97), np.eye(_DEPTH))
        found = discriminant.cross_validate(features, labels, discriminant.folds(labels))
        self.assertEqual(set(found.accuracies.values()), {1.0})
        self.assertEqual(found.weight, discriminant.DEFAULT_WEIGHT)

    def test_equal_photos(self):
        labels = np.repeat(np.arange(3), 2)
        features = np.full([6, 2, _DEPTH], 1.7, np.float32)
        with self.assertRaisesRegex(ValueError, "the same features for all"):
            discriminant.moments(features, labels)

    def test_photos_that_cancel_out_have_no_vector(self):
        features = np.array([[[1.0, 0]], [[-1.0, 0]], [[0, 1.0]]])
        found = LinearEmbedding(np.eye(2), np.zeros(2))
        vectors = discriminant.class_vectors(found, features, np.array([0, 0, 1]), classes=3)
        np.testing.assert_array_equal(vectors, [[0, 0], [0, 1], [0, 0]])

    def test_nan(self):
        features, labels = photos()
        features[3, 1, 4] = np.nan
        with self.assertRaisesRegex(ValueError, "finite features"):
            discriminant.moments(features, labels)


class CrossValidationTest(parameterized.TestCase):
    def test_equals_a_fit_without_the_photos_of_the_fold(self):
        features, labels = photos()
        fold_of = discriminant.folds(labels)
        found = discriminant.cross_validate(features, labels, fold_of, weights=(0.75,))
        expected, known = [], []
        for number in range(5):
            others = fold_of != number
            one = embedding(features[others], labels[others], 0.75)
            vectors = discriminant.class_vectors(one, features[others], labels[others], classes=5)
            views = one.of(features[~others][:, 0])
            expected.append(views / np.linalg.norm(views, axis=1, keepdims=True) @ vectors.T)
            known.append(labels[~others])
        np.testing.assert_allclose(found.cosines, np.concatenate(expected), atol=1e-6)
        np.testing.assert_array_equal(found.labels, np.concatenate(known))
        hits = np.concatenate(expected).argmax(axis=1) == found.labels
        self.assertEqual(found.accuracies, {0.75: hits.mean()})

    def test_chooses_what_is_best_for_the_data(self):
        features, labels = photos(each=20)
        found = discriminant.cross_validate(
            features, labels, discriminant.folds(labels), weights=(0.0, 0.97)
        )
        self.assertEqual(found.weight, 0.97)
        self.assertGreater(found.accuracies[0.97], found.accuracies[0.0] + 0.1)

    def test_each_class_is_in_several_folds(self):
        labels = np.random.default_rng(0).permutation(np.repeat(np.arange(8), [2, 3, 9, 1] * 2))
        fold_of = discriminant.folds(labels)
        for number in range(8):
            own = fold_of[labels == number]
            if len(own) == 1:
                self.assertEqual(own.tolist(), [-1])
                continue
            counts = np.bincount(own, minlength=5)
            self.assertLessEqual(counts.max() - counts.min(), 1)
            self.assertGreater((counts > 0).sum(), 1)

    def test_no_folds_if_most_classes_have_one_photo(self):
        self.assertIsNone(discriminant.folds(np.array([0, 1, 2, 2])))
        self.assertIsNotNone(discriminant.folds(np.array([0, 1, 1, 2, 2])))

    def test_classes_with_one_photo_are_never_held_out(self):
        features, labels = photos()
        features, labels = features[:-5], labels[:-5]
        found = discriminant.cross_validate(features, labels, discriminant.folds(labels))
        self.assertEqual(found.cosines.shape, (24, 5))
        self.assertNotIn(4, found.labels)

    def test_holds_out_no_more_than_needed(self):
        labels = np.repeat(np.arange(100), 90)
        fold_of = discriminant.folds(labels)
        held_out = labels[fold_of >= 0]
        self.assertLen(held_out, 4000)
        self.assertGreaterEqual(np.bincount(held_out).min(), 39)

    def test_reports_progress(self):
        features, labels = photos()
        seen = []
        discriminant.cross_validate(
            features,
            labels,
            discriminant.folds(labels),
            on_progress=lambda *done: seen.append(done),
        )
        self.assertEqual(seen, [(number, 5) for number in range(1, 6)])


if __name__ == "__main__":
    absltest.main()
