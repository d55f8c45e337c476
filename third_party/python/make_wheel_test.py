"""Tests of make_wheel.py."""

import os
import pathlib
import zipfile

from absl.testing import absltest

from third_party.python import make_wheel

_PYPROJECT = """
[build-system]
requires = ["flit_core"]
build-backend = "flit_core.buildapi"

[project]
name = "thing"
description = "A thing"
dynamic = ["version"]
requires-python = ">=3.10"
"""


class MakeWheelTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.beside = {"pyproject.toml": self.file("p", _PYPROJECT)}
        self.files = {
            "thing/__init__.py": self.file("i", '__version__ = "1.2"\n'),
            "thing/data/x.bin": self.file("x", "x"),
        }

    def file(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def test_same_bytes(self):
        path = self.folder / "thing-1.2-py3-none-any.whl"
        made = []
        for time in (1, 2_000_000_000):
            for file in self.files.values():
                os.utime(file, (time, time))
                os.chmod(file, 0o755 if time == 1 else 0o600)
            make_wheel.make(str(path), self.beside, self.files)
            made.append(path.read_bytes())
        self.assertEqual(made[0], made[1])
        with zipfile.ZipFile(path) as archive:
            self.assertContainsSubset(self.files, archive.namelist())
            self.assertIn("Version: 1.2\n", archive.read("thing-1.2.dist-info/METADATA").decode())

    def test_another_version(self):
        with self.assertRaisesRegex(
            ValueError, "expected a wheel thing-1.3-.*, got thing-1.2-py3-none-any.whl; give"
        ):
            path = self.folder / "thing-1.3-py3-none-any.whl"
            make_wheel.make(str(path), self.beside, self.files)


if __name__ == "__main__":
    absltest.main()
