"""Tests of array_file.py."""

import os
import pathlib

import numpy as np
from absl.testing import absltest

from imprinting.embedding import array_file


class ArrayFileTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.create_tempdir().full_path, "arrays.npz")

    def test_writes_and_reads(self):
        array_file.write(self.path, {"a": np.arange(3), "b": 2.5})
        found = array_file.read(self.path, ["b", "a"], what="numbers")
        np.testing.assert_array_equal(found["a"], [0, 1, 2])
        self.assertEqual(found["b"], 2.5)
        first = pathlib.Path(self.path).read_bytes()
        array_file.write(self.path, {"a": np.arange(3), "b": 2.5})
        self.assertEqual(pathlib.Path(self.path).read_bytes(), first)

    def test_bad_files(self):
        with self.assertRaises(FileNotFoundError):
            array_file.read(self.path, ["a"], what="numbers")
        for content in (b"", b"text"):
            pathlib.Path(self.path).write_bytes(content)
            with self.assertRaisesRegex(ValueError, "expected numbers in .*, got no .npz file"):
                array_file.read(self.path, ["a"], what="numbers")
        array_file.write(self.path, {"b": 1})
        with self.assertRaisesRegex(ValueError, "with the arrays a, got b"):
            array_file.read(self.path, ["a"], what="numbers")
        array_file.write(self.path, {"a": np.inf})
        with self.assertRaisesRegex(ValueError, "NaN or infinity in a"):
            array_file.read(self.path, ["a"], what="numbers")


if __name__ == "__main__":
    absltest.main()
