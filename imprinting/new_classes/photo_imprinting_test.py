"""Tests of photo_imprinting.py."""

import numpy as np
from absl.testing import absltest

from imprinting.embedding.fit import Kept
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.new_classes import photo_imprinting
from imprinting.new_classes.computed import Computed
from imprinting.new_classes.embedding_fit import FitEmbedding, Head
from imprinting.new_classes.photo_imprinting import Options


class OptionsTest(absltest.TestCase):
    def test_refuses_numbers_of_views(self):
        for views in (0, 101):
            with self.assertRaisesRegex(ValueError, f"--views to be 1 to 100, got {views}"):
                Options(views=views)
        self.assertEqual(Options(views=100).views, 100)

    def test_refuses_lost_classes_if_none_are_kept(self):
        with self.assertRaisesRegex(ValueError, "expected --keep_classes"):
            Options(allow_lost_classes=True)


class FitTest(absltest.TestCase):
    def fit(self, mode: FitEmbedding, *, towards_new: bool, imprinted: bool = False):
        """Fits to two classes that vary a lot, beside two kept ones."""
        random = np.random.default_rng(0)
        directions = np.eye(12)[[0, 1]].repeat(8, axis=0)[:, np.newaxis]
        features = directions + 2 * random.normal(size=[16, 3, 12]) * (np.arange(12) > 5)
        embeddings = features / np.linalg.norm(features, axis=-1, keepdims=True)
        kept = Kept(np.eye(12)[[2, 3]], np.full(2, imprinted))
        embedding = LinearEmbedding(np.eye(12), np.zeros(12))
        head = Head(embedding, kept, np.ones(2, bool), 10.0, 50.0)
        others = np.eye(12)[[0 if towards_new else 2]].repeat(4, axis=0)
        computed = Computed(embeddings.astype(np.float32), features.astype(np.float32), {})
        readable = {"a": list(range(8)), "b": list(range(8, 16))}
        return photo_imprinting.fit(computed, others, readable, head, Options(True, True, mode))

    def test_not_if_new_classes_take_everything(self):
        fitted, text = self.fit(FitEmbedding.AUTO, towards_new=True)
        self.assertIsNone(fitted.embedding)
        self.assertStartsWith(
            text,
            "Embedding: not changed, since 100% of unrelated photographs are closest to a new "
            "class: a fit would cost kept classes more. Scale factor: ",
        )

    def test_otherwise(self):
        for mode, towards_new, imprinted in (
            (FitEmbedding.AUTO, False, False),
            (FitEmbedding.ALWAYS, True, False),
            (FitEmbedding.AUTO, True, True),
        ):
            fitted, text = self.fit(mode, towards_new=towards_new, imprinted=imprinted)
            self.assertIsNotNone(fitted.embedding, text)
            self.assertStartsWith(text, "Embedding: fitted to the photos")


if __name__ == "__main__":
    absltest.main()
