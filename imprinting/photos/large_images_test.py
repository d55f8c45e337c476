"""Tests of large_images.py."""

import concurrent.futures
import io
import threading
from unittest import mock

from absl.testing import absltest, parameterized
from PIL import Image

from imprinting.photos import large_images


def opened(kind, mode, **options):
    """An image [100, 100] of a file, which is not decoded yet."""
    file = io.BytesIO()
    Image.new(mode, (100, 100)).save(file, kind, **options)
    return Image.open(file)


class LargeImagesTest(parameterized.TestCase):
    @parameterized.parameters((10, 10, 1), (10, 11, 2), (20, 20, 2), (21, 20, 4), (1, 401, 8))
    def test_factor(self, width, height, expected):
        image = Image.new("RGB", (width, height))
        with mock.patch.object(large_images, "MOST_PIXELS", 100):
            self.assertEqual(large_images.factor(image), expected)

    @parameterized.parameters(
        ("JPEG", "RGB", {}, 10_000 * 14, 1),
        ("JPEG", "RGB", {}, 10_000 * 14 - 1, 2),
        ("JPEG", "RGB", {}, 10_000 * 14 / 64, 8),
        ("JPEG", "RGB", {"progressive": True}, 10_000 * (14 / 4 + 6), 2),
        ("PNG", "RGB", {}, 10_000 * 14, 1),
        ("PNG", "RGBA", {}, 10_000 * 24, 1),
        ("PNG", "I;16", {}, 10_000 * 24, 1),
        ("WEBP", "RGB", {}, 10_000 * 24, 1),
    )
    def test_reduction(self, kind, mode, options, memory, expected):
        image = opened(kind, mode, **options)
        with mock.patch.object(large_images, "MOST_MEMORY", memory):
            self.assertEqual(large_images.reduction(image), expected)
        least = 10_000 * (
            6 if options else 0.21 if kind == "JPEG" else 13.9 if mode == "RGB" else 23
        )
        with (
            mock.patch.object(large_images, "MOST_MEMORY", least),
            self.assertRaisesRegex(
                large_images.TooLargeError, "it has 100 x 100 pixels, .*make it"
            ),
        ):
            large_images.reduction(image)

    def test_jpeg_of_too_many_pixels(self):
        with mock.patch.object(large_images, "MOST_JPEG_PIXELS", 9999):
            with self.assertRaisesRegex(large_images.TooLargeError, "the most is 9,999 for such a"):
                large_images.reduction(opened("JPEG", "RGB"))
            self.assertTrue(large_images.is_too_large_jpeg(100, 100, is_progressive=False))
            self.assertFalse(large_images.is_too_large_jpeg(99, 100, is_progressive=False))
        with mock.patch.object(large_images, "MOST_MEMORY", 6 * 9999):
            self.assertTrue(large_images.is_too_large_jpeg(100, 100, is_progressive=True))
            self.assertFalse(large_images.is_too_large_jpeg(99, 100, is_progressive=True))

    def test_images_that_are_decoded_at_the_same_time_share_the_memory(self):
        image, counts, lock = opened("PNG", "RGB"), [0, 0], threading.Lock()
        several = threading.Barrier(2, timeout=60)

        def decode(_):
            with large_images.memory(image, 1):
                with lock:
                    counts[0] += 1
                    counts[1] = max(counts)
                several.wait()
                with lock:
                    counts[0] -= 1

        # Memory for two of the images.
        with (
            mock.patch.object(large_images, "MOST_MEMORY", 10_000 * 14 * 2.5),
            concurrent.futures.ThreadPoolExecutor(8) as pool,
        ):
            list(pool.map(decode, range(8)))
        self.assertEqual(counts, [0, 2])

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
