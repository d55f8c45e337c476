"""Programs run under the build's interpreter, and see nothing of the host's."""

import importlib
import os
import pathlib
import subprocess
import sys

from absl.testing import absltest


class InterpreterTest(absltest.TestCase):
    def test_it_is_the_one_of_the_build(self):
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

    def test_libraries_that_are_not_the_c_librarys_come_with_it(self):
        for name in ("bz2", "ctypes", "lzma", "sqlite3", "ssl"):
            importlib.import_module(name)
        with open("/proc/self/maps") as maps:
            loaded = {line.split()[-1] for line in maps if ".so" in line}
        for name in ("libbz2", "libffi", "liblzma", "libsqlite3", "libssl", "libstdc++"):
            with self.subTest(name):
                (path,) = (p for p in loaded if pathlib.Path(p).name.startswith(name + "."))
                self.assertIn("/external/python3/", path)

    def test_nothing_of_the_host_is_on_the_path(self):
        # Of the build are the runfiles tree, and what its interpreter has beside it, wherever
        # they lie.
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
    """The head of a py_binary's launcher (stub.bzl), started by hand."""

    def _ask(self, expression, *, cwd=None, **environment):
        launcher = pathlib.Path(__file__).parent / "tell"
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
        told = self._ask("__import__('json').__file__, sys.path", PYTHONPATH=self.folder)
        self.assertNotIn(self.folder, told)

    def test_runs_where_the_user_stands(self):
        told = self._ask("os.getcwd()", cwd=self.other, BUILD_WORKING_DIRECTORY=self.folder)
        self.assertEqual(told, self.folder)

    def test_bazelw_knows_better_than_bazel(self):
        told = self._ask(
            "os.getcwd()", BUILD_WORKING_DIRECTORY=self.other, BAZELW_USER_DIRECTORY=self.folder
        )
        self.assertEqual(told, self.folder)

    def test_does_not_tell_programs_that_it_starts(self):
        told = self._ask(
            "sorted(os.environ)",
            BUILD_WORKING_DIRECTORY=self.other,
            BAZELW_USER_DIRECTORY=self.folder,
        )
        self.assertNotIn("DIRECTORY", told)

    def test_stays_in_actions(self):
        self.assertEqual(self._ask("os.getcwd()", cwd=self.other), self.other)

    def test_stays_in_tests(self):
        told = self._ask(
            "os.getcwd()", cwd=self.other, TEST_SRCDIR="x", BUILD_WORKING_DIRECTORY=self.folder
        )
        self.assertEqual(told, self.other)

    def test_a_folder_with_spaces(self):
        folder = pathlib.Path(self.folder, "my photos; $HOME")
        folder.mkdir()
        told = self._ask("os.getcwd()", BAZELW_USER_DIRECTORY=str(folder))
        self.assertEqual(told, str(folder))


if __name__ == "__main__":
    absltest.main()
