"""Tests that files and folders appear whole or not at all."""

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
            with self.assertRaisesRegex(OSError, f"File too large: '{self.path}'"):
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


class WholeFolderTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.root = os.path.realpath(self.create_tempdir().full_path)
        self.path = os.path.join(self.root, "folder")

    def write(self, text: str, names: tuple[str, ...] = ("a", "b")) -> None:
        with files.whole_folder(self.path, names) as partial:
            for name in names:
                files.write_whole(os.path.join(partial, name), text.encode())

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
        with files.whole_folder(self.path, ["a"]) as partial:
            self.assertEqual(os.listdir(partial), [])
            self.assertFalse(os.path.exists(self.path))
        self.assertEqual(os.listdir(self.path), [])

    def test_a_failure_leaves_what_was_there_and_nothing_beside(self):
        for before in (None, "old"):
            with self.subTest(before):
                if before:
                    self.write(before)
                with self.assertRaisesRegex(RuntimeError, "halfway"):
                    with files.whole_folder(self.path, ["a", "b"]) as partial:
                        files.write_whole(os.path.join(partial, "a"), b"new")
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
            with files.whole_folder(self.path, ["a"]):
                os.mkdir(self.path)
                files.write_whole(os.path.join(self.path, "z"), b"")
        self.assertEqual(os.listdir(self.root), ["folder"])

    def test_file_in_its_place(self):
        files.write_whole(self.path, b"")
        with self.assertRaisesRegex(FileExistsError, "name of a folder to write, got the file"):
            self.write("new")

    def test_missing_parent_is_told_before_anything_is_done(self):
        with self.assertRaisesRegex(FileNotFoundError, "expected a folder .*/gone to write x in"):
            files.check_replaceable(os.path.join(self.path, "gone/x"), ())

    def test_missing_parent(self):
        self.path = os.path.join(self.path, "below")
        with self.assertRaisesRegex(FileNotFoundError, f"expected a folder {self.root}/folder to"):
            self.write("new")


if __name__ == "__main__":
    absltest.main()
