"""Runs the training program as people do."""

import os
import re
import signal
import subprocess

import numpy as np
from absl.testing import absltest

from classification.data import testing as data_testing
from classification.nets import model_config
from tests import runfiles

_PROGRAM = runfiles.path("classification/mobilenet_v1_l2norm_train")


class TrainTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self._folder = self.create_tempdir().full_path

    def _run(self, *arguments: str) -> tuple[int, list[str], str]:
        """Returns exit status, lines of standard output, and standard error."""
        done = subprocess.run(
            [_PROGRAM, *arguments], cwd=self._folder, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    def test_chooses_for_the_digits_and_lets_flags_win(self):
        status, lines, errors = self._run("--number_of_steps=3", "--image_size=40")
        self.assertEqual(status, 0, errors)
        self.assertStartsWith(
            lines[0],
            "Network: mobilenet_v1, quantised, 10 classes, 40 x 40 pixels, depth multiplier 0.25. ",
        )
        self.assertIn("digits, 1437 real images", lines[1])
        self.assertIn("360 more held out", lines[1])
        self.assertEqual(
            lines[2],
            "Training: 3 steps of 64 images, learning rate 0.1, batch norm decay 0.95, "
            "quantising from step 0.",
        )
        self.assertIn("Warning", lines[3])
        self.assertRegex(lines[4], r"^step 1/3  loss \d+\.\d+  rate 0\.1")
        self.assertRegex(lines[-3], r"^step 3/3 .*images/s  0:00:00 left$")
        self.assertEqual(
            lines[-2], "Trained to step 3. The network is in models/digits-quantized-1."
        )
        config = model_config.read(os.path.join(self._folder, "models/digits-quantized-1"))
        self.assertEqual(config.image_size, 40)
        self.assertEqual(config.labels, tuple("0123456789"))
        self.assertTrue(config.quantize)

    def test_interrupt_leaves_a_checkpoint_to_go_on_from(self):
        command = [_PROGRAM, "--quantize=false", "--checkpoint_dir=net", "--log_every_n_steps=1"]
        command += ["--batch_size=8"]
        running = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.PIPE, text=True)
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("step 5/"):
                running.send_signal(signal.SIGINT)
                break
        rest = running.stdout.read()
        running.stdout.close()
        self.assertEqual(running.wait(), 0, rest)
        step = int(re.search(r"Stopped by SIGINT at step (\d+), with a checkpoint", rest)[1])
        self.assertGreaterEqual(step, 5)
        os.rename(os.path.join(self._folder, "net"), os.path.join(self._folder, "moved"))
        status, lines, errors = self._run(
            "--quantize=false", "--checkpoint_dir=moved", f"--number_of_steps={step + 2}"
        )
        self.assertEqual(status, 0, errors)
        self.assertIn(f"Continuing from moved/model.ckpt-{step}, step {step}.", lines)
        self.assertIn(f"Trained to step {step + 2}. The network is in moved.", lines)

    def test_own_data_starts_from_published_weights(self):
        folder = os.path.join(self._folder, "data")
        os.makedirs(folder)
        with open(os.path.join(folder, "labels.txt"), "w") as file:
            file.write("dark\nlight\n")
        examples = [
            data_testing.make_image_example(
                data_testing.encode_png(np.full([40, 40, 3], 30 + 180 * (i % 2), np.uint8)), i % 2
            )
            for i in range(8)
        ]
        data_testing.write_records(os.path.join(folder, "train-00000-of-00001"), examples)
        flags = ("--dataset_dir=data", "--batch_size=4", "--number_of_steps=2", "--image_size=64")
        status, lines, errors = self._run(
            *flags,
            "--checkpoint_dir=head",
            "--quantize",
            "--freeze_base_model",
            "--cache_features=memory",
        )
        self.assertEqual(status, 0, errors)
        self.assertEqual(
            lines[0],
            "Network: efficientnet_lite0, quantised, 2 classes, 64 x 64 pixels. Checkpoints go to "
            "head.",
        )
        self.assertIn("learning rate 0.45, ", lines[2])
        restored = "\n".join(lines)
        self.assertRegex(restored, r"imagenet_efficientnet_lite0/model.ckpt: \d{3} of \d{3} var")
        self.assertIn("The checkpoint has 1000 classes, and this network 2: ", restored)
        config = model_config.read(os.path.join(self._folder, "head"))
        self.assertEqual((config.network, config.labels), ("efficientnet_lite0", ("dark", "light")))
        # The last layer is there.
        status, lines, errors = self._run(
            *flags,
            "--checkpoint_dir=again",
            "--fine_tune_checkpoint=head",
            "--quantize",
            "--freeze_base_model",
        )
        self.assertEqual(status, 0, errors)
        self.assertIn("learning rate 0.0045, ", lines[2])
        # The network of the folder, whatever the default is.
        status, lines, errors = self._run(*flags, "--checkpoint_dir=head", "--quantize")
        self.assertEqual(status, 0, errors)
        self.assertIn("All of the 2 steps asked for have been taken.", "\n".join(lines))

        status, lines, errors = self._run(
            *flags, "--checkpoint_dir=new", "--fine_tune_checkpoint=none", "--network=mobilenet_v1"
        )
        self.assertEqual(status, 0, errors)
        self.assertStartsWith(lines[0], "Network: mobilenet_v1, float, 2 classes, ")
        self.assertIn("learning rate 0.045, ", lines[2])
        self.assertNotIn("restored", "\n".join(lines))


if __name__ == "__main__":
    absltest.main()
