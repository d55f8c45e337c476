"""Tests of run_folder.py, with folders of all kinds."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.nets.checkpoint import Checkpoint
from classification.testing.digits_networks import DIGITS, write_network
from classification.training import run_folder

_HOLD = """
import sys, time
from classification.training import run_folder
with run_folder.lock(sys.argv[1], print):
    print("held", flush=True)
    time.sleep(60)
"""


class LockTest(absltest.TestCase):
    def test_keeps_another_process_out_until_that_dies(self):
        folder = self.create_tempdir().full_path
        command = [sys.executable, "-c", _HOLD, folder]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": ":".join(sys.path)}
        ) as other:
            assert other.stdout is not None
            self.assertEqual(other.stdout.readline(), "held\n")
            with (
                self.assertRaisesRegex(BlockingIOError, f"process {other.pid} on .* trains; wait"),
                run_folder.lock(folder, print),
            ):
                pass
            other.kill()
            other.wait()
        with run_folder.lock(folder, print):
            pass

    def test_a_folder_can_be_held_again(self):
        folder = self.create_tempdir().full_path
        for _ in range(2):
            with run_folder.lock(folder, print):
                pass


class NewestReadableTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.prefixes = [write_network(self.folder, DIGITS, step=step) for step in (9, 10)]

    def _newest(self):
        said: list[str] = []
        newest = run_folder.newest_readable(self.folder, said.append)
        return newest and newest.prefix, "".join(said)

    def _data(self, prefix):
        return pathlib.Path(f"{prefix}.data-00000-of-00001")

    def test_takes_the_newest_by_its_step(self):
        self.assertEqual(self._newest(), (self.prefixes[1], ""))
        # The file that names the newest checkpoint makes no difference.
        os.remove(os.path.join(self.folder, "checkpoint"))
        self.assertEqual(self._newest(), (self.prefixes[1], ""))

    def test_skips_incomplete_checkpoints(self):
        path = self._data(self.prefixes[1])
        data = path.read_bytes()
        for damaged in (data[:-1000], data[:500] + b"\0" * 1000 + data[1500:]):
            path.write_bytes(damaged)
            newest, printed = self._newest()
            self.assertEqual(newest, self.prefixes[0])
            self.assertRegex(printed, f"{self.prefixes[1]} is not complete and is skipped")
        path.unlink()
        self.assertEqual(self._newest()[0], self.prefixes[0])

    def test_the_session_finds_what_was_chosen(self):
        self._data(self.prefixes[1]).unlink()
        run_folder.prepare(self.folder, DIGITS, Checkpoint(self._newest()[0]))
        self.assertEqual(tf.train.latest_checkpoint(self.folder), self.prefixes[0])

    def test_no_complete_checkpoint_is_an_error(self):
        for prefix in self.prefixes:
            self._data(prefix).write_bytes(b"noise")
        with self.assertRaisesRegex(ValueError, "2 that cannot be read; name another"):
            self._newest()

    def test_an_empty_folder_has_none(self):
        self.assertIsNone(run_folder.newest_readable(self.create_tempdir().full_path, print))
        self.assertIsNone(run_folder.newest_readable(os.path.join(self.folder, "gone"), print))


class CheckFolderTest(absltest.TestCase):
    def test_names_what_differs(self):
        folder = self.create_tempdir().full_path
        run_folder.check(folder, DIGITS)
        DIGITS.write(folder)
        run_folder.check(folder, dataclasses.replace(DIGITS, dataset="elsewhere"))
        for name, value in (("image_size", 64), ("depth_multiplier", 0.5), ("quantize", True)):
            other = dataclasses.replace(DIGITS, **{name: value})
            message = f"model.json, got another: {name} {getattr(DIGITS, name)}, not {value};"
            with self.assertRaisesRegex(ValueError, message):
                run_folder.check(folder, other)

    def test_refuses_a_file(self):
        path = self.create_tempfile().full_path
        with self.assertRaisesRegex(NotADirectoryError, f"got the file {path}"):
            run_folder.check(path, DIGITS)
        with self.assertRaisesRegex(
            NotADirectoryError, f"got {path}/net, and {path} is not a folder"
        ):
            run_folder.check(os.path.join(path, "net"), DIGITS)


if __name__ == "__main__":
    absltest.main()
