"""Tests of the program that cuts a model in two."""

import os

from absl.testing import absltest

from transforms.base import program_testing
from transforms.tflite import split_tflite, testing


class SplitTfliteTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        folder = self.create_tempdir().full_path
        self.model, self.extractor, self.head = (
            os.path.join(folder, f"{name}.tflite") for name in ("model", "extractor", "head")
        )

    def run_program(self):
        return program_testing.run(
            split_tflite.main,
            f"--model={self.model}",
            f"--extractor={self.extractor}",
            f"--head={self.head}",
        )

    def write(self, data):
        with open(self.model, "wb") as file:
            file.write(data)

    def test_writes_both_parts(self):
        small = testing.small()
        self.write(small.model)
        status, out, err = self.run_program()
        said = [
            f"Written: {len(data):,} bytes, {path}\n"
            for data, path in ((small.extractor, self.extractor), (small.head, self.head))
        ]
        self.assertEqual((status, out, err), (None, "".join(said), ""))
        for path, expected in ((self.extractor, small.extractor), (self.head, small.head)):
            with open(path, "rb") as file:
                self.assertEqual(file.read(), expected)

    def test_errors(self):
        for data, expected in (
            (b"noise", "expected a .tflite"),
            (testing.small().model[:-100], "truncated"),
            (testing.compiled(testing.small().model), "compiled for the Edge TPU"),
            (testing.small().head, "one L2_NORMALIZATION"),
        ):
            self.write(data)
            status, _, err = self.run_program()
            self.assertEqual(status, 1)
            self.assertRegex(err, f"^prog: {self.model}: .*{expected}")
            self.assertLen(err.splitlines(), 1)
        self.assertFalse(os.path.exists(self.extractor) or os.path.exists(self.head))

    def test_flags_that_are_missing(self):
        status, _, err = program_testing.run(split_tflite.main, "--head=a")
        self.assertEqual(status, 1)
        self.assertStartsWith(err, "prog: expected --model, --extractor; ")


if __name__ == "__main__":
    absltest.main()
