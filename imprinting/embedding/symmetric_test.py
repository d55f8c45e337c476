"""Tests of symmetric.py."""

import numpy as np
import threadpoolctl
from absl.testing import absltest

from imprinting.embedding import symmetric


def threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]


class SymmetricTest(absltest.TestCase):
    def test_several_users_of_one_thread(self):
        before = threads()
        first, second = symmetric.one_thread(), symmetric.one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        self.assertEqual({*threads()} - {1}, set())
        second.__exit__(None, None, None)
        self.assertEqual(threads(), before)

    def test_eigh(self):
        root = np.random.default_rng(0).normal(size=[20, 20])
        matrix = root @ root.T
        before = threads()
        values, vectors = symmetric.eigh(matrix)
        self.assertEqual(threads(), before)
        self.assertTrue((np.diff(values) >= 0).all())
        np.testing.assert_allclose((vectors * values) @ vectors.T, matrix, atol=1e-9)
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(20), atol=1e-9)


if __name__ == "__main__":
    absltest.main()
