"""Takes steps together on loopback; each process is cluster_testing.py."""

import os
import re
import time

from absl.testing import absltest

from classification.cluster.cluster_processes import Processes
from tests import runfiles

_PROGRAM = runfiles.path("classification/cluster/cluster_testing")


class SynchronousTest(absltest.TestCase):
    def _processes(self, *flags: str) -> Processes:
        """One parameter server and two workers, none of them started yet."""
        command = [_PROGRAM, "--sync", *flags]
        folder = self.create_tempdir().full_path
        return self.enter_context(Processes(command, {"ps": 1, "worker": 2}, folder))

    def test_gradients_are_averaged_and_a_chief_comes_back(self) -> None:
        hold = self.create_tempfile().full_path
        processes = self._processes("--steps=120", "--secs=0.01", f"--hold={hold}")
        processes.start("ps 0", "worker 0", "worker 1")
        processes.wait_for("worker 0", r"step (\d\d)\n")
        with processes.suspended("ps 0"):
            os.remove(hold)
            # For it to be in a step, which is not answered.
            time.sleep(0.1)
            processes.kill("worker 0")
        processes.start("worker 0")
        processes.end()
        weight = float(re.search(r"weight (\S+)", processes.printed("worker 0"))[1])
        # The one step that was broken off may have been taken or not; behind it, a worker may
        # have given both gradients of a step.
        self.assertBetween(weight, -2.0 * 120, -1.0 * 119)

    def test_equal_parts_of_each_step(self) -> None:
        processes = self._processes("--steps=40")
        processes.start("ps 0", "worker 0", "worker 1")
        processes.end()
        self.assertIn(f"weight {-1.5 * 40}\n", processes.printed("worker 0"))
        self.assertEqual(
            [processes.wait_for(f"worker {i}", r"took (\d+)\n") for i in (0, 1)], ["40", "40"]
        )


if __name__ == "__main__":
    absltest.main()
