"""Trains digits with a cluster of processes on this machine."""

import re
import subprocess

import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.cluster.cluster_processes import Processes
from tests import runfiles

_PROGRAMS = runfiles.path("classification")
_JOBS = {"ps": 1, "chief": 1, "worker": 1}
_STEP = r"(?m)^step (\d+)/"


class ClusterTrainingTest(absltest.TestCase):
    def _cluster(self, *flags: str) -> tuple[Processes, str]:
        """Returns a cluster whose processes are not started, and the folder of its checkpoints."""
        folder = self.create_tempdir().full_path
        command = [
            _PROGRAMS / "mobilenet_v1_l2norm_train",
            f"--checkpoint_dir={folder}",
            "--quantize=false",
            "--save_summaries_secs=0",
            "--log_every_n_steps=1",
            *flags,
        ]
        printed = self.create_tempdir().full_path
        return self.enter_context(Processes(command, _JOBS, printed)), folder

    def _accuracy(self, folder: str) -> float:
        """Returns the accuracy on the held-out images in percent."""
        done = subprocess.run(
            [_PROGRAMS / "mobilenet_v1_l2norm_eval", f"--checkpoint_dir={folder}"],
            capture_output=True,
            text=True,
            check=False,
        )
        match = re.search(r"^Accuracy: (\S+) %", done.stdout, re.MULTILINE)
        assert match is not None, done.stdout + done.stderr
        return float(match[1])

    def test_a_killed_worker_is_started_again(self):
        processes, folder = self._cluster("--number_of_steps=300", "--batch_size=32")
        processes.start("ps 0", "chief 0")
        processes.wait_for("chief 0", _STEP)
        # The chief is suspended so that steps are left for the worker on a fast machine.
        with processes.suspended("chief 0"):
            processes.start("worker 0")
            processes.wait_for("worker 0", _STEP)
        processes.wait_for("chief 0", r"(?m)^step ([5-9]\d|[12]\d\d)/")
        processes.kill("worker 0")
        # The chief continues.
        processes.wait_for("chief 0", r"(?m)^step ([12]\d\d)/")
        with processes.suspended("chief 0"):
            processes.start("worker 0")
            self.assertGreater(int(processes.wait_for("worker 0", _STEP)), 50)
        processes.end()
        self._check_end(processes, folder, 300)
        # Guessing gives 10 %. The exact accuracy depends on the order of the processes' steps.
        self.assertGreater(self._accuracy(folder), 50.0)

    def test_synchronous_workers(self):
        processes, folder = self._cluster(
            "--number_of_steps=20", "--batch_size=8", "--sync_replicas"
        )
        processes.start("ps 0", "chief 0", "worker 0")
        processes.end()
        self._check_end(processes, folder, 20)

    def test_a_server_that_starts_after_training_ends(self):
        processes, folder = self._cluster()
        with tf.Graph().as_default(), tf.Session() as session:
            step = tf.train.create_global_step()
            session.run(step.assign(1000))
            tf.train.Saver().save(session, f"{folder}/model.ckpt", step)
        processes.start("ps 0")
        processes.end()
        self.assertEqual(processes.printed("ps 0"), "Training has ended.\n")

    def _check_end(self, processes: Processes, folder: str, step: int) -> None:
        self.assertEqual(tf.train.latest_checkpoint(folder), f"{folder}/model.ckpt-{step}")
        self.assertEqual(tf.train.load_checkpoint(folder).get_tensor("global_step"), step)
        for name in ("chief 0", "worker 0"):
            self.assertIn(f"\nTrained to step {step}. ", processes.printed(name))
        self.assertEndsWith(processes.printed("ps 0"), "Training has ended.\n")


if __name__ == "__main__":
    absltest.main()
