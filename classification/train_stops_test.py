"""Ends the program `train` in all ways, and starts it again with the same flags."""

import os
import signal
import subprocess
import time

from absl.testing import absltest

from classification.nets import checkpoints
from tests import runfiles

_PROGRAM = runfiles.path("classification/mobilenet_v1_l2norm_train")
_STEPS = 400


class TrainStopsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                _PROGRAM,
                "--quantize=false",
                "--checkpoint_dir=net",
                "--batch_size=8",
                f"--number_of_steps={_STEPS}",
                "--save_interval_secs=1",
                "--save_summaries_secs=0",
                "--log_every_n_steps=10",
            ],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            text=True,
        )

    def test_continues_and_reaches_the_same_number_of_steps(self):
        net = os.path.join(self.folder, "net")
        with self._start() as running:
            while not checkpoints.newest_step(net):
                self.assertIsNone(running.poll())
                time.sleep(0.01)
            running.kill()
        killed = checkpoints.newest_step(net)
        assert killed is not None
        self.assertBetween(killed, 1, _STEPS - 1)

        with self._start() as running:
            assert running.stdout is not None
            lines = []
            for line in running.stdout:
                lines.append(line)
                if line.startswith("step "):
                    running.terminate()
                    break
            lines.extend(running.stdout)
        self.assertIn(f"Continuing from net/model.ckpt-{killed}, step {killed}.\n", lines)
        self.assertEqual(running.returncode, 128 + signal.SIGTERM)
        terminated = checkpoints.newest_step(net)
        self.assertIn(
            f"Stopped by SIGTERM at step {terminated}, with a checkpoint: the same command "
            "continues from there.\n",
            lines,
        )
        self.assertBetween(terminated, killed + 1, _STEPS - 1)

        with self._start() as running:
            out, _ = running.communicate()
        self.assertEqual(running.returncode, 0)
        self.assertIn(f"Continuing from net/model.ckpt-{terminated}, step {terminated}.", out)
        self.assertIn(f"Trained to step {_STEPS}. The network is in net.", out)
        self.assertEqual(checkpoints.newest_step(net), _STEPS)
        for checkpoint in checkpoints.by_step(net):
            self.assertIsNone(checkpoint.damage)


if __name__ == "__main__":
    absltest.main()
