"""Runs, for a few steps, the program that trains the build's own network."""

import pathlib
import subprocess

from absl.testing import absltest, flagsaver

from classification import train_digits
from classification.base import program_testing
from classification.deployment import deployable
from classification.nets import model_config
from tests import runfiles

_PROGRAM = runfiles.path("classification/train_digits")
# A float network is built in half the time.
_SMALL = ("--number_of_steps=2", "--image_size=40", "--depth_multiplier=0.125", "--noquantize")


class ConfigsTest(absltest.TestCase):
    def test_as_train_does_with_nothing_else_said(self):
        program_testing.run_program(lambda: None)
        model, config = train_digits.configs()
        self.assertEqual((model.image_size, model.depth_multiplier), (32, 0.25))
        self.assertEqual((model.quantize, model.dataset), (True, "digits"))
        self.assertEqual(model.labels, tuple("0123456789"))
        self.assertEqual((config.number_of_steps, config.quant_delay), (1000, 250))
        self.assertEqual((config.learning_rate, config.batch_norm_decay), (0.1, 0.95))
        self.assertEqual((config.seed, config.save_summaries_secs), (0, 0))

    def test_flags_win(self):
        with flagsaver.as_parsed(number_of_steps="30", quantize="false"):
            model, config = train_digits.configs()
        self.assertFalse(model.quantize)
        self.assertEqual((config.number_of_steps, model.image_size), (30, 32))


class TrainDigitsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def contents(self, folder: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.folder / folder).iterdir()}

    def test_same_bytes_from_another_folder(self):
        (self.folder / "out").mkdir()
        for folder, output in (("here", "../out"), ("there", "../again")):
            (self.folder / folder).mkdir()
            done = subprocess.run(
                [_PROGRAM, f"--output_dir={output}", *_SMALL],
                cwd=self.folder / folder,
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            self.assertEqual(self.contents(folder), {})
        found = self.contents("out")
        self.assertCountEqual(found, deployable.FILE_NAMES)
        self.assertEqual(found, self.contents("again"))
        config = model_config.read(str(self.folder / "out"))
        self.assertEqual((config.image_size, config.depth_multiplier), (40, 0.125))

    def test_bad_input_is_an_error_of_one_sentence(self):
        output = f"--output_dir={self.folder}/out"
        for expected, arguments in {
            "expected --output_dir": ["--number_of_steps=2"],
            "expected --number_of_steps to be at least 1, got 0": ["--number_of_steps=0", output],
            "expected image_size to be above 0, got -1": ["--image_size=-1", output],
            "images of at least 32 x 32 pixels, got 31 x 31": ["--image_size=31", output],
        }.items():
            with self.subTest(expected):
                status, out, err = program_testing.run_program(train_digits.main, *arguments)
                self.assertEqual((status, out), (1, ""), msg=err)
                self.assertRegex(err, f"^prog: .*{expected}")
                self.assertEqual(self.contents("."), {})


if __name__ == "__main__":
    absltest.main()
