"""Tests of pixel_reader.py; those in same_pixels_test.py compare it with evaluation."""

import os
import pathlib

import numpy as np
from absl.testing import absltest, parameterized
from PIL import ExifTags, Image

from imprinting.base.photo_crop import Crop
from imprinting.photos import photo_file
from imprinting.photos.photo_file import BadImageError
from imprinting.photos.pixel_reader import PixelReader


class PixelReaderTest(parameterized.TestCase):
    @parameterized.parameters("png", "jpg")
    def test_encoded_images_are_read_as_files_are(self, ending):
        path = os.path.join(self.create_tempdir().full_path, f"photo.{ending}")
        pixels = np.random.default_rng(0).integers(0, 256, [50, 70, 3], np.uint8)
        Image.fromarray(pixels).save(path)
        reader = PixelReader(32, Crop.SQUARE)
        for views in (1, 3):
            found = reader.read(pathlib.Path(path).read_bytes(), views=views)
            expected = reader.read(path, views=views).astype(int)
            np.testing.assert_allclose(found, expected, atol=1, rtol=0)
        with self.assertRaisesRegex(BadImageError, "it is not a JPEG, PNG"):
            reader.read(b"no image")

    def test_square_of_a_wide_photo_is_its_middle(self):
        path = os.path.join(self.create_tempdir().full_path, "a.jpg")
        # The left and the right quarter are white.
        pixels = np.full([64, 128, 3], 255, np.uint8)
        pixels[:, 32:96] = 0
        Image.fromarray(pixels).save(path, quality=95)
        for crop, least in ((Crop.SQUARE, 0), (Crop.STRETCHED, 60)):
            reader = PixelReader(32, crop)
            for views in (1, 2):
                whole = reader.read(path, views=views)[0]
                self.assertBetween(whole.mean(), least, least + 90)

    def test_views_are_parts_of_the_image(self):
        path = os.path.join(self.create_tempdir().full_path, "a.png")
        # Red increases to the right, green downwards.
        ramp = np.linspace(0, 255, 64)
        image = np.stack(np.broadcast_arrays(ramp, ramp[:, np.newaxis], 99), axis=-1)
        Image.fromarray(image.astype(np.uint8)).save(path)
        reader = PixelReader(32)
        whole = reader.read(path)
        views = reader.read(path, views=4)
        self.assertEqual(views.shape, (4, 32, 32, 3))
        np.testing.assert_array_equal(views[:1], whole)
        for index, view in enumerate(views.astype(int)):
            mirrored = index % 2 == 1
            self.assertEqual(view[:, 0, 0].mean() > view[:, -1, 0].mean(), mirrored)
            self.assertLess(view[0, :, 1].mean(), view[-1, :, 1].mean())
        spans = [int(np.ptp(view[..., 1].astype(int))) for view in views]
        self.assertEqual(max(spans), spans[0])
        self.assertLen(set(spans), 4)

    def test_reads_what_a_viewer_shows(self):
        folder = self.create_tempdir().full_path
        pixels = np.random.default_rng(0).integers(0, 256, [48, 64, 3], np.uint8)
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        turned, upright = os.path.join(folder, "turned.png"), os.path.join(folder, "upright.png")
        Image.fromarray(pixels).save(turned, exif=exif)
        Image.fromarray(np.rot90(pixels, -1)).save(upright)
        reader = PixelReader(32, Crop.SQUARE)
        np.testing.assert_array_equal(reader.read(turned), reader.read(upright))

    def test_images_and_arrays(self):
        pixels = np.random.default_rng(0).integers(0, 256, [48, 64, 3], np.uint8)
        path = pathlib.Path(self.create_tempdir().full_path, "a.png")
        Image.fromarray(pixels).save(path)
        reader = PixelReader(32)
        expected = reader.read(path)
        for source in (str(path), path.read_bytes(), Image.fromarray(pixels), pixels):
            np.testing.assert_array_equal(reader.read(source), expected)
        grey = pixels[..., 0]
        np.testing.assert_array_equal(
            reader.read(grey), reader.read(np.repeat(grey[..., np.newaxis], 3, axis=2))
        )

    @parameterized.parameters(
        (np.zeros([4, 4, 3], np.float32), r"got float32 \[4, 4, 3\]; convert"),
        (np.zeros([4, 4, 4], np.uint8), r"got uint8 \[4, 4, 4\]"),
        (np.zeros([1280], np.int8), r"got int8 \[1280\]"),
        (np.zeros([0, 4, 3], np.uint8), r"got uint8 \[0, 4, 3\]"),
    )
    def test_refuses_arrays_that_are_not_photos(self, array, expected):
        with self.assertRaisesRegex(BadImageError, f"expected pixels of a photo, .*{expected}"):
            PixelReader(32).read(array)

    def test_refuses_truncated_jpeg(self):
        path = os.path.join(self.create_tempdir().full_path, "a.jpg")
        pixels = np.random.default_rng(0).integers(0, 256, [48, 64, 3], np.uint8)
        Image.fromarray(pixels).save(path)
        data = pathlib.Path(path).read_bytes()
        # Half of the file, nearly all of it, and half of it with an end marker.
        for faulty in (data[: len(data) // 2], data[:-3], data[: len(data) // 2] + b"\xff\xd9"):
            pathlib.Path(path).write_bytes(faulty)
            for views in (1, 2):
                with self.assertRaisesRegex(BadImageError, "pixels are missing"):
                    PixelReader(32).read(path, views=views)

    def test_warns_of_damaged_jpeg(self):
        path = os.path.join(self.create_tempdir().full_path, "a.jpg")
        pixels = np.random.default_rng(0).integers(0, 256, [48, 64, 3], np.uint8)
        Image.fromarray(pixels).save(path)
        data = pathlib.Path(path).read_bytes()
        reader = PixelReader(32)
        for views in (1, 2):
            pathlib.Path(path).write_bytes(data)
            expected = reader.read(path, views=views)
            pathlib.Path(path).write_bytes(data[:-2])
            with self.assertWarnsRegex(photo_file.ImageWarning, f"^{path} is damaged"):
                found = reader.read(path, views=views)
            np.testing.assert_array_equal(found, expected)

    def test_refuses_other_files(self):
        path = self.create_tempfile("a.jpg", "text").full_path
        reader = PixelReader(32)
        with self.assertRaisesRegex(BadImageError, "it is not a JPEG"):
            reader.read(path)


if __name__ == "__main__":
    absltest.main()
