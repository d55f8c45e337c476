"""Tests of the program fit_embedding, with a network that was trained on other digits."""

import os
import pathlib
import subprocess
import time
from unittest import mock

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.base.program_testing import run_program
from classification.data import testing
from classification.data.dataset import open_dataset
from classification.deployment import deployable, features
from classification.fitting import fit_embedding, fitted_classifier
from classification.nets import factory, model_config, variable_values
from classification.nets.checkpoint import Checkpoint
from classification.testing.digits_networks import DIGITS, images_and_labels, write_network
from imprinting.base import pixel_scaling
from tests import runfiles

_BASE = str(runfiles.path("classification/digits_network"))
_PROGRAM = runfiles.path("classification/fitting/fit_embedding")
_NAMES = tuple("0123456789")


class FitEmbeddingTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.data = pathlib.Path(self.create_tempdir().full_path)
        (self.data / "labels.txt").write_text("\n".join(_NAMES) + "\n")
        images, labels = images_and_labels(open_dataset("", "validation"), 32)
        self.images, self.labels = pixel_scaling.to_quanta(images), labels
        order = np.argsort(labels, kind="stable")
        # Six digits of each class, evenly spaced.
        self.chosen = np.concatenate([order[labels[order] == n][:6] for n in range(10)])
        self.write("train", self.chosen)
        self.base = _BASE
        self.output = pathlib.Path(self.create_tempdir().full_path) / "out"

    def write(self, split: str, chosen, damaged: int | None = None) -> None:
        records = [
            testing.make_image_example(
                b"damaged" if place == damaged else testing.encode_png(self.images[index]),
                int(self.labels[index]),
            )
            for place, index in enumerate(chosen)
        ]
        testing.write_records(self.data / f"{split}-00000-of-00001", records)

    def fit(self, *arguments: str):
        return run_program(
            fit_embedding.main,
            f"--dataset_dir={self.data}",
            f"--output_dir={self.output}",
            f"--fine_tune_checkpoint={self.base}",
            *arguments,
        )

    @parameterized.parameters(("--quantize", True), ("--noquantize", False), ("--views=2", True))
    def test_classifies_digits(self, flag, quantised):
        status, output, errors = self.fit(flag)
        self.assertIsNone(status, errors)
        self.assertRegex(output, "mobilenet_v1, .*10 classes, 32 x 32 pixels")
        views = 2 if flag == "--views=2" else 6
        self.assertRegex(output, f"60 photos in .*; {views} views of each")
        self.assertRegex(output, r"Accuracy on 60 photos, each held out once: \d+\.\d%")
        self.assertCountEqual(os.listdir(self.output), deployable.FILE_NAMES)
        model = model_config.read(str(self.output))
        self.assertEqual((model.labels, model.quantize), (_NAMES, quantised))
        checkpoint = Checkpoint(str(self.output / deployable.CHECKPOINT))
        values = deployable.read_values(checkpoint, model)
        others = np.setdiff1d(np.arange(len(self.labels)), self.chosen)
        with tf.Graph().as_default(), tf.Session() as session:
            images = tf.constant(pixel_scaling.to_real(self.images[others].astype(np.float32)))
            logits = factory.build(images, model)["Logits"]
            variable_values.load(session, {v: values[v.op.name] for v in tf.global_variables()})
            found = session.run(logits).argmax(axis=1)
        self.assertGreater((found == self.labels[others]).mean(), 0.85)

    def test_same_data_give_the_same_bytes(self):
        contents = []
        for _ in range(2):
            self.fit()
            contents.append([(self.output / name).read_bytes() for name in deployable.FILE_NAMES])
        self.assertEqual(*contents)

    def test_the_result_is_a_base_for_the_next(self):
        self.fit()
        self.base = str(self.output)
        self.output = self.output.with_name("next")
        status, output, errors = self.fit("--views=1")
        self.assertIsNone(status, errors)
        self.assertIn("1 views of each", output)

    def test_a_photo_of_each_class(self):
        self.write("train", self.chosen[::6])
        status, output, errors = self.fit()
        self.assertIsNone(status, errors)
        self.assertIn("the defaults: most classes have only one photo", output)

    def assert_fails(self, pattern: str, *arguments: str) -> None:
        status, output, errors = self.fit(*arguments)
        self.assertEqual(status, 1)
        self.assertRegex(errors, f"\\A[^\\n]*{pattern}[^\\n]*\\n\\Z")
        self.assertEqual(os.listdir(self.output.parent), [])

    def test_bad_data(self):
        self.write("train", self.chosen[:-6])
        self.assert_fails("each of 10 classes, got none of 9")
        self.write("train", self.chosen, damaged=3)
        self.assert_fails("record 3 of .*it is not a JPEG")
        self.write("train", np.repeat(self.chosen[:1], 10))
        self.assert_fails("got none of 1, 2, 3, 4, 5 and 4 more")
        (self.data / "labels.txt").write_text("zero\n")
        self.assert_fails("at least two classes, got only zero")
        (self.data / "labels.txt").unlink()
        self.assert_fails("names of the classes in .*labels.txt")
        self.data /= "absent"
        self.assert_fails("expected a folder with TFRecord files")

    def test_bad_flags(self):
        self.assert_fails("--views of at least 1", "--views=0")
        self.assert_fails("checkpoint of efficientnet_lite0, got", "--network=efficientnet_lite0")
        self.base = ""
        self.assert_fails(
            "--fine_tune_checkpoint with --network=efficientnet_lite3",
            "--network=efficientnet_lite3",
        )
        self.base = write_network(self.create_tempdir().full_path, DIGITS)
        self.assert_fails(
            "ranges of a quantised network",
            "--quantize",
            "--depth_multiplier=0.25",
            "--image_size=32",
        )

    def test_tasks_that_are_killed_and_run_twice(self):
        self.output.mkdir()
        for name in deployable.FILE_NAMES:
            (self.output / name).write_text("earlier")
        earlier = self.contents()
        flags = [f"--dataset_dir={self.data}", f"--output_dir={self.output}", "--num_tasks=2"]
        command = [str(_PROGRAM), *flags, "--task=0", f"--fine_tune_checkpoint={self.base}"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as killed:
            while not list(self.output.parent.glob("out.tasks-1/scratch-*/features-0-*")):
                self.assertIsNone(killed.poll())
                time.sleep(0.005)
            killed.kill()
        status, output, errors = self.fit("--num_tasks=2", "--task=1")
        self.assertIsNone(status, errors)
        self.assertIn("Task 1 of 2: its features are ready. Parts of other tasks that are", output)
        status, _, errors = self.fit("--num_tasks=2", "--task=1", "--views=2")
        self.assertEqual(status, 1)
        self.assertRegex(errors, "^prog: expected the same input and flags .* got views 2 instead")
        self.assertEqual(self.contents(), earlier)
        original = fitted_classifier.fit

        def fit_twice(*arguments):
            # A copy of the task is faster.
            with mock.patch.object(fitted_classifier, "fit", original):
                fit_embedding.main()
            return original(*arguments)

        with mock.patch.object(fitted_classifier, "fit", fit_twice):
            status, output, errors = self.fit("--num_tasks=2", "--task=0")
        self.assertIsNone(status, errors)
        self.assertRegex(output, r"\d s in all tasks to compute features\.\nNext: ")
        # A task that is run again has nothing to compute.
        with mock.patch.object(features, "of_images", side_effect=AssertionError):
            status, output, errors = self.fit("--num_tasks=2", "--task=1")
        self.assertIsNone(status, errors)
        self.assertIn("is complete, there is nothing to do.\n", output)
        parts = pathlib.Path(f"{self.output}.tasks-1")
        self.assertCountEqual(os.listdir(parts), ["plan.json", "replaced", "result.json"])
        self.assertCountEqual(os.listdir(self.output.parent), ["out", parts.name])
        found = self.contents()
        self.fit()
        self.assertEqual(found, self.contents())

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.output.iterdir()}

    def test_output_folder_in_use(self):
        self.output.mkdir()
        (self.output / "note.txt").write_text("mine")
        status, _, errors = self.fit()
        self.assertEqual(status, 1)
        self.assertRegex(errors, "an earlier result, got .* holds note.txt")
        self.assertEqual(os.listdir(self.output), ["note.txt"])


if __name__ == "__main__":
    absltest.main()
