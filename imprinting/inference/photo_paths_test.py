"""Tests of photo_paths.py, with folders of empty files."""

import os
import shutil
from unittest import mock

from absl.testing import absltest

from imprinting.inference import photo_paths
from imprinting.photos.folder_testing import FolderTestCase


class FindTest(FolderTestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.path)

    def check(self, paths: list[str], photos: list[str], ignored: list[str]) -> None:
        found = photo_paths.find(paths)
        self.assertEqual(found.photos, tuple(photos))
        self.assertEqual(found.ignored, tuple(ignored))

    def assert_refused(self, kind: type[Exception], expected: str, *paths: str) -> None:
        with self.assertRaisesRegex(kind, expected) as raised:
            photo_paths.find(paths)
        self.assertLen(str(raised.exception).splitlines(), 1)

    def test_files_in_the_order_of_the_user(self):
        self.add("b.jpg", "a.jpg", "scan.dat", ".hidden.jpg")
        # A file that is named is read, whatever its name is.
        paths = ["b.jpg", "scan.dat", f"{self.path}/a.jpg", ".hidden.jpg", "./b.jpg"]
        self.check(paths, photos=paths, ignored=[])

    def test_folders_in_the_order_of_names(self):
        self.add("photos/b.JPG", "photos/a/2.png", "photos/a/1.webp", "photos/c/x.jpg/3.heic")
        self.add("photos/.hidden/4.jpg", "photos/._b.JPG", "photos/notes.txt", "photos/a/jpg")
        self.add("photos/@eaDir/b.JPG/thumb.jpg", "photos/Thumbs.db", "other/5.jpg")
        photos = ["a/1.webp", "a/2.png", "b.JPG", "c/x.jpg/3.heic"]
        ignored = ["._b.JPG", ".hidden", "@eaDir", "Thumbs.db", "a/jpg", "notes.txt"]
        self.check(
            ["other/5.jpg", "photos"],
            photos=["other/5.jpg", *(f"photos/{name}" for name in photos)],
            ignored=[f"photos/{name}" for name in ignored],
        )
        os.chdir("photos")
        self.check(
            [".", "../other"],
            photos=[*(f"./{name}" for name in photos), "../other/5.jpg"],
            ignored=[f"./{name}" for name in ignored],
        )

    def test_links(self):
        self.add("photos/a.jpg", "elsewhere/b.jpg")
        os.symlink("../elsewhere", "photos/link")
        os.symlink("..", "elsewhere/up")
        os.symlink("nowhere", "photos/broken.jpg")
        os.symlink("nowhere", "photos/broken.txt")
        os.symlink("round", "photos/round")
        # `photos/link/up` contains `photos` and `elsewhere` again.
        self.check(
            ["photos"],
            photos=["photos/a.jpg", "photos/broken.jpg", "photos/link/b.jpg"],
            ignored=["photos/broken.txt", "photos/round"],
        )

    def test_refuses_nothing(self):
        self.assert_refused(ValueError, "expected photos, or folders of photos, got none; name")

    def test_refuses_what_does_not_exist(self):
        self.add("a.jpg")
        self.assert_refused(
            FileNotFoundError,
            f"expected a photo or .*, got gone.jpg: No such file or directory; .* {self.path}$",
            "a.jpg",
            "gone.jpg",
        )
        self.assert_refused(FileNotFoundError, "got '': No such file", "")
        self.assert_refused(NotADirectoryError, "got a.jpg/b.jpg: Not a directory", "a.jpg/b.jpg")
        self.assert_refused(OSError, "got x+: File name too long", "x" * 999)
        os.symlink("nowhere", "link.jpg")
        self.assert_refused(
            FileNotFoundError, "got link.jpg: a link to nowhere, but: No such file", "link.jpg"
        )
        os.symlink("round", "round")
        self.assert_refused(OSError, "got round: a link to round, but: Too many levels", "round")
        self.assert_refused(FileNotFoundError, r"got \\xff.jpg: No such file", "\udcff.jpg")

    def test_refuses_folders_without_photos(self):
        os.mkdir("empty.jpg")
        self.assert_refused(
            ValueError, "expected photos in the folder empty.jpg, got none; name", "empty.jpg"
        )
        self.add("texts/notes.txt", "texts/.a.jpg", "texts/b/c.mp4", "photos/a.jpg")
        self.assert_refused(
            ValueError,
            r"in the folder texts, got none \(ignored .*: .a.jpg, b/c.mp4, notes.txt\); name",
            "photos",
            "texts",
        )

    def test_refuses_folders_without_permission(self):
        self.add("photos/a.jpg", "photos/b/c.jpg")
        listdir = os.listdir

        def denied(folder: str) -> list[str]:
            if folder == "photos/b":
                raise PermissionError(13, "Permission denied")
            return listdir(folder)

        # Root may read all folders.
        with mock.patch.object(os, "listdir", denied):
            self.assert_refused(
                PermissionError, "can be read, got photos/b: Permission denied; change", "photos"
            )
        shutil.rmtree("photos/b")
        self.check(["photos"], photos=["photos/a.jpg"], ignored=[])


class ListedTest(absltest.TestCase):
    def test_standard_input(self):
        lines = ["a b.jpg\n", "\n", "c.jpg\r\n", "folder"]
        self.assertEqual(photo_paths.with_listed(["x", "y"], lines), ["x", "y"])
        self.assertEqual(
            photo_paths.with_listed(["x", "-", "y"], lines),
            ["x", "a b.jpg", "c.jpg", "folder", "y"],
        )
        with self.assertRaisesRegex(ValueError, "expected - at most once"):
            photo_paths.with_listed(["-", "-"], lines)
        with self.assertRaisesRegex(ValueError, "standard input, which is closed; name them as"):
            photo_paths.with_listed(["x", "-"], None)
        self.assertEqual(photo_paths.with_listed(["x"], None), ["x"])


if __name__ == "__main__":
    absltest.main()
