"""Tests of class_folders.py: which folders are classes, and which files are images."""

import contextlib
import ctypes
import os
import shutil
from collections.abc import Iterator

from absl.testing import absltest, parameterized

from imprinting.photos import class_folders, image_folder
from imprinting.photos.folder_testing import FolderTestCase, names


@contextlib.contextmanager
def without_rights_of_root() -> Iterator[None]:
    """Applies permissions to root, too (capabilities(7): CAP_DAC_OVERRIDE and _READ_SEARCH)."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    # Effective, permitted and inheritable capabilities, 2 x 32 bits of each.
    before, during = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()

    def call(function: str, sets: ctypes.Array) -> None:
        if getattr(libc, function)(header, sets):
            raise OSError(ctypes.get_errno(), function)

    call("capget", before)
    call("capget", during)
    during[0] &= ~0b110
    call("capset", during)
    try:
        yield
    finally:
        call("capset", before)


class ClassFoldersTest(FolderTestCase):
    def test_finds_images_by_their_names(self):
        taken = ["a b/Ä ö.JPG", "a b/x.jpeg", "a b/y.Png", "ß/1.webp", "ß/2.bmp", "ß/3.heic"]
        self.add(*taken)
        others = [".hidden/1.jpg", "a b/.x.jpg", "a b/Thumbs.db", "loose.jpg", "ß/notes.txt"]
        self.add(*others)
        os.symlink("nowhere", os.path.join(self.path, "ß", "4.jpg"))
        os.symlink("nowhere", os.path.join(self.path, "ß", "other"))
        folder = image_folder.scan(self.path)
        self.assertEqual(folder.class_names, ("a b", "ß"))
        found = [*names(folder, "train"), *names(folder, "validation")]
        self.assertCountEqual(found, [*taken, "ß/4.jpg"])
        self.assertEqual(folder.ignored, (".hidden", *others[1:], "ß/other"))

    def test_broken_links_among_images_are_files(self):
        self.add_classes({"a": 2, "b": 2})
        for name in ("a/loop.jpg", "b/loop"):
            os.symlink(os.path.basename(name), os.path.join(self.path, name))
        folder = image_folder.scan(self.path)
        self.assertEqual(folder.class_names, ("a", "b"))
        self.assertIn("a/loop.jpg", [*names(folder, "train"), *names(folder, "validation")])
        self.assertEqual(folder.ignored, ("b/loop",))

    @parameterized.parameters(
        ("/gone/roses", "/gone/roses, but: No such file or directory"),
        ("roses", "roses, but: Too many levels of symbolic links"),
        ("a/00.jpg/roses", "a/00.jpg/roses, but: Not a directory"),
    )
    def test_refuses_broken_links_among_classes(self, target, expected):
        self.add_classes({"a": 2, "b": 2})
        os.symlink(target, os.path.join(self.path, "roses"))
        expected = f"folders in {self.path} that can be reached, got roses: a link to {expected}; "
        self.assert_fails(expected)
        with self.assertRaisesRegex(ValueError, expected):
            image_folder.scan_classes(self.path)
        root = os.path.join(self.create_tempdir().full_path, "splits")
        for split in ("train", "test"):
            shutil.copytree(self.path, os.path.join(root, split), symlinks=True)
        with self.assertRaisesRegex(ValueError, f"in {root}/train that can be .* got roses: a"):
            image_folder.scan(root)
        # A split must not be a broken link either.
        shutil.rmtree(os.path.join(root, "test"))
        os.symlink("gone", os.path.join(root, "Test"))
        with self.assertRaisesRegex(ValueError, f"in {root} that can be .* Test: a link to gone"):
            image_folder.scan(root)
        # The folder itself must not be one.
        with self.assertRaisesRegex(FileNotFoundError, "Test: a link to gone, but: No such file"):
            image_folder.scan(os.path.join(root, "Test"))

    def test_refuses_folders_without_permission(self):
        self.add_classes({"a": 2, "b": 2})
        os.mkdir(os.path.join(self.path, "b", "inner"))
        os.symlink(os.path.join(self.path, "b", "inner"), os.path.join(self.path, "c"))
        os.chmod(os.path.join(self.path, "b"), 0)
        self.addCleanup(os.chmod, os.path.join(self.path, "b"), 0o700)
        with without_rights_of_root():
            with self.assertRaisesRegex(ValueError, "got c: a link to .*inner, but: Permission"):
                image_folder.scan(self.path)
            os.remove(os.path.join(self.path, "c"))
            for scan in (image_folder.scan, image_folder.scan_classes):
                with self.assertRaisesRegex(
                    PermissionError, f"can be read, got {self.path}/b: Permission denied; change"
                ):
                    scan(self.path)

    def test_file_names_that_are_not_utf8(self):
        self.add_classes({"a": 2, "b": 2})
        odd = os.fsdecode(b"\xff.jpg")
        self.add(f"a/{odd}")
        folder = image_folder.scan(self.path)
        self.assertIn(f"a/{odd}", [*names(folder, "train"), *names(folder, "validation")])
        self.assertEqual(class_folders.printable(f"a/{odd}"), "a/\\xff.jpg")

    def test_classes_that_differ_in_case(self):
        self.add_classes({"a": 2, "A": 2})
        self.assertEqual(image_folder.scan(self.path).class_names, ("A", "a"))

    def test_refuses_folder_without_classes(self):
        self.assert_fails(f"a folder for each class in {self.path}, got 0 files and no folder;")
        self.add("1.jpg", "2.jpg")
        self.assert_fails("got 2 files and no folder; put the images of each class in a folder")
        with self.assertRaisesRegex(FileNotFoundError, "nowhere: there is no such folder"):
            image_folder.scan("nowhere")
        with self.assertRaisesRegex(NotADirectoryError, "got the file .*1.jpg; name a folder"):
            image_folder.scan(os.path.join(self.path, "1.jpg"))

    def test_refuses_data_set(self):
        self.add("train-00000-of-00008", "labels.txt")
        self.assert_fails("got a data set in TFRecord files; name a folder of photos")

    def test_refuses_only_ignored_files(self):
        self.add(".DS_Store", "@eaDir/a.jpg")
        self.assert_fails(r"got 0 files and no folder \(.DS_Store, @eaDir ignored\); put")
        self.add_classes({"a": 2})
        self.add("b/1.txt", "b/.x.jpg", "b/2.raw")
        self.assert_fails(
            r"got none in b \(ignored because .* like images: b/1.txt, b/2.raw, b/.x.j"
        )

    def test_refuses_folders_in_classes(self):
        self.add("a/1.jpg", "b/part/1.jpg")
        self.assert_fails(
            f"only images in the class folder {self.path}/b, got the folder part in it; if b is a "
            "class, .*; if it is a split, name it train, validation or test"
        )

    @parameterized.parameters(" a", "a ", "a\nb", "a\u2028b", "a\x1b[31m", os.fsdecode(b"\xff"))
    def test_refuses_bad_class_names(self, name):
        self.add_classes({"b": 2, name: 2})
        self.assert_fails("class folders with names in UTF-8, of one line, without control")


class ShortenTest(absltest.TestCase):
    def test_names(self):
        self.assertEqual(class_folders.shorten("ab"), "a, b")
        self.assertEqual(class_folders.shorten("abcdefghij"), "a, b, c, d, e, f, g, h, i, j")
        self.assertEndsWith(class_folders.shorten("abcdefghijkl"), ", i, j and 2 more")


if __name__ == "__main__":
    absltest.main()
