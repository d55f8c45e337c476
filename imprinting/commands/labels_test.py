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

    def test_numbers_are_those_of_the_input(self):
        others = [name for n, name in enumerate(testing.LABELS) if n not in (0, 2, 3)]
        numbers = ("--remove=0", "--remove=3", "--remove=2", f"--remove={testing.LABELS[3]}")
        for remove in (numbers, numbers[::-1]):
            flags = ("--model=in.tflite", "--output=out.tflite", "--rename=6=last", *remove)
            self.assertEqual(run(*flags), (None, "Wrote out.tflite: 4 classes.\n", ""))
            data = pathlib.Path("out.tflite").read_bytes()
            self.assertEqual(metadata.labels_of(data), (*others[:-1], "last"))

    def test_errors(self):
        pathlib.Path("photo.jpg").write_bytes(b"not a model")
        pathlib.Path("plain.tflite").write_bytes(testing.small().model)
        for arguments, expected in (
            (("--model=plain.tflite",), "plain.tflite: expected a model with names"),
            (("--model=photo.jpg",), "photo.jpg: expected"),
            (("--model=",), "got --model without a name"),
            (
                ("--model=in.tflite", "--output=o", "--remove=crane"),
                "got crane, and classes 1, 2 have it; give the number of one$",
            ),
            (("--model=gone.tflite",), "gone.tflite: No such file"),
            (("--output=out.tflite",), "got --output without them"),
            (("--remove=1",), "got them without --output"),
            (("--model=in.tflite", "--output=o", "--rename=a"), "expected --rename=OLD=NEW, got a"),
            (("--model=in.tflite", "--output=o", "--remove=x"), "'x', which no class has"),
            (
                ("--model=in.tflite", "--output=o", "--remove=99"),
                "the number of a class, 0..6, got 99",
            ),
        ):
            status, out, err = run(*arguments)
            self.assertEqual((status, out), (1, ""))
            self.assertRegex(err, f"^prog: .*{expected}")
        self.assertFalse(os.path.exists("o"))


if __name__ == "__main__":
    absltest.main()
