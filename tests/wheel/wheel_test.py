"""Tests of the wheel: its content, and a user's journey with it, without TensorFlow."""

import email
import os
import pathlib
import subprocess
import sys
import zipfile

from absl.testing import absltest

from tests import runfiles
from tests.wheel import installed, page
from transforms.conversion import testing

# Bytes in the wheel. The schema of .tflite files is generated, and has a third of the code.
_MOST_CODE, _MOST = 300_000, 8_000_000


class WheelTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.wheel = installed.wheel()
        cls.archive = cls.enterClassContext(zipfile.ZipFile(cls.wheel))
        cls.names = set(cls.archive.namelist())

    def test_content(self):
        self.assertContainsSubset(
            {
                "imprinting/__init__.py",
                "imprinting/py.typed",
                "imprinting/inference/imagenet.tflite",
                "imprinting/photos/samples/README.txt",
                "imprinting/schema/tflite.py",
                "imprinting/tflite/model_file.py",
            },
            self.names,
        )
        for name in self.names:
            self.assertRegex(name, r"^imprinting(-[0-9.]+\.dist-info)?/")
            self.assertNotRegex(
                name, r"_test\.|testing|(/|^)(classification|transforms|third_party)/"
            )

    def test_no_module_imports_what_is_not_in_the_wheel(self):
        for name in self.names:
            if name.endswith(".py"):
                source = self.archive.read(name).decode()
                self.assertNotRegex(
                    source, r"(?m)^\s*(from|import) (tensorflow|classification|transforms|tests)\b"
                )

    def test_size(self):
        code = sum(i.compress_size for i in self.archive.infolist() if i.filename.endswith(".py"))
        print(f"wheel: {self.wheel.stat().st_size:,} bytes, {code:,} of these code")
        self.assertLess(code, _MOST_CODE)
        self.assertLess(self.wheel.stat().st_size, _MOST)

    def test_metadata(self):
        (name,) = (name for name in self.names if name.endswith("/METADATA"))
        found = email.message_from_bytes(self.archive.read(name))
        self.assertEqual((found["Name"], found["Requires-Python"]), ("imprinting", ">=3.10"))
        self.assertEqual(found["License-Expression"], "Apache-2.0")
        self.assertIn("pip install", found.get_payload())
        required = {line.split(">=")[0].strip().lower() for line in found.get_all("Requires-Dist")}
        self.assertContainsSubset({"numpy", "pillow", "flatbuffers", "ai-edge-litert"}, required)
        scripts = self.archive.read(name.replace("METADATA", "entry_points.txt")).decode()
        self.assertIn("imprinting=imprinting.commands.main:main", scripts)

    def test_journey(self):
        folder = self.create_tempdir().full_path
        installed.install(self.wheel, folder)
        done = subprocess.run(
            [sys.executable, runfiles.path("tests/wheel/journey_test.py")],
            env=os.environ | {"PYTHONPATH": installed.python_path(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, msg=done.stdout + done.stderr)
        # It really was the installed package.
        self.assertTrue(pathlib.Path(folder, "imprinting", "model.py").is_file())

    def test_edge_tpu_page(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        installed.install(self.wheel, str(folder / "site"))
        page.write_photos(folder)
        (folder / "bin").mkdir()
        for name, arguments in (("imprinting", "-m imprinting"), ("python3", "")):
            script = folder / "bin" / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            script.chmod(0o755)
        environment = os.environ | {
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "PYTHONPATH": installed.python_path(str(folder / "site")),
        }
        printed = page.run(folder, environment, testing.compiled, setup=False)
        self.assertIn("mine.tflite: 1,000 classes kept, 1 new", printed[0])
        self.assertRegex(printed[0], r"photo.jpg\n *>?\.\d\d  my mug\n")
        self.assertRegex(printed[1], r"^\[Answer\(label='my mug', probability=0\.\d+\)")
        self.assertIn("more_edgetpu.tflite: 1,001 classes kept", printed[-1])


if __name__ == "__main__":
    absltest.main()
