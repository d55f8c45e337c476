"""Tests that programs run with the build's interpreter, and import nothing from the host."""

import importlib
import os
import pathlib
import subprocess
import sys

from absl.testing import absltest


class InterpreterTest(absltest.TestCase):
    def test_interpreter_is_from_the_build(self):
        self.assertTrue(sys.executable.endswith("/python3/usr/bin/python3.11"), sys.executable)
        self.assertIn("/external/python3/", os.path.realpath(sys.executable))
        self.assertEqual(sys.version_info[:2], (3, 11))

    def test_extension_modules_of_the_standard_library(self):
        for name in (
            "bz2",
            "ctypes",
            "lzma",
            "sqlite3",
            "ssl",
            "uuid",
            "xml.parsers.expat",
            "zlib",
        ):
            with self.subTest(name):
                self.assertIsNotNone(importlib.import_module(name))

    def test_shared_libraries_are_from_the_build(self):
        for name in ("bz2", "ctypes", "lzma", "sqlite3", "ssl"):
            importlib.import_module(name)
        with open("/proc/self/maps") as maps:
            loaded = {line.split()[-1] for line in maps if ".so" in line}
        for name in ("libbz2", "libffi", "liblzma", "libsqlite3", "libssl", "libstdc++"):
            with self.subTest(name):
                (path,) = (p for p in loaded if pathlib.Path(p).name.startswith(name + "."))
                self.assertIn("/external/python3/", path)

    def test_nothing_from_the_host_is_on_the_path(self):
        # Only the runfiles tree and the interpreter's own library, wherever they are.
        runfiles = pathlib.Path(__file__).absolute().parents[3]
        self.assertEqual(runfiles.suffix, ".runfiles")
        library = pathlib.Path(os.__file__).parent
        self.assertIn("/external/python3/", os.path.realpath(library))
        for entry in sys.path:
            ours = any(pathlib.Path(entry).is_relative_to(f) for f in (runfiles, library))
            archive = entry == f"{library.parent}/python311.zip"
            self.assertTrue(ours or archive, entry)
            self.assertNotIn("dist-packages", entry)


class LauncherTest(absltest.TestCase):
    """Tests of the first lines of a py_binary's launcher (stub.bzl)."""

    def _evaluate(self, expression, *, cwd=None, **environment):
        launcher = pathlib.Path(__file__).parent / "evaluate"
        done = subprocess.run(
            [launcher, expression],
            cwd=cwd,
            env={"PATH": "/usr/bin:/bin", **environment},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def setUp(self):
        super().setUp()
        self.folder = os.path.realpath(self.create_tempdir().full_path)
        self.other = os.path.realpath(self.create_tempdir().full_path)

    def test_python_variables_of_the_user_are_ignored(self):
        pathlib.Path(self.folder, "json.py").write_text("raise ImportError")
        found = self._evaluate("__import__('json').__file__, sys.path", PYTHONPATH=self.folder)
        self.assertNotIn(self.folder, found)

    def test_runs_in_the_users_folder(self):
        found = self._evaluate("os.getcwd()", cwd=self.other, BUILD_WORKING_DIRECTORY=self.folder)
        self.assertEqual(found, self.folder)

    def test_folder_of_bazelw_comes_before_that_of_bazel(self):
        found = self._evaluate(
            "os.getcwd()", BUILD_WORKING_DIRECTORY=self.other, BAZELW_USER_DIRECTORY=self.folder
        )
        self.assertEqual(found, self.folder)

    def test_variables_are_not_inherited(self):
        found = self._evaluate(
            "sorted(os.environ)",
            BUILD_WORKING_DIRECTORY=self.other,
            BAZELW_USER_DIRECTORY=self.folder,
        )
        self.assertNotIn("DIRECTORY", found)

    def test_does_not_change_folder_in_actions(self):
        self.assertEqual(self._evaluate("os.getcwd()", cwd=self.other), self.other)

    def test_does_not_change_folder_in_tests(self):
        found = self._evaluate(
            "os.getcwd()", cwd=self.other, TEST_SRCDIR="x", BUILD_WORKING_DIRECTORY=self.folder
        )
        self.assertEqual(found, self.other)

    def test_folder_with_spaces(self):
        folder = pathlib.Path(self.folder, "my photos; $HOME")
        folder.mkdir()
        found = self._evaluate("os.getcwd()", BAZELW_USER_DIRECTORY=str(folder))
        self.assertEqual(found, str(folder))


if __name__ == "__main__":
    absltest.main()
