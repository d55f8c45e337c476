"""Tests of computed.py."""

import numpy as np
from absl.testing import absltest

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


if __name__ == "__main__":
    absltest.main()
