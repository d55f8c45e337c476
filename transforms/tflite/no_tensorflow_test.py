"""Tests that a .tflite can be read and changed without TensorFlow, which devices do not have."""

import importlib
import importlib.util
import pathlib
import sys

from absl.testing import absltest

_PACKAGES = ("transforms/base", "transforms/tflite")


class NoTensorflowTest(absltest.TestCase):
    def test_modules_import_without_tensorflow(self):
        self.assertIsNone(importlib.util.find_spec("tensorflow"))
        root = pathlib.Path(__file__).absolute().parents[2]
        modules = [
            ".".join(path.relative_to(root).with_suffix("").parts)
            for package in _PACKAGES
            for path in sorted((root / package).glob("*.py"))
            if not path.stem.endswith(("_test", "_testing"))
        ]
        self.assertContainsSubset(
            {"transforms.tflite.imprinting", "transforms.tflite.metadata"}, modules
        )
        for name in modules:
            with self.subTest(name):
                importlib.import_module(name)
        used = {name.partition(".")[0] for name in sys.modules}
        self.assertNotIn("tensorflow", used)
        self.assertContainsSubset({"flatbuffers", "numpy"}, used)


if __name__ == "__main__":
    absltest.main()
