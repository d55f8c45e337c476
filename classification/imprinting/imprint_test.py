"""Tests of the program imprint with a checkpoint; imprinting/commands has those with a .tflite."""

import os
import pathlib

import numpy as np
from absl.testing import absltest
from PIL import Image

from classification.base import program_testing
from classification.deployment import deployable
from classification.imprinting import imprint
from classification.nets import checkpoints, model_config
from tests import runfiles

_DIGITS = str(runfiles.path("classification/digits_network"))
_COLOURS = {"grün": (20, 220, 30), "red": (230, 20, 20)}


def run(*arguments: str) -> tuple[int | str | None, str, str]:
    return program_testing.run_program(imprint.main, "--images_dir=photos", *arguments)


class ImprintTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(os.path.realpath(self.create_tempdir().full_path))
        random = np.random.default_rng(0)
        for name, colour in _COLOURS.items():
            os.makedirs(f"photos/{name}")
            for index in range(5):
                noise = random.integers(-20, 21, [32, 32, 3])
                pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(f"photos/{name}/{index}.png")

    def imprint(self, *arguments: str) -> str:
        status, out, err = run("--allow_lost_classes=false", *arguments)
        self.assertEqual((status, err), (None, ""), msg=out)
        return out

    def assert_fails(self, expected: str, *arguments: str) -> None:
        status, out, err = run(*arguments)
        self.assertEqual((status, out), (1, ""), msg=err)
        self.assertRegex(err, "(?s)^prog: .*" + expected)
        self.assertNotIn("Traceback", err)

    def test_a_checkpoint(self):
        pathlib.Path("photos/red/bad.jpg").write_bytes(b"bad")
        flags = (f"--checkpoint={_DIGITS}", "--output=out")
        self.assert_fails(r"got 1 that cannot \(red/bad.jpg: it is not a JPEG", *flags)
        out = self.imprint(*flags, "--skip_bad_images")
        self.assertStartsWith(
            out,
            "Wrote out: 0 classes kept, 2 new, from 10 photos.\nSkipped because they cannot",
        )
        config = model_config.read("out")
        self.assertEqual(config.labels, ("grün", "red"))
        # The checkpoint has everything that the network computes with.
        values = deployable.read_values(checkpoints.find("out"), config)
        self.assertEqual(values["MobilenetV1/Logits/Conv2d_1d_1x1_normalize/biases"].shape, (2,))
        out = self.imprint(*flags, "--skip_bad_images", "--keep_classes")
        self.assertIn("Cosines: photos of new classes have a cosine of", out)
        self.assertEqual(model_config.read("out").labels, (*"0123456789", "grün", "red"))
        os.rename("photos/red", "photos/7")
        self.assert_fails(
            "expected new classes, got 7", *flags, "--keep_classes", "--skip_bad_images"
        )
        pathlib.Path("out/precious").touch()
        self.assert_fails("out, which holds precious", *flags)
        self.assert_fails("none", "--checkpoint=none", "--output=out")
        pathlib.Path("names.txt").write_text("a\nb\n")
        self.assert_fails(
            "10 classes, got 2 names in names.txt; correct the file, or name another with --labels",
            *flags,
            "--keep_classes",
            "--labels=names.txt",
        )

    def test_flags(self):
        self.assert_fails(
            "expected --image_size only with --checkpoint", "--image_size=96", "--output=x"
        )
        flags = ("--output=x", "--checkpoint=x")
        self.assert_fails("either --model or --checkpoint, got both", "--model=y", *flags)
        self.assert_fails("expected --embedder only with --model", "--embedder=y", *flags)
        self.assert_fails("expected --output; ", "--checkpoint=x")


if __name__ == "__main__":
    absltest.main()
