"""Tests of the program measure_moments."""

import os
import pathlib

import numpy as np
from absl.testing import absltest
from PIL import Image

from classification.base import program_testing
from classification.nets.model_config import ModelConfig
from classification.pretrained import measure_moments
from classification.testing import digits_networks
from imprinting.embedding.leading_moments import LeadingMoments

_MODEL = ModelConfig(image_size=32, depth_multiplier=0.25, num_classes=3, labels=("a", "b", "c"))


class MeasureMomentsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)
        os.mkdir("photos")
        random = np.random.default_rng(0)
        for number in range(8):
            pixels = random.integers(0, 256, [2, 2, 3], np.uint8)
            Image.fromarray(pixels).resize((40, 40)).save(f"photos/{number}.png")

    def run_program(self, *arguments):
        return program_testing.run_program(measure_moments.main, *arguments)

    def network(self):
        digits_networks.write_network("network", _MODEL)
        _MODEL.write("network")
        return "--checkpoint_dir=network"

    def test_writes_the_moments_of_every_second_photo(self):
        flags = (self.network(), "--images_dir=photos", "--directions=3")
        status, out, err = self.run_program(*flags, "--every=2", "--output=moments.npz")
        self.assertIsNone(status, err)
        size = os.path.getsize("moments.npz")
        self.assertIn(
            f"Wrote moments.npz: 3 directions of 256 features, from 4 photos; {size:,} bytes.", out
        )
        every_second = LeadingMoments.load("moments.npz")
        self.assertEqual(every_second.directions.shape, (3, 256))
        for number in (1, 3, 5, 7):
            os.remove(f"photos/{number}.png")
        self.run_program(*flags, "--output=again.npz")
        self.assertEqual(
            pathlib.Path("again.npz").read_bytes(), pathlib.Path("moments.npz").read_bytes()
        )

    def test_bad_input(self):
        folder = self.network()
        for expected, *arguments in (
            ("expected --checkpoint_dir", "--images_dir=photos", "--output=out"),
            ("to be at least 1, got 0", folder, "--images_dir=photos", "--every=0", "--output=out"),
            ("gone", folder, "--images_dir=gone", "--output=out"),
            ("expected a folder .*nowhere", folder, "--images_dir=photos", "--output=nowhere/out"),
            (
                "1..255 directions of 256 features, got 256",
                folder,
                "--images_dir=photos",
                "--directions=256",
                "--output=out",
            ),
        ):
            status, _, err = self.run_program(*arguments)
            self.assertEqual(status, 1, expected)
            self.assertRegex(err, expected)
            self.assertFalse(os.path.exists("out"))


if __name__ == "__main__":
    absltest.main()
