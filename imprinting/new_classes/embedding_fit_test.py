"""Tests of embedding_fit.py: what is fitted, and what is said about it."""

from typing import NamedTuple
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.embedding.fit import Kept
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.embedding.samples import Samples
from imprinting.new_classes import embedding_fit
from imprinting.new_classes.embedding_fit import FitEmbedding, Head

_DEPTH, _CLASSES, _KEPT = 30, 4, 3


class Options(NamedTuple):
    fit_embedding: FitEmbedding = FitEmbedding.AUTO
    fit_scale_factor: bool = True


def photos(count: int, *, noise: float = 6.0, views: int = 2) -> Samples:
    random = np.random.default_rng(2)
    classes = np.repeat(np.arange(_CLASSES), count)
    features = np.random.default_rng(1).normal(size=[_CLASSES, 1, _DEPTH])[classes]
    variation = random.normal(size=[len(classes), views, _DEPTH])
    variation[..., :5] *= noise
    return Samples((features + variation).astype(np.float32), classes)


def head(*, kept: int = _KEPT) -> Head:
    vectors = np.random.default_rng(3).normal(size=[kept, _DEPTH])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embedding = LinearEmbedding.of_metric(np.eye(_DEPTH), np.zeros(_DEPTH), size=_DEPTH)
    imprinted = np.arange(kept) == 1
    return Head(embedding, Kept(vectors, imprinted), np.ones(kept, bool), 10.0, 60.0)


class RunTest(parameterized.TestCase):
    def test_fits_embedding_and_scale_factor(self):
        fit = embedding_fit.run(photos(8), head(), Options())
        self.assertIsNotNone(fit.embedding)
        self.assertEqual(fit.vectors.shape, (_KEPT, _DEPTH))
        np.testing.assert_allclose(np.linalg.norm(fit.vectors, axis=1), np.ones(_KEPT))
        self.assertRegex(
            fit.description,
            r"^Embedding: fitted to the photos \(weight 0\.\d+\); \d+\.\d% of held-out photos were "
            r"recognised before that, \d+\.\d% after it. Scale factor: \d+(\.\d+)? instead of 10; "
            r"the calibration error of the held-out photos is 0\.\d{3} instead of 0\.\d{3}.$",
        )
        self.assertBetween(fit.scale_factor, 1, 60)
        self.assertGreater(fit.reach, 0)

    def test_the_scale_factor_makes_probabilities_right(self):
        fit = embedding_fit.run(photos(40, noise=1.0), head(), Options())
        before, after = (
            float(fit.description.split("photos is ")[1].rstrip(".").split(" instead of ")[i])
            for i in (1, 0)
        )
        self.assertLess(after, before)

    def test_a_greater_calibration_error_is_not_compared(self):
        errors = iter([0.036, 0.049])
        with mock.patch.object(
            embedding_fit.probabilities, "calibration_error", lambda *_: next(errors)
        ):
            text = embedding_fit.run(photos(8), head(), Options(FitEmbedding.NEVER)).description
        self.assertRegex(
            text,
            r"^Scale factor: \d+(\.\d+)?; the calibration error of the held-out photos is 0.049.$",
        )

    def test_never(self):
        options = Options(FitEmbedding.NEVER, fit_scale_factor=True)
        fit = embedding_fit.run(photos(8), head(), options)
        self.assertIsNone(fit.embedding)
        self.assertStartsWith(fit.description, "Scale factor: ")
        fit = embedding_fit.run(photos(8), head(), Options(fit_scale_factor=False))
        self.assertEqual(fit.scale_factor, 10)
        self.assertNotIn("Scale factor", fit.description)

    def test_a_fit_that_does_not_help(self):
        easy = photos(8, noise=1.0)
        easy.features[:] = 10 * np.eye(_DEPTH)[easy.classes][:, np.newaxis] + easy.features / 10
        fit = embedding_fit.run(easy, head(), Options())
        self.assertIsNone(fit.embedding)
        self.assertIn(
            "Embedding: not changed; 100.0% of held-out photos were recognised, and a fit does not "
            "improve that.",
            fit.description,
        )
        fit = embedding_fit.run(easy, head(), Options(FitEmbedding.ALWAYS))
        self.assertIsNotNone(fit.embedding)
        self.assertStartsWith(
            fit.description,
            "Embedding: fitted to the photos (weight 0.05); 100.0% of held-out photos were "
            "recognised, and it was fitted as asked, although that is no better.",
        )

    def test_one_photo_of_each_class(self):
        fit = embedding_fit.run(photos(1, views=7), head(), Options())
        self.assertIsNotNone(fit.embedding)
        self.assertIn("there is nothing to check that with.", fit.description)
        self.assertEqual(fit.scale_factor, 10)

    @parameterized.parameters(*FitEmbedding)
    def test_copies_of_one_photo(self, mode):
        same = Samples(np.ones([4, 3, _DEPTH], np.float32), np.zeros(4, int))
        fit = embedding_fit.run(same, head(kept=0), Options(mode))
        self.assertIsNone(fit.embedding)
        if mode is not FitEmbedding.NEVER:
            self.assertIn("since the photos are all the same.", fit.description)

    def test_classes_that_get_more_photos_do_not_compete(self):
        learned = photos(8)
        own = learned.features[learned.classes == 0, 0].mean(axis=0)
        start = head()
        vectors = start.kept.vectors.copy()
        vectors[0] = start.embedding.of(own) / np.linalg.norm(start.embedding.of(own))
        kept = start.kept._replace(vectors=vectors)
        options = Options(FitEmbedding.NEVER)

        def error_of(competing: np.ndarray) -> float:
            changed = start._replace(kept=kept, competing=competing)
            text = embedding_fit.run(learned, changed, options).description
            return float(text.split("photos is ")[1].split(" ")[0])

        self.assertNotEqual(error_of(np.ones(3, bool)), error_of(np.arange(3) != 0))

    def test_fewer_views_of_more_photos(self):
        found = [embedding_fit.num_views(count, 10) for count in (10, 49, 50, 99, 100, 10_000)]
        self.assertEqual(found, [7, 7, 5, 5, 4, 4])
        self.assertEqual(embedding_fit.num_views(0, 0), 7)


if __name__ == "__main__":
    absltest.main()
