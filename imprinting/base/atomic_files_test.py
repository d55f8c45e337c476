"""Tests that files and folders appear complete or not at all."""

import os
import resource
import signal
from unittest import mock

from absl.testing import absltest

from imprinting.base import atomic_files


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

    def test_a_failure_leaves_the_old_file_and_no_temporary_file(self):
        atomic_files.write_atomically(self.path, b"old")
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        # As if the disk were full after 4096 bytes.
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

    def test_missing_folder(self):
        missing = os.path.join(self.folder, "missing")
        with self.assertRaisesRegex(FileNotFoundError, f"expected a folder {missing} to write f "):
            atomic_files.write_atomically(os.path.join(missing, "f"), b"")

    def test_a_folder_is_at_the_path(self):
        with self.assertRaisesRegex(IsADirectoryError, f"got the folder {self.folder}"):
            atomic_files.write_atomically(self.folder, b"")
        self.assertEqual(os.listdir(self.folder), [])

    def test_what_is_not_a_file_is_not_replaced(self):
        os.mkfifo(self.path)
        with self.assertRaisesRegex(ValueError, f"got {self.path}, which is not a regular file"):
            atomic_files.write_atomically(self.path, b"")
        self.assertEqual(os.listdir(self.folder), ["file"])
        with self.assertRaisesRegex(ValueError, "got /dev/null, which .*; name another file"):
            atomic_files.check_place("/dev/null")

    def test_follows_symbolic_links(self):
        os.mkdir(os.path.join(self.folder, "real"))
        os.symlink("real/target", self.path)
        for data in (b"new", b"newer"):
            atomic_files.write_atomically(self.path, data)
            with open(os.path.join(self.folder, "real", "target"), "rb") as file:
                self.assertEqual(file.read(), data)
        self.assertTrue(os.path.islink(self.path))
        self.assertEqual(os.listdir(os.path.join(self.folder, "real")), ["target"])
        os.symlink("round", os.path.join(self.folder, "round"))
        with self.assertRaisesRegex(OSError, "levels of symbolic links: '.*/round'"):
            atomic_files.write_atomically(os.path.join(self.folder, "round"), b"")

    def test_keeps_permissions(self):
        atomic_files.write_atomically(self.path, b"old")
        plain = os.path.join(self.folder, "plain")
        with open(plain, "wb"):
            pass
        self.assertEqual(os.stat(self.path).st_mode, os.stat(plain).st_mode)
        for mode in (0o600, 0o755, 0o444):
            os.chmod(self.path, mode)
            atomic_files.write_atomically(self.path, b"new")
            self.assertEqual(os.stat(self.path).st_mode & 0o7777, mode)

    def test_a_folder_that_cannot_be_written(self):
        # The user root may write to all folders.
        with mock.patch.object(os, "access", return_value=False):
            for check in (
                atomic_files.check_place,
                lambda p: atomic_files.check_replaceable(p, ()),
            ):
                with self.assertRaisesRegex(
                    PermissionError, f"can be written, got {self.folder}, where file cannot be c"
                ):
                    check(self.path)

    def test_a_file_that_is_read(self):
        atomic_files.write_atomically(self.path, b"")
        link, other = (os.path.join(self.folder, name) for name in ("link", "other"))
        os.symlink("file", link)
        atomic_files.check_not_read(other, [self.path, link])
        atomic_files.check_not_read(self.path, [other])
        with self.assertRaisesRegex(ValueError, f"got {self.path}, which is read; name another"):
            atomic_files.check_not_read(self.path, [other, self.path])
        with self.assertRaisesRegex(ValueError, f"link, the same file as {self.path}, which is r"):
            atomic_files.check_not_read(link, [self.path])

    def test_errors_name_the_path(self):
        path = os.path.join(self.folder, "n" * 250)
        with self.assertRaisesRegex(OSError, f"File name too long: '{path}'"):
            atomic_files.write_atomically(path, b"")

    def test_a_name_without_a_folder(self):
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

    def test_writes_all_and_leaves_no_temporary_files(self):
        atomic_files.write_files({self.a: b"old"})
        atomic_files.write_files({self.a: b"1", self.b: b"2"})
        self.assertEqual((self.read(self.a), self.read(self.b)), (b"1", b"2"))
        self.assertCountEqual(os.listdir(self.folder), ["a", "b"])

    def test_writes_none_if_one_cannot_be_written(self):
        atomic_files.write_files({self.a: b"old"})
        for wrong, error, text in (
            (os.path.join(self.folder, "no", "c"), FileNotFoundError, "expected a folder .*/no "),
            (self.folder, IsADirectoryError, "got the folder"),
        ):
            with self.assertRaisesRegex(error, text):
                atomic_files.write_files({self.a: b"new", self.b: b"2", wrong: b"3"})
        with self.assertRaises(TypeError):
            atomic_files.write_files({self.a: b"new", self.b: "not bytes"})
        self.assertEqual(self.read(self.a), b"old")
        self.assertEqual(os.listdir(self.folder), ["a"])

    def test_replaces_none_if_a_later_one_cannot_be_replaced(self):
        atomic_files.write_files({self.a: b"old"})
        original = os.replace

        def replace(source, target):
            if target == self.b:
                raise OSError("no")
            original(source, target)

        with mock.patch.object(os, "replace", replace), self.assertRaisesRegex(OSError, "no"):
            atomic_files.write_files({self.a: b"new", self.c: b"new", self.b: b"new"})
        self.assertEqual(self.read(self.a), b"old")
        self.assertEqual(os.listdir(self.folder), ["a"])

    def test_a_name_without_a_folder(self):
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

    def test_new_folder_earlier_result_and_empty_folder(self):
        self.write("new")
        self.assertEqual(self.contents(), {"a": "new", "b": "new"})
        self.write("newer", ("a", "b", "c"))
        self.assertEqual(self.contents(), {"a": "newer", "b": "newer", "c": "newer"})
        for name in "abc":
            os.remove(os.path.join(self.path, name))
        self.write("into an empty one")
        self.assertEqual(self.contents(), {n: "into an empty one" for n in "ab"})
        self.assertEqual(os.listdir(self.root), ["folder"])

    def test_the_folder_appears_at_the_end(self):
        with atomic_files.atomic_folder(self.path, ["a"]) as partial:
            self.assertEqual(os.listdir(partial), [])
            self.assertFalse(os.path.exists(self.path))
        self.assertEqual(os.listdir(self.path), [])

    def test_a_failure_leaves_the_old_folder_and_no_temporary_one(self):
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

    def test_follows_a_symbolic_link(self):
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

    def test_other_files_that_appear_while_writing_are_not_replaced(self):
        with self.assertRaisesRegex(FileExistsError, "which holds z;"):
            with atomic_files.atomic_folder(self.path, ["a"]):
                os.mkdir(self.path)
                atomic_files.write_atomically(os.path.join(self.path, "z"), b"")
        self.assertEqual(os.listdir(self.root), ["folder"])

    def test_a_file_is_at_the_path(self):
        atomic_files.write_atomically(self.path, b"")
        with self.assertRaisesRegex(FileExistsError, "name of a folder to write, got the file"):
            self.write("new")

    def test_check_reports_a_missing_parent(self):
        with self.assertRaisesRegex(FileNotFoundError, "expected a folder .*/gone to write x in"):
            atomic_files.check_replaceable(os.path.join(self.path, "gone/x"), ())

    def test_missing_parent(self):
        self.path = os.path.join(self.path, "below")
        with self.assertRaisesRegex(FileNotFoundError, f"expected a folder {self.root}/folder to"):
            self.write("new")


if __name__ == "__main__":
    absltest.main()
