"""Tests of storage.py, with local files and with a file system in memory."""

import os

import tensorflow as tf
from absl.testing import absltest, parameterized

from classification.data import storage


class StorageTest(parameterized.TestCase):
    def folder(self, kind: str) -> str:
        """A folder with a file `a` of five bytes and a folder `b`."""
        local = self.create_tempdir().full_path
        root = f"ram:/{local}" if kind == "ram" else local
        tf.io.gfile.makedirs(f"{root}/b")
        with tf.io.gfile.GFile(f"{root}/a", "wb") as file:
            file.write(b"01234")
        return root

    @parameterized.parameters("local", "ram")
    def test_reads(self, kind):
        root = self.folder(kind)
        self.assertEqual(storage.list_folder(root), ["a", "b"])
        self.assertEqual(storage.list_folder(f"{root}/"), ["a", "b"])
        self.assertEqual(storage.sizes([f"{root}/a", f"{root}/b", f"{root}/a"]), [5, None, 5])
        self.assertEqual(storage.read(f"{root}/a"), b"01234")
        self.assertTrue(storage.exists(f"{root}/a"))
        self.assertFalse(storage.exists(f"{root}/c"))
        with storage.opened(f"{root}/a") as (read_at, size):
            self.assertEqual((read_at(3, 2), read_at(0, 1), read_at(4, 5)), (b"34", b"0", b"4"))
            self.assertEqual(size, 5)

    @parameterized.parameters("local", "ram")
    def test_refuses_missing_file(self, kind):
        missing = f"{self.folder(kind)}/c"
        for function in (storage.list_folder, storage.read, lambda path: storage.sizes([path])):
            with self.assertRaisesRegex(FileNotFoundError, f"{missing} does not exist"):
                function(missing)
        with self.assertRaises(FileNotFoundError), storage.opened(missing):
            pass

    @parameterized.parameters("local", "ram")
    def test_refuses_file_as_folder(self, kind):
        path = f"{self.folder(kind)}/a"
        with self.assertRaisesRegex(NotADirectoryError, f"got the file {path}"):
            storage.list_folder(path)

    @parameterized.parameters(("local", "a/x", "Not a directory"), ("local", "b", "directory"))
    def test_refuses_unreadable_file(self, kind, name, message):
        path = f"{self.folder(kind)}/{name}"
        with self.assertRaisesRegex(OSError, f"{path} cannot be read: .*{message}"):
            storage.read(path)

    def test_refuses_unknown_scheme(self):
        for function in (storage.list_folder, storage.read, storage.exists):
            with self.assertRaisesRegex(OSError, "foo://x cannot be read: .*'foo' not implemented"):
                function("foo://x")

    def test_names(self):
        self.assertEqual(storage.join("d", "f"), "d/f")
        self.assertEqual(storage.join("gs://b/d", "f"), "gs://b/d/f")
        self.assertEqual(storage.join("gs://b/d", "/f"), "/f")
        self.assertEqual(storage.join("d", "gs://b/f"), "gs://b/f")
        self.assertEqual(storage.location("gs://b/d/"), "gs://b/d")
        self.assertEqual(storage.location("d/"), os.path.abspath("d"))


if __name__ == "__main__":
    absltest.main()
