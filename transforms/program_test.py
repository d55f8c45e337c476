"""Tests of how programs take flags, write files and report errors."""

import contextlib
import io
import logging
import os

from absl import flags
from absl.testing import absltest, parameterized

from transforms import program
from transforms.program_testing import run

_SIZE = flags.DEFINE_integer("size", 7, "Of something.")
flags.DEFINE_string("input", "", "A file.")
flags.DEFINE_string("output", None, "Another.")


class RunTest(parameterized.TestCase):
    def test_flags_are_parsed_and_output_is_left_alone(self):
        self.assertEqual(run(lambda: print(_SIZE.value), "--size=3"), (None, "3\n", ""))

    @parameterized.parameters(
        (ValueError("expected this, got that"), "expected this, got that"),
        (RuntimeError("not this"), "not this"),
        (
            FileNotFoundError(2, "No such file or directory", "a/b"),
            "a/b: No such file or directory",
        ),
        (FileNotFoundError("expected a"), "expected a"),
    )
    def test_expected_errors_are_a_sentence_and_status_1(self, error, expected):
        def failing():
            raise error

        self.assertEqual(run(failing), (1, "", f"prog: {expected}\n"))

    @parameterized.parameters(KeyError, NotImplementedError, RecursionError)
    def test_other_errors_keep_their_traceback(self, kind):
        def wrong():
            raise kind

        with self.assertRaises(kind), contextlib.redirect_stderr(io.StringIO()):
            program.run(wrong, ["prog"])

    def test_verbosity_shows_where(self):
        def failing():
            raise ValueError("expected this, got that")

        with self.assertLogs("absl", logging.DEBUG) as logs:
            self.assertEqual(run(failing, "--verbosity=1")[0], 1)
        self.assertIn('raise ValueError("expected this', "\n".join(logs.output))

    def test_words_that_are_no_flags(self):
        status, _, err = run(lambda: self.fail("main was called"), "size", "3")
        self.assertEqual(status, 1)
        self.assertIn("expected flags alone, as --NAME=VALUE, got size 3", err)

    def test_interruption(self):
        def interrupted():
            raise KeyboardInterrupt

        self.assertEqual(run(interrupted), (130, "", "prog: interrupted\n"))


class RequireTest(absltest.TestCase):
    def test_names_what_is_missing(self):
        def main():
            program.require("input", "output")

        self.assertEqual(run(main, "--input=a", "--output=b"), (None, "", ""))
        for arguments, missing in (
            ((), "--input, --output"),
            (("--input=a",), "--output"),
            (("--input=", "--output=b"), "--input"),
        ):
            said = f"prog: expected {missing}; --help tells what for\n"
            self.assertEqual(run(main, *arguments), (1, "", said))


class WriteFilesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.a, self.b = (os.path.join(self.folder, name) for name in "ab")

    def read(self, path):
        with open(path, "rb") as file:
            return file.read()

    def test_all_are_written_and_nothing_beside_them(self):
        program.write_files({self.a: b"old"})
        program.write_files({self.a: b"1", self.b: b"2"})
        self.assertEqual((self.read(self.a), self.read(self.b)), (b"1", b"2"))
        self.assertCountEqual(os.listdir(self.folder), ["a", "b"])

    def test_none_is_written_where_one_cannot_be(self):
        program.write_files({self.a: b"old"})
        for wrong, error, text in (
            (os.path.join(self.folder, "no", "c"), FileNotFoundError, "expected a folder .*/no "),
            (self.folder, IsADirectoryError, "got the folder"),
        ):
            with self.assertRaisesRegex(error, text):
                program.write_files({self.a: b"new", self.b: b"2", wrong: b"3"})
        with self.assertRaises(TypeError):
            program.write_files({self.a: b"new", self.b: "no bytes"})
        self.assertEqual(self.read(self.a), b"old")
        self.assertEqual(os.listdir(self.folder), ["a"])

    def test_a_name_in_the_folder_where_one_stands(self):
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        program.write_files({"c": b"3"})
        self.assertEqual(self.read("c"), b"3")


if __name__ == "__main__":
    absltest.main()
