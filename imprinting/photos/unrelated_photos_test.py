"""Tests of unrelated_photos.py."""

from unittest import mock

from absl.testing import absltest
from PIL import Image

from imprinting.photos import unrelated_photos


class UnrelatedPhotosTest(absltest.TestCase):
    def test_paths(self):
        sizes = [Image.open(path).size for path in unrelated_photos.paths()]
        self.assertEqual(sizes, [(640, 427), (640, 427)])

    def test_missing(self):
        folder = self.create_tempdir().full_path
        with (
            mock.patch.object(unrelated_photos, "__file__", f"{folder}/unrelated_photos.py"),
            self.assertRaisesRegex(FileNotFoundError, f"at {folder}/samples/china.jpg, got no"),
        ):
            unrelated_photos.paths()


if __name__ == "__main__":
    absltest.main()
