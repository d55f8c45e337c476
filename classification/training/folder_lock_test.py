"""Locks folders against another process, which is what the lock is for."""

import subprocess
import sys

from absl.testing import absltest

from classification.training import folder_lock

_HOLD = """
import sys, time
from classification import folder_lock
with folder_lock.hold(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


class FolderLockTest(absltest.TestCase):
    def test_keeps_another_process_out_until_that_dies(self) -> None:
        folder = self.create_tempdir().full_path
        command = [sys.executable, "-c", _HOLD, folder]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": ":".join(sys.path)}
        ) as other:
            assert other.stdout is not None
            self.assertEqual(other.stdout.readline(), "held\n")
            with (
                self.assertRaisesRegex(BlockingIOError, f"process {other.pid} on .* does; wait"),
                folder_lock.hold(folder),
            ):
                pass
            other.kill()
            other.wait()
        with folder_lock.hold(folder):
            pass

    def test_a_folder_can_be_held_again(self) -> None:
        folder = self.create_tempdir().full_path
        for _ in range(2):
            with folder_lock.hold(folder):
                pass


if __name__ == "__main__":
    absltest.main()
