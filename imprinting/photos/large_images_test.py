"""Tests of large_images.py."""

from unittest import mock

from absl.testing import absltest, parameterized
from PIL import Image

from imprinting.photos import large_images


class LargeImagesTest(parameterized.TestCase):
    @parameterized.parameters((10, 10, 1), (10, 11, 2), (20, 20, 2), (21, 20, 4), (1, 401, 8))
    def test_factor(self, width, height, expected):
        image = Image.new("RGB", (width, height))
        with mock.patch.object(large_images, "MOST_PIXELS", 100):
            self.assertEqual(large_images.factor(image), expected)

    @parameterized.parameters(("RGB", 9), ("RGBA", 20))
    def test_refuses_image_larger_than_memory(self, mode, bytes_per_pixel):
        image = Image.new(mode, (100, 50))
        for free, enough in ((5000 * bytes_per_pixel, True), (5000 * bytes_per_pixel - 1, False)):
            with mock.patch.object(large_images, "_free_memory", return_value=free):
                if enough:
                    large_images.check_memory(image, 2)
                    continue
                with self.assertRaisesRegex(
                    large_images.TooLargeError, "it has 100 x 50 pixels, .*; make it smaller, or"
                ):
                    large_images.check_memory(image, 2)

    def test_reads_free_memory(self):
        self.assertGreater(large_images._free_memory(), 2**20)


if __name__ == "__main__":
    absltest.main()
