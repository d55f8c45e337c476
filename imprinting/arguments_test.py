"""Tests of arguments.py; model_test.py has more."""

import pathlib

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from imprinting import arguments


class ArgumentsTest(parameterized.TestCase):
    def test_label(self):
        self.assertEqual(arguments.label("A\u0308pfel 3\u3000kg"), "\u00c4pfel 3\u3000kg")

    def test_class_number(self):
        names = ["a", "b", "b"]
        for value, expected in (("a", 0), (2, 2), (np.int64(1), 1)):
            self.assertEqual(arguments.class_number(value, names), expected)
        with self.assertRaisesRegex(ValueError, "got b, and classes 1, 2 have it; give the number"):
            arguments.class_number("b", names)

    def test_photos(self):
        pixels = np.zeros([2, 3, 3], np.uint8)
        for one in ("a.jpg", pathlib.Path("a.jpg"), b"x", bytearray(b"x"), pixels):
            self.assertLen(arguments.photos(one), 1)
        self.assertLen(arguments.photos(Image.new("L", (2, 3))), 1)
        self.assertLen(arguments.photos(np.stack([pixels] * 4)), 4)
        self.assertEqual(arguments.photos(name for name in "ab"), ["a", "b"])

    @parameterized.parameters(0, 257, None, 1.0, True)
    def test_num_threads(self, value):
        with self.assertRaisesRegex(ValueError, f"expected num_threads .*, got {value}"):
            arguments.num_threads(value)

    def test_described(self):
        self.assertEqual(arguments.described(pathlib.Path("a/b.jpg"), 2), "photo 2 'a/b.jpg'")
        self.assertEqual(arguments.described(b""), "photo, a bytes")


if __name__ == "__main__":
    absltest.main()
