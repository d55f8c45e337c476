"""Tests that the package needs no TensorFlow, which devices lack."""

import importlib
import importlib.util
import os
import pathlib
import subprocess
import sys

from absl.testing import absltest, parameterized

_ROOT = pathlib.Path(__file__).absolute().parents[1]
_LIBRARIES = ("base", "embedding", "inference", "new_classes", "photos", "tflite")
_PROGRAMS = (
    *("check_edgetpu", "classify", "evaluate", "graft", "imprint", "join_tflite", "labels"),
    "split_tflite",
)


class NoTensorflowTest(parameterized.TestCase):
    def test_libraries_import_without_tensorflow(self):
        self.assertIsNone(importlib.util.find_spec("tensorflow"))
        modules = [
            ".".join(path.relative_to(_ROOT).with_suffix("").parts)
            for package in _LIBRARIES
            for path in sorted((_ROOT / "imprinting" / package).glob("*.py"))
            if not path.stem.endswith(("_test", "_testing"))
        ]
        self.assertContainsSubset(
            {"imprinting.tflite.imprinting", "imprinting.new_classes.tflite_network"}, modules
        )
        for name in ("imprinting.pycoral_api", *modules):
            with self.subTest(name):
                importlib.import_module(name)
        used = {name.partition(".")[0] for name in sys.modules}
        self.assertNotIn("tensorflow", used)
        self.assertContainsSubset({"flatbuffers", "numpy"}, used)

    @parameterized.parameters(*_PROGRAMS)
    def test_programs_run_without_tensorflow(self, name):
        done = subprocess.run(
            [sys.executable, "-m", f"imprinting.commands.{name}", "--help"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        # absl exits with 1 after --help.
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertIn("flags:", done.stdout)


if __name__ == "__main__":
    absltest.main()
