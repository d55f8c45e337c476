"""Tests of synchronous.py, with small clusters of cluster_testing.py processes on loopback."""

import os
import re
import time

from absl.testing import absltest

from classification.cluster.cluster_processes import Processes
from tests import runfiles

_PROGRAM = runfiles.path("classification/cluster/cluster_testing")


class SynchronousTest(absltest.TestCase):
    def _processes(self, *flags: str) -> Processes:
        """One parameter server and two workers, not started yet."""
        command = [_PROGRAM, "--sync", *flags]
        folder = self.create_tempdir().full_path
        return self.enter_context(Processes(command, {"ps": 1, "worker": 2}, folder))

    def test_averages_gradients_after_chief_comes_back(self):
        hold = self.create_tempfile().full_path
        processes = self._processes("--steps=120", "--secs=0.01", f"--hold={hold}")
        processes.start("ps 0", "worker 0", "worker 1")
        processes.wait_for("worker 0", r"step (\d\d)\n")
        with processes.suspended("ps 0"):
            os.remove(hold)
            # So that it is waiting for the answer to a step.
            time.sleep(0.1)
            processes.kill("worker 0")
        processes.start("worker 0")
        processes.end()
        weight = float(re.search(r"weight (\S+)", processes.printed("worker 0"))[1])
        # The interrupted step may have been taken or not. After it, both gradients of a step may
        # come from one worker.
        self.assertBetween(weight, -2.0 * 120, -1.0 * 119)

    def test_workers_take_the_same_steps(self):
        processes = self._processes("--steps=40")
        processes.start("ps 0", "worker 0", "worker 1")
        processes.end()
        self.assertIn(f"weight {-1.5 * 40}\n", processes.printed("worker 0"))
        self.assertEqual(
            [processes.wait_for(f"worker {i}", r"took (\d+)\n") for i in (0, 1)], ["40", "40"]
        )


if __name__ == "__main__":
    absltest.main()
