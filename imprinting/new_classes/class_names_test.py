"""Tests of class_names.py."""

from absl.testing import absltest

from imprinting.new_classes import class_names
from imprinting.tflite import metadata, model_file
from transforms.conversion import testing


class ClassNamesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.bare = testing.small().model
        self.named = metadata.attach(model_file.parse(self.bare), testing.LABELS)

    def of(self, data, *arguments, **options):
        return class_names.of(data, model_file.parse(data), *arguments, **options)

    def test_names_that_the_model_carries(self):
        names, unnamed = self.of(self.named, testing.CLASSES)
        self.assertEqual((names, unnamed), ([*testing.LABELS], 0))

    def test_numbers_for_lack_of_names(self):
        names, unnamed = self.of(self.bare, 3)
        self.assertEqual((names, unnamed), (["0", "1", "2"], 3))
        names, unnamed = self.of(self.named, testing.CLASSES + 1)
        self.assertEqual((names, unnamed), ([*testing.LABELS, "7"], 1))

    def test_names_that_are_given(self):
        names, unnamed = self.of(self.named, 2, ("one", "two"))
        self.assertEqual((names, unnamed), (["one", "two"], 0))
        with self.assertRaisesRegex(ValueError, "2 classes, got 1 names in names.txt;"):
            self.of(self.named, 2, ["one"], source="names.txt")

    def test_names_of_more_classes(self):
        with self.assertRaisesRegex(ValueError, "at most its 5 classes, got 7; give others with"):
            self.of(self.named, 5)

    def test_no_classes(self):
        self.assertEqual(self.of(self.named, 0, ["one"]), ([], 0))


if __name__ == "__main__":
    absltest.main()
