"""Tests of model_path.py."""

from unittest import mock

from absl.testing import absltest

from imprinting.base import program_testing
from imprinting.commands import model_path
from imprinting.inference import default_model

model_path.define("A model.")


class ModelPathTest(absltest.TestCase):
    def test_given_default_and_empty(self):
        def main():
            print(model_path.given())

        with mock.patch.object(default_model, "path", return_value="default.tflite"):
            for arguments, expected in (
                ((), (None, "default.tflite\n", "")),
                (("--model=a.tflite",), (None, "a.tflite\n", "")),
            ):
                self.assertEqual(program_testing.run(main, *arguments), expected)
            status, out, err = program_testing.run(main, "--model=")
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, "^prog: expected --model=FILE.tflite, got --model without a name;")


if __name__ == "__main__":
    absltest.main()
