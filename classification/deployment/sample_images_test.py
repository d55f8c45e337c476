"""Tests of the program sample_images."""

import dataclasses
import os
import pathlib

import numpy as np
from absl.testing import absltest

from classification.base import program_testing
from classification.data import testing
from classification.deployment import check_images, sample_images
from classification.testing import digits_networks

_OTHER = dataclasses.replace(digits_networks.DIGITS, dataset="flowers")


class SampleImagesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)
        for folder, config in (("digits", digits_networks.DIGITS), ("other", _OTHER)):
            os.mkdir(folder)
            config.write(folder)
        for value in (10, 20, 30):
            png = testing.encode_png(np.full([40, 40, 3], value, np.uint8))
            pathlib.Path(f"{value}.png").write_bytes(png)

    def take(self, *arguments: str) -> tuple[np.ndarray, str]:
        """Runs the program; returns the images that it wrote, and its output."""
        status, out, err = program_testing.run_program(
            sample_images.main, *arguments, "--output=out.npy"
        )
        self.assertEqual((status, err), (None, ""))
        self.assertEndsWith(out, ", 32 x 32 pixels.\nWritten to out.npy\n")
        return np.load("out.npy"), out

    def test_digits_where_they_were_trained_on(self):
        images, out = self.take("--checkpoint_dir=digits")
        expected = check_images.of_digits(128, image_size=32)
        np.testing.assert_array_equal(images, expected.images)
        self.assertStartsWith(out, "Images: 128 of the 360 handwritten digits held out")

    def test_photographs_else(self):
        images, out = self.take("--checkpoint_dir=other", "--num_images=4")
        np.testing.assert_array_equal(images, check_images.of_photographs(4, image_size=32).images)
        self.assertStartsWith(out, "Images: 4 parts of scikit-learn's photographs china.jpg and ")

    def test_images_given_win(self):
        for flags in (["--images=10.png", "--images=20.png", "--images=30.png"],):
            images, out = self.take("--checkpoint_dir=digits", "--num_images=3", *flags)
            self.assertEqual(images.shape, (3, 32, 32, 3))
            self.assertEqual(list(images[:, 0, 0, 0]), [10, 20, 30])
            self.assertStartsWith(out, "Images: the 3 images given, ")

    def test_same_bytes_again(self):
        contents = set()
        for _ in range(2):
            self.take("--checkpoint_dir=other", "--num_images=4")
            contents.add(pathlib.Path("out.npy").read_bytes())
        self.assertLen(contents, 1)

    def test_bad_input_is_an_error_of_one_sentence(self):
        folder, output = "--checkpoint_dir=digits", "--output=x.npy"
        os.mkdir("empty")
        cases = {
            "expected --checkpoint_dir": [output],
            "expected --output": [folder],
            "expected a model.json in empty": ["--checkpoint_dir=empty", output],
            "expected a model.json in gone": ["--checkpoint_dir=gone/x", output],
            "number of images of at least 1, got 0": [folder, output, "--num_images=0"],
            "at most 360 images, .* got 361": [folder, output, "--num_images=361"],
            "gone.png: No such file": [folder, output, "--images=10.png", "--images=gone.png"],
            "in digits/model.json, got neither": [
                folder,
                output,
                "--images=digits/model.json",
            ],
            "expected a folder nowhere": [folder, "--output=nowhere/x.npy"],
        }
        for expected, arguments in cases.items():
            with self.subTest(expected):
                status, out, err = program_testing.run_program(sample_images.main, *arguments)
                self.assertEqual((status, out), (1, ""), msg=err)
                self.assertRegex(err, "^prog: .*" + expected)
                self.assertFalse(os.path.exists("x.npy"))


if __name__ == "__main__":
    absltest.main()
