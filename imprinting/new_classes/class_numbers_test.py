"""Tests of class_numbers.py, with a small model."""

import numpy as np
from absl.testing import absltest

from imprinting.new_classes import class_numbers
from imprinting.tflite import model_file
from imprinting.tflite.imprinting import ImprintingEngine
from transforms.conversion import testing

_LABELS = (*testing.LABELS, "café")


class AssignTest(absltest.TestCase):
    def engine(self, *, keep_classes: bool = True) -> ImprintingEngine:
        """Tests with a model that has an imprinted class after its trained ones."""
        model = model_file.parse(testing.small().model)
        engine = ImprintingEngine(model, keep_classes=True)
        engine.add(testing.CLASSES, np.full([1, testing.EMBEDDING], testing.EMBEDDING**-0.5))
        return ImprintingEngine(engine.build().tflite_model, keep_classes=keep_classes)

    def test_new_ones_follow_in_order(self):
        found = class_numbers.assign(["a", "b"], self.engine(), _LABELS)
        self.assertEqual(found, {"a": 8, "b": 9})
        found = class_numbers.assign(["six", "a"], self.engine(keep_classes=False), [])
        self.assertEqual(found, {"six": 0, "a": 1})

    def test_imprinted_ones_are_found_by_their_names_however_spelled(self):
        for name in ("caf\u00e9", "cafe\u0301"):
            found = class_numbers.assign(["a", name, "d"], self.engine(), _LABELS)
            self.assertEqual(found, {"a": 8, name: 7, "d": 9})

    def test_trained_ones_and_doubtful_names_are_refused(self):
        with self.assertRaisesRegex(ValueError, "folder six: class 6 of that name was trained"):
            class_numbers.assign(["a", "six"], self.engine(), _LABELS)
        with self.assertRaisesRegex(ValueError, "folder crane, and classes 1, 2 have that name"):
            class_numbers.assign(["crane"], self.engine(), _LABELS)


if __name__ == "__main__":
    absltest.main()
