"""Tests of explained.py: the order of batches, and the example that an error names."""

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from classification.data import explained


def _decode(example: tf.Tensor) -> dict[str, tf.Tensor]:
    """Three times the double of a number; fails for numbers that end in 7."""
    with tf.control_dependencies([tf.debugging.Assert(example % 10 != 7, ["a seven"])]):
        return {"number": tf.tile([2 * example], [3])}


def _explain(example: tf.Tensor) -> tf.Tensor:
    """A sentence about a number; fails for numbers from 30."""
    with tf.control_dependencies([tf.debugging.Assert(example < 30, ["too large"])]):
        return tf.strings.join(["expected no seven, got ", tf.strings.as_string(example)])


def _explain_other(example: tf.Tensor) -> tf.Tensor:
    return tf.strings.join(["expected no large one, got ", tf.strings.as_string(example)])


def _batches(numbers: tf.data.Dataset, *, drop_remainder: bool) -> tf.data.Dataset:
    return explained.batches(
        numbers, _decode, [_explain, _explain_other], batch_size=4, drop_remainder=drop_remainder
    )


class ExplainedTest(parameterized.TestCase):
    @parameterized.parameters((False, (4, 2)), (True, (4,)))
    def test_batches_in_order(self, drop_remainder, sizes):
        batches = _batches(tf.data.Dataset.range(6), drop_remainder=drop_remainder)
        rows = 4 if drop_remainder else None
        self.assertEqual(batches.element_spec["number"].shape.as_list(), [rows, 3])
        found = [batch["number"].numpy() for batch in batches]
        self.assertEqual(tuple(map(len, found)), sizes)
        expected = np.repeat(2 * np.arange(sum(sizes))[:, None], 3, axis=1)
        np.testing.assert_array_equal(np.concatenate(found), expected)

    # The failing example is the first of its batch, inside it, the last, and in the last batch.
    @parameterized.product(start=[7, 5, 4, 3], drop_remainder=[False, True])
    def test_names_the_failing_example(self, start, drop_remainder):
        numbers = tf.data.Dataset.range(start, 12)
        batches = iter(_batches(numbers, drop_remainder=drop_remainder))
        if start == 3:
            self.assertEqual(next(batches)["number"][-1, 0], 12)
        with self.assertRaisesRegex(
            tf.errors.InvalidArgumentError, r"\[expected no seven, got 7\]"
        ):
            next(batches)

    def test_last_batch_of_one_example(self):
        batches = iter(_batches(tf.data.Dataset.range(3, 8), drop_remainder=False))
        next(batches)
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "no seven, got 7"):
            next(batches)

    def test_names_the_first_of_several(self):
        batches = _batches(tf.data.Dataset.range(7, 28, 10), drop_remainder=False)
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "no seven, got 7"):
            next(iter(batches))

    def test_keeps_errors_of_the_examples(self):
        path = self.create_tempfile(content="text and no records").full_path
        lengths = tf.data.TFRecordDataset(path).map(lambda r: tf.strings.length(r, unit="BYTE"))
        with self.assertRaises(tf.errors.DataLossError):
            next(iter(_batches(lengths, drop_remainder=False)))

    def test_uses_next_explanation_if_one_fails(self):
        batches = _batches(tf.data.Dataset.range(36, 39), drop_remainder=False)
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "no large one, got 37"):
            next(iter(batches))


if __name__ == "__main__":
    absltest.main()
