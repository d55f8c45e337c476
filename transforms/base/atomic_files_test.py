"""Tests that files and folders appear whole or not at all."""

import os
import resource
import signal
from unittest import mock

from absl.testing import absltest

from transforms.base import atomic_files


class WriteAtomicallyTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.path = os.path.join(self.folder, "file")

    def test_writes_and_writes_over(self):
        atomic_files.write_atomically(self.path, b"first, and longer")
        atomic_files.write_atomically(self.path, b"second")
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"second")
        self.assertEqual(os.listdir(self.folder), ["file"])

    def test_a_failure_halfway_leaves_the_old_file_and_nothing_beside(self):
        atomic_files.write_atomically(self.path, b"old")
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        # A disk that is full after 4096 bytes.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            with self.assertRaisesRegex(OSError, f"File too large: '{self.path}'"):
                atomic_files.write_atomically(self.path, b"n" * 100_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"old")
        self.assertEqual(os.listdir(self.folder), ["file"])

    def test_missing_folder_is_named(self):
        missing = os.path.join(self.folder, "missing")
        with self.assertRaisesRegex(FileNotFoundError, f"expected a folder {missing} to write f "):
            atomic_files.write_atomically(os.path.join(missing, "f"), b"")

    def test_folder_in_the_file_s_place(self):
        with self.assertRaisesRegex(IsADirectoryError, f"got the folder {self.folder}"):
            atomic_files.write_atomically(self.folder, b"")
        self.assertEqual(os.listdir(self.folder), [])

    def test_plain_name_is_of_the_current_folder(self):
        before = os.getcwd()
        os.chdir(self.folder)
        try:
            atomic_files.write_atomically("plain", b"x")
        finally:
            os.chdir(before)
        self.assertEqual(os.listdir(self.folder), ["plain"])


class WriteFilesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.a, self.b, self.c = (os.path.join(self.folder, name) for name in "abc")

    def read(self, path):
        with open(path, "rb") as file:
            return file.read()

    def test_all_are_written_and_nothing_beside_them(self):
        atomic_files.write_files({self.a: b"old"})
        atomic_files.write_files({self.a: b"1", self.b: b"2"})
        self.assertEqual((self.read(self.a), self.read(self.b)), (b"1", b"2"))
        self.assertCountEqual(os.listdir(self.folder), ["a", "b"])

    def test_none_is_written_where_one_cannot_be(self):
        atomic_files.write_files({self.a: b"old"})
        for wrong, error, text in (
            (os.path.join(self.folder, "no", "c"), FileNotFoundError, "expected a folder .*/no "),
            (self.folder, IsADirectoryError, "got the folder"),
        ):
            with self.assertRaisesRegex(error, text):
                atomic_files.write_files({self.a: b"new", self.b: b"2", wrong: b"3"})
        with self.assertRaises(TypeError):
            atomic_files.write_files({self.a: b"new", self.b: "no bytes"})
        self.assertEqual(self.read(self.a), b"old")
        self.assertEqual(os.listdir(self.folder), ["a"])

    def test_none_is_replaced_where_a_later_one_cannot_be(self):
        atomic_files.write_files({self.a: b"old"})
        place = os.replace

        def replace(source, target):
            if target == self.b:
                raise OSError("no")
            place(source, target)

        with mock.patch.object(os, "replace", replace), self.assertRaisesRegex(OSError, "no"):
            atomic_files.write_files({self.a: b"new", self.c: b"new", self.b: b"new"})
        self.assertEqual(self.read(self.a), b"old")
        self.assertEqual(os.listdir(self.folder), ["a"])

    def test_a_name_in_the_folder_where_one_stands(self):
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        atomic_files.write_files({"c": b"3"})
        self.assertEqual(self.read("c"), b"3")


class AtomicFolderTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.root = os.path.realpath(self.create_tempdir().full_path)
        self.path = os.path.join(self.root, "folder")

    def write(self, text: str, names: tuple[str, ...] = ("a", "b")):
        with atomic_files.atomic_folder(self.path, names) as partial:
            for name in names:
                atomic_files.write_atomically(os.path.join(partial, name), text.encode())

    def contents(self) -> dict[str, str]:
        found = {}
        for name in sorted(os.listdir(self.path)):
            with open(os.path.join(self.path, name)) as file:
                found[name] = file.read()
        return found

    def test_new_empty_and_earlier(self):
        self.write("new")
        self.assertEqual(self.contents(), {"a": "new", "b": "new"})
        self.write("newer", ("a", "b", "c"))
        self.assertEqual(self.contents(), {"a": "newer", "b": "newer", "c": "newer"})
        for name in "abc":
            os.remove(os.path.join(self.path, name))
        self.write("into an empty one")
        self.assertEqual(self.contents(), {n: "into an empty one" for n in "ab"})
        self.assertEqual(os.listdir(self.root), ["folder"])

    def test_nothing_is_there_before_the_end(self):
        with atomic_files.atomic_folder(self.path, ["a"]) as partial:
            self.assertEqual(os.listdir(partial), [])
            self.assertFalse(os.path.exists(self.path))
        self.assertEqual(os.listdir(self.path), [])

    def test_a_failure_leaves_what_was_there_and_nothing_beside(self):
        for before in (None, "old"):
            with self.subTest(before):
                if before:
                    self.write(before)
                with self.assertRaisesRegex(RuntimeError, "halfway"):
                    with atomic_files.atomic_folder(self.path, ["a", "b"]) as partial:
                        atomic_files.write_atomically(os.path.join(partial, "a"), b"new")
                        raise RuntimeError("halfway")
                self.assertEqual(os.listdir(self.root), ["folder"] if before else [])
        self.assertEqual(self.contents(), {"a": "old", "b": "old"})

    def test_a_link_is_followed(self):
        os.mkdir(os.path.join(self.root, "real"))
        os.symlink("real", self.path)
        self.write("new")
        self.assertTrue(os.path.islink(self.path))
        self.assertEqual(self.contents(), {"a": "new", "b": "new"})

    def test_other_files_are_not_replaced(self):
        self.write("old", ("a", "p", "q", "r", "s"))
        with self.assertRaisesRegex(FileExistsError, "new or empty .* holds p, q, r and more;"):
            self.write("new")
        self.assertEqual(self.contents()["a"], "old")

    def test_files_that_came_while_writing_are_not_replaced(self):
        with self.assertRaisesRegex(FileExistsError, "which holds z;"):
            with atomic_files.atomic_folder(self.path, ["a"]):
                os.mkdir(self.path)
                atomic_files.write_atomically(os.path.join(self.path, "z"), b"")
        self.assertEqual(os.listdir(self.root), ["folder"])

    def test_file_in_its_place(self):
        atomic_files.write_atomically(self.path, b"")
        with self.assertRaisesRegex(FileExistsError, "name of a folder to write, got the file"):
            self.write("new")

    def test_missing_parent_is_told_before_anything_is_done(self):
        with self.assertRaisesRegex(FileNotFoundError, "expected a folder .*/gone to write x in"):
            atomic_files.check_replaceable(os.path.join(self.path, "gone/x"), ())

    def test_missing_parent(self):
        self.path = os.path.join(self.path, "below")
        with self.assertRaisesRegex(FileNotFoundError, f"expected a folder {self.root}/folder to"):
            self.write("new")


if __name__ == "__main__":
    absltest.main()
