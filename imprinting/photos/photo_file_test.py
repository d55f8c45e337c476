"""Tests of photo_file.py; image_files_test.py has more kinds of files."""

import io
import struct
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from imprinting.photos import jpeg, large_images, photo_file
from imprinting.photos.photo_file import BadImageError

_PIXELS = np.random.default_rng(0).integers(0, 256, [48, 64, 3], np.uint8)


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(_PIXELS).save(file, kind)
    return file.getvalue()


class PhotoFileTest(parameterized.TestCase):
    @parameterized.parameters("PNG", "BMP")
    def test_lossless(self, kind):
        np.testing.assert_array_equal(photo_file.decode(encoded(kind)).pixels, _PIXELS)

    def test_large_images(self):
        # The memory for pixels of 32 x 24 or more is too much.
        with mock.patch.object(large_images, "MOST_MEMORY", 14 * 32 * 24):
            self.assertEqual(photo_file.decode(encoded("JPEG")).pixels.shape, (24, 32, 3))
            with self.assertRaisesRegex(BadImageError, "^it has 64 x 48 pixels, 3,072, and the"):
                photo_file.decode(encoded("PNG"))
        with (
            mock.patch.object(large_images, "MOST_MEMORY", 14 * 7 * 6),
            self.assertRaisesRegex(
                BadImageError, "^it has 64 x 48 pixels, .* for such a JPEG; mak"
            ),
        ):
            photo_file.decode(encoded("JPEG"))

    def test_headers_with_more_pixels_than_the_file_can_have(self):
        data = bytearray(encoded("BMP"))
        data[18:26] = struct.pack("<ii", 2**15, 2**15)
        with self.assertRaisesRegex(BadImageError, "32768 x 32768 pixels"):
            photo_file.decode(bytes(data))
        data = bytearray(encoded("JPEG"))
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", 65500, 65500)
        with self.assertRaisesRegex(BadImageError, "65500 x 65500 pixels, .* for such a JPEG"):
            photo_file.decode(bytes(data))

    def test_large_file(self):
        path = self.create_tempfile(content=encoded("PNG"), mode="wb").full_path
        with (
            mock.patch.object(photo_file, "MOST_BYTES", 100),
            self.assertRaisesRegex(BadImageError, "bytes, and the most is 100; make it smaller$"),
        ):
            photo_file.read(path)

    @parameterized.parameters("JPEG", "PNG", "WEBP", "GIF")
    def test_truncated(self, kind):
        data = encoded(kind)
        with self.assertRaises(BadImageError):
            photo_file.decode(data[: len(data) // 2])

    def test_truncated_jpeg_without_simplejpeg(self):
        data = encoded("JPEG")
        with mock.patch.object(jpeg, "simplejpeg", None):
            np.testing.assert_array_equal(
                photo_file.decode(data).pixels, np.asarray(Image.open(io.BytesIO(data)))
            )
            with self.assertRaisesRegex(BadImageError, "cannot be decoded: image file is trunc"):
                photo_file.decode(data[: len(data) // 2])

    @parameterized.parameters(
        (b"", "it is not a JPEG, PNG"),
        (b"text", "it is not a JPEG, PNG, BMP, WebP or GIF image"),
        (b"II*\0" + bytes(50), "it is a TIFF image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "it is a HEIC image"),
    )
    def test_other_kinds(self, data, expected):
        with self.assertRaisesRegex(BadImageError, expected):
            photo_file.decode(data)

    def test_no_memory(self):
        with (
            mock.patch.object(photo_file, "upright_rgb", side_effect=MemoryError),
            self.assertRaisesRegex(MemoryError, "enough memory to decode a.png, got too little"),
        ):
            photo_file.decode(encoded("PNG"), "a.png")


if __name__ == "__main__":
    absltest.main()
