"""Tests of image_files.py: TensorFlow decodes a record to the picture that a viewer shows."""

import concurrent.futures
import io
import os
import re
import resource
import struct
import zlib
from typing import Any
from unittest import mock

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized
from PIL import ExifTags, Image

from classification.images import image_files
from imprinting.photos import jpeg, large_images, photo_file
from imprinting.photos.photo_file import BadImageError

_RANDOM = np.random.default_rng(1)
# It has a smooth part, which JPEG preserves, and four different sides.
_HEIGHT, _WIDTH = 48, 64
_ROWS, _COLUMNS = np.mgrid[:_HEIGHT, :_WIDTH]
_PHOTO = np.stack([4 * _ROWS, 3 * _COLUMNS, 255 - 4 * _ROWS], axis=-1).astype(np.uint8)
_PHOTO[:16, :24] = (250, 30, 40)
_INKS = Image.fromarray(_PHOTO).convert("CMYK")

# What a viewer shows of the stored pixels (EXIF 2.3, section 4.6.4, Orientation).
_TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


def save(image: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    """An image file."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    return exif


def png(pixels: np.ndarray, bits: int, colour: int, **chunks: bytes) -> bytes:
    """A PNG file of 8 or 16 bits and any colour type; Pillow does not write all of these."""

    def chunk(name: str, data: bytes) -> bytes:
        body = name.encode() + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = {"IHDR": header, **chunks, "IDAT": zlib.compress(rows), "IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts.items())


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def over_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    alpha = alpha[..., np.newaxis] / 255.0
    return colours * alpha + 255.0 * (1.0 - alpha)


class ReadTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.reader = self.enter_context(image_files.Reader())
        self.path = os.path.join(self.create_tempdir().full_path, "a file")

    def read(self, data: bytes) -> image_files.EncodedImage:
        with open(self.path, "wb") as file:
            file.write(data)
        return self.reader.read(self.path)

    def pixels(self, image: image_files.EncodedImage) -> np.ndarray:
        """What TensorFlow decodes, [height, width, 3]."""
        with tf.Graph().as_default(), tf.Session() as session:
            decode = tf.io.decode_jpeg if image.format == "jpeg" else tf.io.decode_png
            native = session.run(tf.shape(decode(image.encoded)))
            decoded = tf.io.decode_image(image.encoded, channels=3, expand_animations=False)
            pixels = session.run(decoded)
        self.assertEqual(native.tolist(), [image.height, image.width, image.channels])
        return pixels

    def assert_shows(
        self, image: image_files.EncodedImage, expected: np.ndarray, *, mean: float, most: float
    ) -> None:
        pixels = self.pixels(image)
        self.assertEqual(pixels.shape, expected.shape)
        error = np.abs(pixels.astype(float) - expected)
        self.assertLessEqual(error.mean(), mean)
        self.assertLessEqual(error.max(), most)

    @parameterized.named_parameters(
        ("jpeg", save(_PHOTO, "JPEG"), "jpeg", 3),
        ("progressive", save(_PHOTO, "JPEG", progressive=True), "jpeg", 3),
        ("grey_jpeg", save(_PHOTO[..., 0], "JPEG"), "jpeg", 1),
        ("png", save(_PHOTO, "PNG"), "png", 3),
        ("grey_png", save(_PHOTO[..., 0], "PNG"), "png", 1),
        ("exif_that_does_not_turn", save(_PHOTO, "JPEG", exif=orientation(1)), "jpeg", 3),
        ("exif_out_of_range", save(_PHOTO, "JPEG", exif=orientation(9)), "jpeg", 3),
        ("damaged_exif", save(_PHOTO, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff noise"), "jpeg", 3),
        (
            "several_in_one",
            save(_PHOTO, "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))]),
            "jpeg",
            3,
        ),
    )
    def test_keeps_the_file(self, data, kind, channels):
        image = self.read(data)
        self.assertEqual(image.encoded, data)
        self.assertEqual((image.format, image.height, image.width), (kind, _HEIGHT, _WIDTH))
        self.assertEqual(image.channels, channels)
        expected = _PHOTO if channels == 3 else np.repeat(_PHOTO[..., :1], 3, axis=-1)
        if kind == "png":
            self.assert_shows(image, expected, mean=0, most=0)
        else:
            self.assert_shows(image, expected, mean=4, most=90)

    @parameterized.product(value=list(range(2, 9)), kind=["JPEG", "PNG", "WEBP"])
    def test_rotates_as_exif_says(self, value, kind):
        options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
        data = save(_PHOTO, kind, exif=orientation(value), **options.get(kind, {}))
        image = self.read(data)
        expected = _TURNS[value](_PHOTO)
        self.assertEqual((image.height, image.width), expected.shape[:2])
        if kind == "PNG":
            self.assertEqual(image.format, "png")
            self.assert_shows(image, expected, mean=0, most=0)
        else:
            self.assertEqual(image.format, "jpeg")
            self.assert_shows(image, expected, mean=1.5, most=40)
        # Otherwise it would be rotated twice.
        with Image.open(io.BytesIO(image.encoded)) as stored:
            self.assertNotIn(ExifTags.Base.Orientation, stored.getexif())

    def test_lossless_files_stay_lossless(self):
        palette = Image.fromarray(_PHOTO).quantize(16)
        for kind, data in {
            "bmp": save(_PHOTO, "BMP"),
            "palette": save(palette, "PNG"),
            "gif": save(palette, "GIF"),
            "bits": save(Image.fromarray(_PHOTO).convert("1"), "PNG"),
        }.items():
            with self.subTest(kind):
                image = self.read(data)
                self.assertEqual(image.format, "png")
                expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
                self.assertGreater(expected.std(), 50)
                self.assert_shows(image, expected, mean=0, most=0)

    def test_sixteen_bits(self):
        wide = _RANDOM.integers(0, 65536, [9, 7, 3])
        rgb = self.read(png(wide, 16, 2))
        self.assert_shows(rgb, wide / 257.0, mean=0.6, most=1)
        grey = self.read(png(wide[..., 0], 16, 0))
        self.assert_shows(grey, np.repeat(wide[..., :1], 3, axis=-1) / 257.0, mean=0.6, most=1)

    def test_transparent_image(self):
        alpha = _RANDOM.integers(0, 256, _PHOTO.shape[:2]).astype(np.uint8)
        expected = over_white(_PHOTO, alpha)
        grey = over_white(np.repeat(_PHOTO[..., :1], 3, axis=-1), alpha)
        key = (250, 30, 40)
        keyed = np.where((key == _PHOTO).all(axis=-1, keepdims=True), 255, _PHOTO)
        rgba, grey_alpha = np.dstack([_PHOTO, alpha]), np.dstack([_PHOTO[..., 0], alpha])
        for kind, data, shown in (
            ("rgba", save(rgba, "PNG"), expected),
            ("grey", save(grey_alpha, "PNG"), grey),
            ("colour key", png(_PHOTO, 8, 2, tRNS=struct.pack(">HHH", *key)), keyed),
        ):
            with self.subTest(kind):
                image = self.read(data)
                self.assertEqual(image.format, "png")
                self.assert_shows(image, shown, mean=0.5, most=1)
        smooth = _ROWS.astype(np.uint8)
        image = self.read(save(np.dstack([_PHOTO, smooth]), "WEBP", lossless=True))
        self.assert_shows(image, over_white(_PHOTO, smooth), mean=1.5, most=20)

    def test_transparent_palette(self):
        palette = Image.fromarray(_PHOTO).quantize(4)
        data = save(palette, "PNG", transparency=2)
        indices, colours = np.asarray(palette), np.asarray(palette.getpalette()).reshape(-1, 3)
        self.assertIn(2, indices)
        colours[2] = 255
        self.assert_shows(self.read(data), colours[indices], mean=0, most=0)

    @parameterized.parameters(False, True)
    def test_four_inks(self, as_ycck):
        inks = np.dstack([_PHOTO, 2 * _ROWS.astype(np.uint8)])
        expected = (255.0 - inks[..., :3]) * (255.0 - inks[..., 3:]) / 255.0
        if as_ycck:
            # YCCK is the YCbCr of inks taken as colours; Pillow inverts what it writes.
            colours = Image.fromarray(_PHOTO).convert("YCbCr")
            inks[..., :3] = 255 - np.asarray(colours)
        data = save(Image.fromarray(inks, "CMYK"), "JPEG", quality=95, subsampling=0)
        marker = data.index(b"Adobe") + 11
        if as_ycck:
            data = data[:marker] + b"\2" + data[marker + 1 :]
        image = self.read(data)
        self.assertEqual((image.format, image.channels), ("jpeg", 3))
        self.assert_shows(image, expected, mean=2, most=40)

    def test_webp(self):
        image = self.read(save(_PHOTO, "WEBP", quality=90))
        self.assertEqual(image.format, "jpeg")
        self.assert_shows(image, _PHOTO, mean=4, most=120)

    def test_first_frame(self):
        frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
        for kind, options in {"GIF": {}, "WEBP": {"lossless": True}}.items():
            data = save(frames[0], kind, save_all=True, append_images=frames[1:], **options)
            self.assert_shows(self.read(data), np.full([6, 8, 3], (255, 0, 0)), mean=2, most=3)

    def test_makes_new_file_if_tensorflow_refuses_the_old(self):
        data = save(_PHOTO, "PNG")[:-12]
        image = self.read(data)
        self.assertNotEqual(image.encoded, data)
        self.assert_shows(image, _PHOTO, mean=0, most=0)

    @parameterized.named_parameters(
        ("empty", b"", "^it is empty$"),
        ("text", b"Not an image.", "^it is not a JPEG, PNG, BMP, WebP or GIF image$"),
        ("tiff", save(_PHOTO, "TIFF"), "^it is a TIFF image; convert it to PNG or JPEG first$"),
        (
            "heic",
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            "^it is a HEIC image; .*heif-convert .*sips",
        ),
        ("heif", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heix", "^it is a HEIC image; convert it to JPEG"),
        ("avif", save(_PHOTO, "AVIF"), "^it is an AVIF image; convert it to JPEG first$"),
        ("mp4", b"\0\0\0\x18ftypisom\0\0\0\0isommp41", "^it is not a JPEG, PNG, BMP, WebP or GIF"),
        ("jpeg_cut_short", save(_PHOTO, "JPEG")[:-50], "^it cannot be decoded: pixels are missing"),
        ("jpeg_of_four_inks_cut_short", save(_INKS, "JPEG")[:-50], "pixels are missing"),
        ("jpeg_cut_short_and_ended", save(_PHOTO, "JPEG")[:-50] + b"\xff\xd9", "are missing"),
        ("jpeg_filled_with_zeros", half(save(_PHOTO, "JPEG")).ljust(3000, b"\0"), "are missing"),
        ("jpeg_cut_in_its_head", half(save(_PHOTO, "JPEG")), "^it cannot be decoded: "),
        ("png_cut_short", half(save(_PHOTO, "PNG")), "^it cannot be decoded: "),
        ("bmp_cut_short", half(save(_PHOTO, "BMP")), "^it cannot be decoded: "),
        ("webp_cut_short", half(save(_PHOTO, "WEBP")), "^it "),
        ("gif_cut_short", half(save(_PHOTO, "GIF")), "^it cannot be decoded: "),
    )
    def test_refuses_bad_image(self, data, expected):
        with self.assertRaisesRegex(BadImageError, expected):
            self.read(data)

    def test_removes_damage_that_costs_no_pixels(self):
        data = save(_PHOTO, "JPEG")
        for faulty, complaint in (
            (data[:-2], "no end marker"),
            (data[:2] + b"stray" + data[2:], "5 stray bytes"),
        ):
            image = self.read(faulty)
            self.assertEqual((image.encoded, image.complaint), (data, complaint))

    def test_makes_new_file_if_decoders_warn(self):
        data = save(_PHOTO, "JPEG")
        faulty = data[:-2] + bytes(range(1, 9)) + data[-2:]
        image = self.read(faulty)
        self.assertRegex(image.complaint, "extraneous bytes")
        # The decoder would warn in each training, without the name of the image.
        self.assertEqual(jpeg.check(image.encoded).complaint, "")

    def test_warns_each_time(self):
        with self.assertWarnsRegex(photo_file.ImageWarning, "^a/b.jpg is damaged, .*: so$"):
            photo_file.warn("a/b.jpg", "so")
        with self.assertWarnsRegex(photo_file.ImageWarning, "^a/b.jpg"):
            photo_file.warn("a/b.jpg", "so")
        photo_file.warn("a/b.jpg", "")

    def test_refuses_other_than_files(self):
        with self.assertRaisesRegex(BadImageError, "cannot be opened: No such file"):
            self.reader.read(self.path)
        os.mkfifo(self.path)
        with self.assertRaisesRegex(BadImageError, "not a regular file"):
            self.reader.read(self.path)

    def test_too_little_memory(self):
        with open(self.path, "wb") as file:
            # A kind that is not kept, because TensorFlow would wait ten seconds for memory.
            file.write(save(Image.new("P", (9000, 9000)), "PNG"))
        with open("/proc/self/status") as file:
            found = re.search(r"VmSize:\s+(\d+) kB", file.read())
        limits = resource.getrlimit(resource.RLIMIT_AS)
        # A fraction of the memory for the picture.
        resource.setrlimit(resource.RLIMIT_AS, (1024 * int(found[1]) + 40_000_000, limits[1]))
        try:
            with self.assertRaisesRegex(MemoryError, f"enough memory to decode {self.path}"):
                self.reader.read(self.path)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)

    def test_reduces_image_that_tensorflow_cannot_decode(self):
        # Of one colour in each half, which is quick to write.
        grey = Image.new("L", (20000, 10000), 90)
        grey.paste(180, (0, 0, 20000, 5000))
        with open(self.path, "wb") as file:
            grey.save(file, "JPEG", quality=20)
        del grey
        image = self.reader.read(self.path)
        self.assertEqual((image.format, image.height, image.width), ("jpeg", 5000, 10000))
        decoded = Image.open(io.BytesIO(image.encoded))
        self.assertAlmostEqual(decoded.getpixel((5000, 2000))[0], 180, delta=2)
        self.assertAlmostEqual(decoded.getpixel((5000, 4000))[0], 90, delta=2)

    @parameterized.product(
        kind=["JPEG", "PNG", "BMP", "GIF", "WEBP"], most=[_HEIGHT * _WIDTH // 2, 100], value=[1, 6]
    )
    def test_reduces_large_image(self, kind, most, value):
        options = {} if kind in ("BMP", "GIF") else {"exif": orientation(value)}
        shown = _TURNS[value if options else 1](_PHOTO)
        data = save(_PHOTO, kind, **options)
        factor = 2 if most > 100 else 8
        # The real limit is tested only once, above, because it takes gigabytes.
        with mock.patch.object(large_images, "MOST_PIXELS", most):
            image = self.read(data)
        self.assertEqual(
            (image.height, image.width), (shown.shape[0] // factor, shown.shape[1] // factor)
        )
        expected = np.asarray(Image.fromarray(np.ascontiguousarray(shown)).reduce(factor))
        self.assert_shows(image, expected, mean=12, most=120)

    def test_refuses_image_larger_than_memory(self):
        with open(self.path, "wb") as file:
            # The header of a picture that does not fit in any memory.
            header = struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0)
            body = b"IHDR" + header
            data = b"IDAT" + zlib.compress(bytes(99))
            file.write(
                b"\x89PNG\r\n\x1a\n"
                + struct.pack(">I", 13)
                + body
                + struct.pack(">I", zlib.crc32(body))
                + struct.pack(">I", len(data) - 4)
                + data
                + struct.pack(">I", zlib.crc32(data))
            )
        with self.assertRaisesRegex(
            BadImageError,
            "^it has 1073741824 x 1073741824 pixels, .* is enough for [0-9,]+ million;",
        ):
            self.reader.read(self.path)

    def test_several_threads(self):
        self.read(save(_PHOTO, "PNG"))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            images = list(pool.map(self.reader.read, [self.path] * 50))
        self.assertLen(set(images), 1)


if __name__ == "__main__":
    absltest.main()
