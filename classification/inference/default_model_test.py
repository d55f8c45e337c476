"""Tests of default_model.py, with a folder like a program's runfiles."""

import os
import pathlib
from unittest import mock

from absl.testing import absltest

from classification.inference import default_model


class DefaultModelPathTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.create_tempdir().full_path)
        here = str(self.root / "classification" / "inference" / "default_model.py")
        self.enter_context(mock.patch.object(default_model, "__file__", here))

    def test_finds_product_of_the_build(self):
        product = self.root / "imagenet_tflite.tflite"
        # In runfiles, files are links to other folders.
        elsewhere = self.create_tempfile("elsewhere").full_path
        os.symlink(elsewhere, product)
        self.assertEqual(default_model.default_model_path(), str(product))

    def test_refuses_missing_product(self):
        with self.assertRaisesRegex(
            FileNotFoundError,
            f"the build's imagenet_tflite.tflite at {self.root}/imagenet_tflite.tflite, .* no such "
            "file; name a .tflite with --model, or start the program with ./bazelw run$",
        ):
            default_model.default_model_path()


if __name__ == "__main__":
    absltest.main()
