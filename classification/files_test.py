"""Tests that files appear whole or not at all."""

import os
import resource
import signal

from absl.testing import absltest

from classification import files


class WriteWholeTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.path = os.path.join(self.folder, "file")

    def test_writes_and_writes_over(self):
        files.write_whole(self.path, b"first, and longer")
        files.write_whole(self.path, b"second")
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"second")
        self.assertEqual(os.listdir(self.folder), ["file"])

    def test_a_failure_halfway_leaves_the_old_file_and_nothing_beside(self):
        files.write_whole(self.path, b"old")
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        # A disk that is full after 4096 bytes.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            with self.assertRaises(OSError):
                files.write_whole(self.path, b"n" * 100_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"old")
        self.assertEqual(os.listdir(self.folder), ["file"])

    def test_missing_folder_is_named(self):
        missing = os.path.join(self.folder, "missing")
        with self.assertRaisesRegex(FileNotFoundError, f"expected a folder {missing} to write f "):
            files.write_whole(os.path.join(missing, "f"), b"")

    def test_folder_in_the_file_s_place(self):
        with self.assertRaisesRegex(IsADirectoryError, f"got the folder {self.folder}"):
            files.write_whole(self.folder, b"")
        self.assertEqual(os.listdir(self.folder), [])

    def test_plain_name_is_of_the_current_folder(self):
        before = os.getcwd()
        os.chdir(self.folder)
        try:
            files.write_whole("plain", b"x")
        finally:
            os.chdir(before)
        self.assertEqual(os.listdir(self.folder), ["plain"])


if __name__ == "__main__":
    absltest.main()
