"""Tests of the program labels."""

import os
import pathlib

from absl.testing import absltest

from imprinting.base import program_testing
from imprinting.commands import labels
from imprinting.tflite import metadata, model_file
from transforms.conversion import testing


def run(*arguments: str) -> tuple[int | str | None, str, str]:
    return program_testing.run(labels.main, *arguments)


class LabelsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)
        model = model_file.parse(testing.small().model)
        pathlib.Path("in.tflite").write_bytes(metadata.attach(model, testing.LABELS))

    def test_prints_names(self):
        expected = "".join(f"{name}\n" for name in testing.LABELS)
        self.assertEqual(run("--model=in.tflite"), (None, expected, ""))

    def test_changes_names(self):
        first, second, *others = testing.LABELS
        flags = ("--model=in.tflite", "--output=out.tflite", "--remove=1", f"--rename={first}=a=b")
        self.assertEqual(run(*flags), (None, "Wrote out.tflite: 6 classes.\n", ""))
        data = pathlib.Path("out.tflite").read_bytes()
        self.assertEqual(metadata.labels_of(data), ("a=b", *others))

    def test_errors(self):
        pathlib.Path("plain.tflite").write_bytes(testing.small().model)
        for arguments, expected in (
            (("--model=plain.tflite",), "plain.tflite: expected a model with names"),
            (("--model=gone.tflite",), "gone.tflite: No such file"),
            (("--output=out.tflite",), "got --output without them"),
            (("--remove=1",), "got them without --output"),
            (("--model=in.tflite", "--output=o", "--rename=a"), "expected --rename=OLD=NEW, got a"),
            (("--model=in.tflite", "--output=o", "--remove=x"), "'x', which no class has"),
            (("--model=in.tflite", "--output=o", "--remove=99"), "got 99"),
        ):
            status, out, err = run(*arguments)
            self.assertEqual((status, out), (1, ""))
            self.assertRegex(err, f"^prog: .*{expected}")
        self.assertFalse(os.path.exists("o"))


if __name__ == "__main__":
    absltest.main()
