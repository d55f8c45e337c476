"""Tests of accuracy.py."""

from absl.testing import absltest

from imprinting.inference import accuracy
from imprinting.inference.accuracy import Confusion, Count


class AccuracyTest(absltest.TestCase):
    def test_counts(self):
        answers = [("a", "a"), ("a", "b"), ("a", "b"), ("b", "b"), ("c", "a")]
        found = accuracy.of(answers)
        self.assertEqual((found.right, found.total), (2, 5))
        self.assertEqual(found.classes, (Count("a", 1, 3), Count("b", 1, 1), Count("c", 0, 1)))
        self.assertEqual(found.confusions, (Confusion("a", "b", 2, 3), Confusion("c", "a", 1, 1)))
        self.assertEqual(
            accuracy.text(found),
            "2 of 5 photos are recognised: 40.0%.\n"
            "Most often taken for another class:\n  2 of 3  a for b\n  1 of 1  c for a",
        )

    def test_without_confusions(self):
        self.assertEqual(
            accuracy.text(accuracy.of([("a", "a")])), "1 of 1 photos are recognised: 100.0%."
        )

    def test_class_of(self):
        self.assertEqual(
            accuracy.class_of("photos/A\u0308pfel/1.jpg", {"\u00c4pfel"}), "\u00c4pfel"
        )
        self.assertIsNone(accuracy.class_of("photos/other/1.jpg", {"a"}))


if __name__ == "__main__":
    absltest.main()
