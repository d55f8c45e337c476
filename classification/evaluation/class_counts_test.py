"""Tests what is counted of each class, against scikit-learn and by hand."""

import dataclasses

import numpy as np
from absl.testing import absltest

from classification.base import report_wheels
from classification.data.dataset import open_dataset
from classification.evaluation import class_counts
from classification.evaluation.class_counts import ClassCounts, Confusion
from classification.evaluation.evaluator import Result
from classification.testing import digits_networks


def result(labels: list[int], predictions: list[int], probability: list[float] | None = None):
    probability = probability or [1.0] * len(labels)
    top = np.array(predictions)[:, np.newaxis]
    return Result(np.array(labels), top, np.array(probability, np.float32), None)


class CountsTest(absltest.TestCase):
    def test_by_hand(self):
        counts = class_counts.count_classes(result([0, 0, 0, 0, 1, 1, 3], [0, 1, 3, 3, 1, 1, 2]), 5)
        self.assertEqual(counts[0], ClassCounts(0, 4, 1, 1, 3, 2))
        self.assertEqual(counts[1], ClassCounts(1, 2, 3, 2, None, 0))
        self.assertEqual(counts[2], ClassCounts(2, 0, 1, 0, None, 0))
        self.assertEqual(counts[3], ClassCounts(3, 1, 2, 0, 2, 1))
        self.assertEqual(counts[4], ClassCounts(4, 0, 0, 0, None, 0))
        self.assertEqual([c.recall for c in counts], [0.25, 1.0, None, 0.0, None])
        self.assertEqual([c.precision for c in counts], [1.0, 2 / 3, 0.0, 0.0, None])
        self.assertAlmostEqual(class_counts.balanced_accuracy(counts), 1.25 / 3)

    def test_agree_with_scikit_learn(self):
        rng = np.random.default_rng(1)
        labels, predictions = rng.integers(0, 9, [2, 500])
        labels = np.where(labels == 4, 5, labels)
        counts = class_counts.count_classes(result(labels, predictions), 10)
        metrics = report_wheels.sklearn_metrics()
        precision, recall, _, images = metrics.precision_recall_fscore_support(
            labels, predictions, labels=range(10), zero_division=np.nan
        )
        np.testing.assert_allclose([c.recall or np.nan for c in counts], recall)
        seen = [0.0 if c.precision == 0 else c.precision or np.nan for c in counts]
        np.testing.assert_allclose(seen, precision)
        np.testing.assert_array_equal([c.images for c in counts], images)
        matrix = metrics.confusion_matrix(labels, predictions, labels=range(10))
        for c in class_counts.confusions(result(labels, predictions)):
            self.assertEqual(matrix[c.label, c.predicted], c.count)
            matrix[c.label, c.predicted] = 0
        self.assertEqual(matrix.sum(), np.trace(matrix))


class ConfusionsTest(absltest.TestCase):
    def test_most_frequent_first_then_in_order(self):
        found = class_counts.confusions(result([2, 2, 0, 0, 1, 1, 1], [0, 0, 2, 1, 0, 1, 0]))
        expected = [Confusion(1, 0, 2), Confusion(2, 0, 2), Confusion(0, 1, 1), Confusion(0, 2, 1)]
        self.assertEqual(found, expected)

    def test_none(self):
        self.assertEqual(class_counts.confusions(result([0, 1], [0, 1])), [])

    def test_examples_are_those_of_the_highest_probability(self):
        labels = [0] * 7 + [1] * 4
        predictions = [1, 1, 0, 1, 1, 1, 2, 1, 1, 1, 0]
        probability = [0.5, 0.9, 1.0, 0.5, 0.8, 0.5, 1.0, 0.3, 0.4, 0.4, 1.0]
        found = class_counts.examples(result(labels, predictions, probability), Confusion(0, 1, 5))
        self.assertEqual(found.images, 7)
        self.assertEqual(found.confused, (1, 4, 0, 3))
        self.assertEqual(found.right, (8, 9))


class NamesTest(absltest.TestCase):
    def test_of_the_network_then_of_the_data_then_numbers(self):
        digits = open_dataset("", "validation")
        config = dataclasses.replace(digits_networks.DIGITS, labels=tuple("abcdefghij"))
        self.assertEqual(class_counts.class_names(config, digits), tuple("abcdefghij"))
        config = dataclasses.replace(config, labels=None, num_classes=12)
        names = class_counts.class_names(config, dataclasses.replace(digits, labels=("x",)))
        self.assertEqual(names, ("x", *map(str, range(1, 12))))
        names = class_counts.class_names(config, dataclasses.replace(digits, labels=None))
        self.assertEqual(names, tuple(map(str, range(12))))


if __name__ == "__main__":
    absltest.main()
