"""Tests of photos.py, with folders in which some photos cannot be read."""

import os
import pathlib

from absl.testing import absltest

from imprinting.new_classes import photos


class PhotosTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        for name in ("b/1.jpg", "a/2.jpg", "a/1.jpg", "a/notes.txt"):
            path = pathlib.Path(self.folder, name)
            path.parent.mkdir(exist_ok=True)
            path.touch()
        self.found = photos.find(self.folder)

    def test_in_the_order_of_classes_and_names(self):
        self.assertEqual(self.found.names, ("a/1.jpg", "a/2.jpg", "b/1.jpg"))
        self.assertEqual(self.found.paths[2], os.path.join(self.folder, "b/1.jpg"))
        self.assertEqual(self.found.ignored, ("a/notes.txt",))
        self.assertEqual(list(self.found.readable({})), [("a", [0, 1]), ("b", [2])])
        self.assertEqual(list(self.found.readable({0: "bad"})), [("a", [1]), ("b", [2])])

    def test_what_cannot_be_read_is_named(self):
        photos.check(self.found, {}, skip=False)
        with self.assertRaisesRegex(
            ValueError, r"got 1 that cannot \(a/2.jpg: why\) among 3; .* --skip_bad_images"
        ):
            photos.check(self.found, {1: "why"}, skip=False)
        photos.check(self.found, {1: "why"}, skip=True)
        with self.assertRaisesRegex(ValueError, r"got none in b \(b/1.jpg: why\)"):
            photos.check(self.found, {2: "why"}, skip=True)


if __name__ == "__main__":
    absltest.main()
