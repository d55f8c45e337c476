"""Tests of default_model.py."""

import os
import pathlib
from unittest import mock

from absl.testing import absltest

from imprinting.inference import default_model


class DefaultModelTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.create_tempdir().full_path)
        here = str(self.root / "default_model.py")
        self.enter_context(mock.patch.object(default_model, "__file__", here))

    def test_finds_the_model_beside_it(self):
        # In runfiles, files are links to other folders.
        os.symlink(self.create_tempfile("elsewhere").full_path, self.root / "imagenet.tflite")
        self.assertEqual(default_model.path(), str(self.root / "imagenet.tflite"))

    def test_refuses_missing_model(self):
        with self.assertRaisesRegex(
            FileNotFoundError, f"at {self.root}/imagenet.tflite, got no such file; name a .tflite"
        ):
            default_model.path()


if __name__ == "__main__":
    absltest.main()
