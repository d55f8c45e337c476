"""Tests of epochs.py: their order, and starting at any example."""

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from classification.data import epochs

_SIZE = 10


def _take(number: int, *, seen: int = 0, seed: int = 3, buffer: int = _SIZE) -> list[int]:
    def make_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        return epochs.shuffle(tf.data.Dataset.range(_SIZE), buffer, seed=seed, epoch=epoch)

    endless = epochs.endless(make_epoch, size=_SIZE, seen=seen)
    return [int(n) for n in endless.take(number)]


class EpochsTest(parameterized.TestCase):
    def test_each_epoch_has_each_example_once(self):
        found = np.reshape(_take(5 * _SIZE), [5, _SIZE])
        np.testing.assert_array_equal(np.sort(found), np.tile(np.arange(_SIZE), [5, 1]))
        self.assertLen({tuple(epoch) for epoch in found}, 5)

    @parameterized.parameters(1, 9, 10, 11, 25, 30)
    def test_starts_at_any_example(self, seen):
        self.assertEqual(_take(20, seen=seen), _take(20 + seen)[seen:])

    def test_starts_far_away(self):
        self.assertCountEqual(_take(_SIZE, seen=10**12), range(_SIZE))

    @parameterized.parameters(0, -5, 2**40)
    def test_order_depends_only_on_the_seed(self, seed):
        once = _take(20, seed=seed)
        tf.random.set_seed(seed + 7)
        self.assertEqual(_take(20, seed=seed), once)
        self.assertNotEqual(_take(20, seed=seed + 1), once)

    def test_small_buffer(self):
        found = _take(_SIZE, buffer=3)
        self.assertCountEqual(found, range(_SIZE))
        self.assertTrue(all(n < i + 3 for i, n in enumerate(found)))


if __name__ == "__main__":
    absltest.main()
