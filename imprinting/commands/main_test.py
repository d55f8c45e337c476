"""Tests of the command `imprinting`, in processes of its own."""

import contextlib
import importlib
import io
import os
import pathlib
import subprocess
import sys
from unittest import mock

from absl.testing import absltest, parameterized

import imprinting
from imprinting.commands import main
from imprinting.tflite import metadata, model_file
from transforms.conversion import testing


def run(*arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "imprinting", *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


class MainTest(parameterized.TestCase):
    def test_help_lists_the_commands(self):
        for arguments in ((), ("--help",), ("-h",), ("help",)):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            for name in main._COMMANDS:
                self.assertRegex(done.stdout, f"(?m)^  {name} ")

    def test_version(self):
        done = run("--version")
        self.assertEqual(done.stdout, f"imprinting {imprinting.__version__}\n")

    def test_unknown_command(self):
        done = run("train")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(
            done.stderr, "^imprinting: expected a command out of app, imprint, .* got train;"
        )
        self.assertLen(done.stderr.splitlines(), 1)

    @parameterized.parameters(*main._COMMANDS)
    def test_help_of_a_command(self, name):
        done = run(name, "--help")
        # absl exits with 1 after --help.
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertRegex(done.stdout, rf"(?m)^  imprinting {name} ")
        self.assertIn(f"\nimprinting {name}:\n", done.stdout)
        for other in ("bazelw", "join_tflite", "split_tflite", "frozen_tflite"):
            self.assertNotIn(other, done.stdout)

    def test_the_reader_of_a_pipe_has_gone(self):
        for arguments in (["--help"], ["labels", "--help"], ["labels"]):
            done = subprocess.run(
                ["bash", "-c", '"$0" -m imprinting "$@" | true; exit ${PIPESTATUS[0]}']
                + [sys.executable, *arguments],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual((done.returncode, done.stdout, done.stderr), (141, "", ""))

    def test_interrupted_while_modules_are_imported(self):
        with (
            mock.patch.object(sys, "argv", ["imprinting", "labels"]),
            mock.patch.object(importlib, "import_module", side_effect=KeyboardInterrupt),
            contextlib.redirect_stderr(io.StringIO()) as err,
            self.assertRaises(SystemExit) as end,
        ):
            main.main()
        self.assertEqual((end.exception.code, err.getvalue()), (130, "imprinting: interrupted\n"))

    def test_a_command(self):
        folder = self.create_tempdir().full_path
        data = metadata.attach(model_file.parse(testing.small().model), testing.LABELS)
        pathlib.Path(folder, "in.tflite").write_bytes(data)
        done = run("labels", "--model=in.tflite", cwd=folder)
        self.assertEqual(done.stdout.splitlines(), [*testing.LABELS])
        done = run("labels", "--model=gone.tflite", cwd=folder)
        self.assertEqual(
            (done.returncode, done.stderr),
            (1, "imprinting labels: gone.tflite: No such file or directory\n"),
        )
        done = run("classify", "--top=0", "a.jpg", cwd=folder)
        self.assertStartsWith(done.stderr, "imprinting classify: expected --top to be at least 1")


if __name__ == "__main__":
    absltest.main()
