"""Runs `evaluate_low_shot` on a .tflite and on the checkpoint that it was made from."""

import os
import pathlib
import re

import numpy as np
from absl.testing import absltest
from PIL import Image

from classification.base import program_testing
from classification.data.dataset import open_dataset
from classification.deployment import deployable
from classification.low_shot import evaluate_low_shot
from classification.nets import model_config
from classification.nets.checkpoint import Checkpoint
from classification.testing.digits_networks import images_and_labels
from imprinting.base import pixel_scaling
from imprinting.tflite import metadata
from tests import runfiles
from tests.end_to_end import checkpoint_products

_DIGITS = str(runfiles.path("classification/digits_network"))


class LowShotTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)
        config = model_config.read(_DIGITS)
        values = deployable.read_values(Checkpoint(f"{_DIGITS}/model.ckpt"), config)
        deployable.write("net", config, values)
        built = checkpoint_products.build(config, f"{_DIGITS}/model.ckpt")
        pathlib.Path("digits.tflite").write_bytes(
            metadata.attach(built.tflite_model, config.labels)
        )
        images, labels = images_and_labels(open_dataset("", "validation"), config.image_size)
        images = pixel_scaling.to_quanta(images)
        for label in range(10):
            for index, pixels in enumerate(images[labels == label][:4]):
                split = "train" if index < 2 else "test"
                # Digits that are rotated by 180 degrees serve as novel classes.
                for part, image in (
                    (f"base/{split}/{label}", pixels),
                    (f"novel/{split}/turned {label}", pixels[::-1, ::-1]),
                ):
                    os.makedirs(part, exist_ok=True)
                    Image.fromarray(image).save(f"{part}/{index}.png")

    def test_reports_the_cost_of_each_step(self):
        status, out, err = program_testing.run_program(
            evaluate_low_shot.main,
            "--model=digits.tflite",
            "--checkpoint=net",
            "--base_dir=base",
            "--novel_dir=novel",
            "--shots=1,2",
            "--num_seeds=2",
        )
        self.assertEqual((status, err), (None, ""), msg=out)
        title, *rows = out.splitlines()[-5:]
        self.assertEndsWith(title, "in points of the accuracy of all, for n = 1, 2:")
        named = [row.strip().rsplit(None, 2) for row in rows]
        self.assertEqual(
            [name for name, *_ in named],
            [
                "rounding of activations",
                "conversion to a .tflite",
                "rounding in its last layers",
                "all of it",
            ],
        )
        costs = np.array([[float(cost) for cost in row] for _, *row in named])
        # Each number is rounded to a tenth.
        np.testing.assert_allclose(costs[:3].sum(axis=0), costs[3], atol=0.21)
        self.assertRegex(out, r"imprinting, checkpoint +2 ")
        self.assertRegex(out, r"imprinting, float activations +2 ")
        before = re.search(r"joined: (.*) \(.tflite\), (.*) \(checkpoint\), (.*) \(float", out)
        for accuracy in before.groups():
            # Guessing gives 0.1.
            self.assertGreater(float(accuracy), 0.5)


if __name__ == "__main__":
    absltest.main()
