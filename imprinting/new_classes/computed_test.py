"""Tests of computed.py."""

from unittest import mock

import numpy as np
from absl.testing import absltest

from imprinting.base import large_arrays
from imprinting.embedding import unit_vectors
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.new_classes.computed import Computed


class ComputedTest(absltest.TestCase):
    def test_embeddings_of_another_embedding(self):
        features = np.array([[[3.0, 0.0], [1.0, 5.0]]], np.float32)
        computed = Computed(np.ones([1, 2, 3], np.float32), features, {})
        self.assertIs(computed.embedded(None), computed.embeddings)
        other = LinearEmbedding(np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([1.0, 1.0]))
        expected = np.array([[[4, -1], [0, 4]]]) / np.sqrt([[[17], [16]]])
        np.testing.assert_allclose(computed.embedded(other), expected, rtol=1e-5)

    def test_one_embedding_for_each_photo_by_class(self):
        random = np.random.default_rng(0)
        values = random.normal(size=[9, 3, 4]).astype(np.float32)
        computed = Computed(unit_vectors.unit(values), values, {})
        other = LinearEmbedding(random.normal(size=[6, 4]), random.normal(size=4))
        photos = {"b": [7, 0, 3], "a": [1], "c": [4, 5, 6]}
        for embedding in (None, other):
            expected = unit_vectors.mean(computed.embedded(embedding))
            for piece, most in ((1 << 30, 1 << 30), (100, 0)):
                with (
                    mock.patch.object(large_arrays, "_PIECE_BYTES", piece),
                    mock.patch.object(large_arrays, "_MOST_IN_MEMORY", most),
                ):
                    found = computed.by_class(photos, embedding)
                self.assertEqual(list(found), ["b", "a", "c"])
                for name, rows in photos.items():
                    np.testing.assert_allclose(found[name], expected[rows], rtol=1e-5, atol=1e-6)


if __name__ == "__main__":
    absltest.main()
