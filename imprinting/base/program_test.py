"""Tests of running programs: flags, errors and warnings."""

import contextlib
import functools
import io
import logging
import os
import subprocess
import sys
import warnings

from absl import flags
from absl.testing import absltest, parameterized

from imprinting.base import program
from imprinting.base.program_testing import run

_SIZE = flags.DEFINE_integer("size", 7, "A number.")
flags.DEFINE_string("input", "", "A file.")
flags.DEFINE_string("output", None, "Another file.")
flags.DEFINE_string("another", "", "A third file.")


class RunTest(parameterized.TestCase):
    def test_parses_flags_and_leaves_output_alone(self):
        self.assertEqual(run(lambda: print(_SIZE.value), "--size=3"), (None, "3\n", ""))

    @parameterized.parameters(
        (ValueError("expected this, got that"), "expected this, got that"),
        (
            FileNotFoundError(2, "No such file or directory", "a/b"),
            "a/b: No such file or directory",
        ),
        (FileNotFoundError("expected a"), "expected a"),
        (
            IsADirectoryError(21, "Is a directory", "a"),
            "expected a file, got the folder a; name a file",
        ),
        (ZeroDivisionError("by 0"), "by 0"),
        (MemoryError(), "out of memory"),
    )
    def test_user_errors_are_one_sentence_and_status_1(self, error, expected):
        def failing():
            raise error

        self.assertEqual(run(failing), (1, "", f"prog: {expected}\n"))

    @parameterized.parameters(KeyError, NotImplementedError, RecursionError, RuntimeError)
    def test_other_errors_keep_their_traceback(self, kind):
        def wrong():
            raise kind

        with self.assertRaises(kind), contextlib.redirect_stderr(io.StringIO()):
            program.run(wrong, ["prog"])

    def test_user_errors_that_a_program_adds(self):
        def failing():
            raise RuntimeError("not this")

        with self.assertRaises(SystemExit) as end, contextlib.redirect_stderr(io.StringIO()) as err:
            program.run(
                failing, ["prog"], user_errors=(RuntimeError,), describe=lambda error: f"<{error}>"
            )
        self.assertEqual((end.exception.code, err.getvalue()), (1, "prog: <not this>\n"))

    def test_not_implemented_is_never_a_user_error(self):
        def wrong():
            raise NotImplementedError

        with self.assertRaises(NotImplementedError), contextlib.redirect_stderr(io.StringIO()):
            program.run(wrong, ["prog"], user_errors=(RuntimeError,))

    def test_warnings_are_one_line(self):
        run_warning = run(lambda: warnings.warn("odd", stacklevel=1))
        self.assertEqual(run_warning, (None, "", "prog: warning: odd\n"))

    def test_verbosity_shows_the_traceback(self):
        def failing():
            raise ValueError("expected this, got that")

        with self.assertLogs("absl", logging.DEBUG) as logs:
            self.assertEqual(run(failing, "--verbosity=1")[0], 1)
        self.assertIn('raise ValueError("expected this', "\n".join(logs.output))

    def test_arguments_that_are_not_flags(self):
        status, _, err = run(lambda: self.fail("main was called"), "size", "3")
        self.assertEqual(status, 1)
        self.assertIn("expected only flags, as --NAME=VALUE, got size 3", err)

    def test_arguments_of_a_program_that_takes_them(self):
        def main(arguments):
            print(*arguments, flags.FLAGS.size)

        takes = functools.partial(program.run, takes_arguments=True)
        for given in (["a", "--size=3", "b"], ["--size", "3", "a", "b"], ["a", "b", "--size=3"]):
            self.assertEqual(run(main, *given, runner=takes), (None, "a b 3\n", ""))
        self.assertEqual(run(main, "--", "--size=3", runner=takes), (None, "--size=3 7\n", ""))

    def test_interruption(self):
        def interrupted():
            raise KeyboardInterrupt

        self.assertEqual(run(interrupted), (130, "", "prog: interrupted\n"))

    @parameterized.parameters(
        ("--sise=3", "Unknown command line flag 'sise'. Did you mean: size"),
        ("--size=x", "flag --size=x: .*'x'.*"),
        ("--size", "Missing value for flag --size"),
    )
    def test_wrong_flags_are_one_sentence(self, flag, expected):
        status, out, err = run(lambda: self.fail("main was called"), flag)
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, f"^prog: {expected}.*; --help explains the flags\\n$")
        self.assertLen(err.splitlines(), 1)

    def test_the_reader_has_gone(self):
        def printing():
            raise BrokenPipeError(32, "Broken pipe")

        self.assertEqual(run(printing), (141, "", ""))


class StreamsTest(parameterized.TestCase):
    def run_shell(self, body, redirection, **environment):
        code = f"from imprinting.base import program\ndef main():\n  {body}\nprogram.run(main)"
        return subprocess.run(
            ["bash", "-c", f'"$0" -c "$1" {redirection}; exit ${{PIPESTATUS[0]}}']
            + [sys.executable, code],
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": ""}
            | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    # Less than a buffer, which is printed at the end, and more.
    @parameterized.parameters(1, 100_000)
    def test_the_reader_of_a_pipe_has_gone(self, count):
        done = self.run_shell(f"import time; time.sleep(0.5); print('x' * {count})", "| true")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (141, "", ""))

    def test_an_encoding_without_the_characters(self):
        done = self.run_shell(r"print('gr\xfcn')", "", PYTHONIOENCODING="ascii")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "gr\\xfcn\n", ""))

    def test_closed_streams(self):
        done = self.run_shell("print('x'); raise ValueError('y')", "2>&-")
        self.assertEqual((done.returncode, done.stdout), (1, "x\n"))
        done = self.run_shell("import sys; print('x'); sys.stdout.flush()", ">&-")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_output_that_cannot_be_written(self):
        path = self.create_tempfile().full_path
        # Nothing can be written to files, as if the disk were full.
        code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); print('x')"
        done = self.run_shell(code, f"> {path}")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "-c: standard output: File too large\n")


class FlagsTest(absltest.TestCase):
    def test_require_lists_all_missing_flags(self):
        def main():
            program.require("input", ("output", "another"))

        self.assertEqual(run(main, "--input=a", "--another=b"), (None, "", ""))
        for arguments, missing in (
            ((), "--input, --output or --another"),
            (("--input=a",), "--output or --another"),
            (("--input=", "--output=b"), "--input"),
        ):
            said = f"prog: expected {missing}; --help explains them\n"
            self.assertEqual(run(main, *arguments), (1, "", said))

    def test_given_returns_only_flags_that_were_set(self):
        values = []
        run(lambda: values.append(program.given(["size", "input"])))
        run(lambda: values.append(program.given(["size", "input"])), "--size=7")
        run(lambda: values.append(program.given(["input"])), "--input=")
        self.assertEqual(values, [{}, {"size": 7}, {"input": ""}])


if __name__ == "__main__":
    absltest.main()
