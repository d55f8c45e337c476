"""Tests of embedded.py."""

from unittest import mock

import numpy as np
from absl.testing import absltest

from classification.low_shot.embedded import Embedded
from imprinting.base import large_arrays
from imprinting.embedding import unit_vectors


class EmbeddedTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        values = np.random.default_rng(0).normal(size=[9, 3, 4])
        self.stored = unit_vectors.unit(values).astype(np.float32)
        self.rows = np.array([8, 0, 3, 3, 5])
        self.images = Embedded(self.stored, np.array([0, 1, 1, 2, 0]), self.rows)

    def test_embeddings_of_the_images(self):
        chosen = self.stored[self.rows]
        np.testing.assert_array_equal(self.images.embeddings, chosen)
        np.testing.assert_array_equal(self.images.plain, chosen[:, 0])
        np.testing.assert_array_equal(self.images.averaged, unit_vectors.mean(chosen))
        whole = self.images.whole
        np.testing.assert_array_equal(whole.embeddings, chosen[:, 0])
        np.testing.assert_array_equal(whole.averaged, chosen[:, 0])
        everything = Embedded(self.stored, np.zeros(9, int))
        self.assertIs(everything.embeddings, self.stored)

    def test_some_images_are_not_copied(self):
        some = self.images.take(np.array([4, 1])).take(np.array([1]))
        self.assertIs(some.stored, self.stored)
        self.assertEqual((some.labels.tolist(), some.rows.tolist()), ([1], [0]))
        some = self.images.of_classes(1, 3)
        self.assertEqual((some.labels.tolist(), some.rows.tolist()), ([1, 1, 2], [0, 3, 3]))

    def test_pieces(self):
        for row_bytes, expected in ((0, [2, 2, 1]), (100, [1] * 5)):
            with mock.patch.object(large_arrays, "_PIECE_BYTES", 96):
                pieces = list(self.images.pieces(row_bytes))
            self.assertEqual([len(piece.labels) for piece in pieces], expected)
            rows = np.concatenate([piece.rows for piece in pieces])
            np.testing.assert_array_equal(rows, self.rows)


if __name__ == "__main__":
    absltest.main()
