"""Tests of the program prepare_checkpoint."""

import dataclasses
import os
import pathlib
import shutil
import subprocess
import tempfile
from unittest import mock

import numpy as np
from absl.testing import absltest
from PIL import Image

from classification.base import program_testing
from classification.deployment import prepare_checkpoint, published_head
from classification.nets import model_config
from classification.nets.checkpoint import Checkpoint
from classification.testing import digits_networks
from tests import runfiles

_PROGRAM = runfiles.path("classification/deployment/prepare_checkpoint")
_QUANTISED = dataclasses.replace(digits_networks.DIGITS, quantize=True)
_BARE = ("--image_size=32", "--depth_multiplier=0.25", "--num_classes=10", "--quantize")


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


class PrepareTest(absltest.TestCase):
    source: str

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source = os.path.realpath(cls.enterClassContext(tempfile.TemporaryDirectory()))
        digits_networks.write_network(cls.source, _QUANTISED)
        dataclasses.replace(_QUANTISED, dataset="/mine/flowers").write(cls.source)

    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)

    def run_program(self, *arguments: str) -> tuple[int | str | None, str, str]:
        return program_testing.run_program(prepare_checkpoint.main, *arguments)

    def assert_fails(self, expected: str, *arguments: str) -> None:
        status, out, err = self.run_program(*arguments)
        self.assertEqual((status, out), (1, ""), msg=err)
        self.assertRegex(err, "^prog: (?s:.*)" + expected)
        self.assertFalse(os.path.exists("out"))

    def test_says_and_writes(self):
        flags = (f"--checkpoint_dir={self.source}", "--output_dir=out")
        status, out, err = self.run_program(*flags)
        self.assertEqual((status, err), (None, ""))
        self.assertRegex(
            out,
            rf"^Checkpoint: {self.source}/model.ckpt-1234 \(step 1,234\)\n"
            r"Network: mobilenet_v1, quantised, 10 classes, 32 x 32 pixels, depth multiplier 0.25; "
            r"258 variables\.\nLast kernel: quantised from -0.5 to 0.5 at least, so that classes "
            r"can be imprinted\.\nLabels: as in its model.json.\nWritten to out\n$",
        )
        config = model_config.read("out")
        self.assertEqual(config, dataclasses.replace(_QUANTISED, dataset="flowers"))
        first = contents("out")
        self.assertLen(first, 4)
        # Again into the same folder; then the prepared folder itself, in another process and
        # an empty folder as Bazel makes it.
        self.run_program(*flags)
        self.assertEqual(contents("out"), first)
        os.mkdir("again")
        flags = ("--checkpoint_dir=out", "--output_dir=again")
        done = subprocess.run([_PROGRAM, *flags], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(contents("again"), first)

    def test_bare_checkpoint_with_flags_and_labels(self):
        shutil.copytree(self.source, "bare", ignore=shutil.ignore_patterns("model.json"))
        pathlib.Path("names").write_text("abcdefghij".replace("", "\n"))
        flags = ("--checkpoint_dir=bare", *_BARE, "--labels_file=names", "--output_dir=out")
        status, out, _ = self.run_program(*flags)
        self.assertIsNone(status)
        self.assertIn("\nLabels: as in names.\n", out)
        config = model_config.read("out")
        expected = dataclasses.replace(_QUANTISED, dataset="", labels=tuple("abcdefghij"))
        self.assertEqual(config, expected)
        _, out, _ = self.run_program("--checkpoint_dir=bare", *_BARE, "--output_dir=out")
        self.assertIn("\nLabels: the classes' numbers, since no file names them", out)

    def test_the_product_has_the_fixed_range_of_the_embedding(self):
        config = dataclasses.replace(_QUANTISED, learned_embedding_range=True)
        prefix = digits_networks.write_network("learned", config)
        flags = (f"--checkpoint_dir={prefix}", *_BARE, "--output_dir=out")
        status, out, err = self.run_program(*flags)
        self.assertIsNone(status, err)
        self.assertIn("quantised with the range that a .tflite gives it, not the learned", out)
        self.assertFalse(model_config.read("out").learned_embedding_range)

    def test_published_classifier(self):
        values = {"MobilenetV1/Logits/scale_factor": np.float32(20)}
        published = published_head.Published(values, "What was done.")
        with (
            mock.patch.object(published_head, "is_published", return_value=True),
            mock.patch.object(published_head, "read", return_value=published) as read,
        ):
            _, out, _ = self.run_program(f"--checkpoint_dir={self.source}", "--output_dir=out")
            checkpoint, _, images = read.call_args.args
            self.assertIsNone(images)
            for number in range(3):
                Image.new("RGB", (40, 30), (9 * number, 0, 0)).save(f"{number}.png")
            photos = [f"--images={number}.png" for number in range(3)]
            self.run_program(f"--checkpoint_dir={self.source}", *photos, "--output_dir=out")
            images = read.call_args.args[2]
        self.assertIn("\nWhat was done.\n", out)
        self.assertEqual(checkpoint.prefix, f"{self.source}/model.ckpt-1234")
        self.assertEqual(Checkpoint("out/model.ckpt").shapes, {name: [] for name in values})
        self.assertEqual(images.shape[0], 3)
        self.assertEqual(images[:, 0, 0, 0].tolist(), [0, 9, 18])

    def test_bad_input_is_an_error_of_one_sentence(self):
        source = f"--checkpoint_dir={self.source}"
        out = "--output_dir=out"
        self.assert_fails("expected --output_dir", source)
        self.assert_fails("expected a trained network in a folder below", out)
        self.assert_fails("got gone: there is no such", "--checkpoint_dir=gone", out)
        self.assert_fails("--num_classes=9 contradicts ", source, out, "--num_classes=9")
        self.assert_fails("gone does not exist", source, out, "--labels_file=gone")
        self.assert_fails("expected a folder /.*/nowhere to", source, "--output_dir=nowhere/out")
        pathlib.Path("names").write_text("one\n")
        self.assert_fails("10 classes, got 1 names in names", source, out, "--labels_file=names")
        shutil.copytree(self.source, "bare", ignore=shutil.ignore_patterns("model.json"))
        bare = ("--checkpoint_dir=bare", _BARE[0], *_BARE[2:])
        self.assert_fails("does not hold all of it", *bare, out)


if __name__ == "__main__":
    absltest.main()
