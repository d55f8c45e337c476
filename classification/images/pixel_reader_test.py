"""Tests of pixel_reader.py: compares it with the preprocessing of evaluation."""

import concurrent.futures
import os
import pathlib

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized
from PIL import ExifTags, Image

from classification.data import preprocessing
from classification.images import image_files
from classification.images.image_files import BadImageError
from classification.images.pixel_reader import PixelReader
from transforms.base import pixel_scaling
from transforms.base.photo_crop import Crop


class PixelReaderTest(parameterized.TestCase):
    def assert_reads_what_evaluation_reads(
        self, paths: list[str], crop: Crop = Crop.STRETCHED
    ) -> None:
        with tf.Graph().as_default(), tf.Session() as session:
            encoded = tf.placeholder(tf.string, [])
            evaluated = preprocessing.for_evaluation(encoded, image_size=32, crop=crop)
            expected = [
                pixel_scaling.to_quanta(
                    session.run(evaluated, {encoded: pathlib.Path(path).read_bytes()})
                ).astype(int)
                for path in paths
            ]
        with PixelReader(32, crop) as reader, concurrent.futures.ThreadPoolExecutor(2) as pool:
            found = list(pool.map(reader.read, paths))
        for path, pixels, (image,) in zip(paths, expected, found, strict=True):
            self.assertEqual(image.dtype, np.uint8)
            # A value in the middle between two quanta may be rounded to either of them.
            np.testing.assert_allclose(image, pixels, atol=1, rtol=0, err_msg=path)
            self.assertLess((image != pixels).mean(), 0.02, path)

    def test_equals_evaluation(self):
        folder = self.create_tempdir().full_path
        images = np.random.default_rng(0).integers(0, 256, [4, 50, 70, 3], np.uint8)
        paths = []
        for index, pixels in enumerate(images):
            paths.append(os.path.join(folder, f"{index}.{'png' if index < 2 else 'jpg'}"))
            Image.fromarray(pixels).save(paths[-1])
        self.assert_reads_what_evaluation_reads(paths)

    @parameterized.parameters("png", "jpg")
    def test_encoded_images_are_read_as_files_are(self, ending):
        path = os.path.join(self.create_tempdir().full_path, f"photo.{ending}")
        pixels = np.random.default_rng(0).integers(0, 256, [50, 70, 3], np.uint8)
        Image.fromarray(pixels).save(path)
        with PixelReader(32, Crop.SQUARE) as reader:
            for views in (1, 3):
                found = reader.read_encoded(pathlib.Path(path).read_bytes(), views=views)
                expected = reader.read(path, views=views).astype(int)
                np.testing.assert_allclose(found, expected, atol=1, rtol=0)
            with self.assertRaisesRegex(BadImageError, "cannot be decoded"):
                reader.read_encoded(b"no image")

    @parameterized.product(
        size=[(1, 1), (1, 40), (40, 1), (9, 15), (16, 16), (17, 33), (120, 90)],
        options=[
            {"subsampling": "4:4:4"},
            {"subsampling": "4:2:2"},
            {"subsampling": "4:2:0"},
            {"progressive": True},
        ],
    )
    def test_kinds_of_jpeg(self, size, options):
        pixels = np.random.default_rng(0).integers(0, 256, [*size, 3], np.uint8)
        folder = self.create_tempdir().full_path
        paths = [os.path.join(folder, name) for name in ("rgb.jpg", "grey.jpg")]
        image = Image.fromarray(pixels)
        image.save(paths[0], **options)
        image.convert("L").save(paths[1], progressive=options.get("progressive", False))
        self.assert_reads_what_evaluation_reads(paths)

    @parameterized.product(
        size=[(1, 1), (1, 40), (40, 1), (9, 15), (16, 17), (33, 17), (90, 120), (120, 90)],
        options=[{"subsampling": "4:2:0"}, {"subsampling": "4:2:2"}, {"progressive": True}],
    )
    def test_squares(self, size, options):
        pixels = np.random.default_rng(0).integers(0, 256, [*size, 3], np.uint8)
        folder = self.create_tempdir().full_path
        paths = [os.path.join(folder, name) for name in ("rgb.jpg", "grey.jpg", "rgb.png")]
        image = Image.fromarray(pixels)
        image.save(paths[0], **options)
        image.convert("L").save(paths[1], progressive=options.get("progressive", False))
        image.save(paths[2])
        self.assert_reads_what_evaluation_reads(paths, Crop.SQUARE)

    def test_square_of_a_wide_photo_is_its_middle(self):
        path = os.path.join(self.create_tempdir().full_path, "a.jpg")
        # The left and the right quarter are white.
        pixels = np.full([64, 128, 3], 255, np.uint8)
        pixels[:, 32:96] = 0
        Image.fromarray(pixels).save(path, quality=95)
        for crop, least in ((Crop.SQUARE, 0), (Crop.STRETCHED, 60)):
            with PixelReader(32, crop) as reader:
                for views in (1, 2):
                    whole = reader.read(path, views=views)[0]
                    self.assertBetween(whole.mean(), least, least + 90)

    def test_views_are_parts_of_the_image(self):
        path = os.path.join(self.create_tempdir().full_path, "a.png")
        # Red increases to the right, green downwards.
        ramp = np.linspace(0, 255, 64)
        image = np.stack(np.broadcast_arrays(ramp, ramp[:, np.newaxis], 99), axis=-1)
        Image.fromarray(image.astype(np.uint8)).save(path)
        with PixelReader(32) as reader:
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
        turned, cmyk = os.path.join(folder, "turned.jpg"), os.path.join(folder, "cmyk.jpg")
        Image.fromarray(pixels).save(turned, quality=95, exif=exif)
        Image.fromarray(pixels).convert("CMYK").save(cmyk, quality=95)
        with PixelReader(32) as reader:
            for path in (turned, cmyk):
                # With several views, even a plain JPEG is read like other files.
                np.testing.assert_array_equal(
                    reader.read(path), reader.read(path, views=2)[:1], err_msg=path
                )
                self.assertIsNone(image_files.plain_jpeg(path))

    def test_refuses_truncated_jpeg(self):
        path = os.path.join(self.create_tempdir().full_path, "a.jpg")
        pixels = np.random.default_rng(0).integers(0, 256, [48, 64, 3], np.uint8)
        Image.fromarray(pixels).save(path)
        data = pathlib.Path(path).read_bytes()
        # Half of the file, nearly all of it, and half of it with an end marker.
        for faulty in (data[: len(data) // 2], data[:-3], data[: len(data) // 2] + b"\xff\xd9"):
            pathlib.Path(path).write_bytes(faulty)
            for views in (1, 2):
                with (
                    PixelReader(32) as reader,
                    self.assertRaisesRegex(BadImageError, "pixels are missing"),
                ):
                    reader.read(path, views=views)

    def test_warns_of_damaged_jpeg(self):
        path = os.path.join(self.create_tempdir().full_path, "a.jpg")
        pixels = np.random.default_rng(0).integers(0, 256, [48, 64, 3], np.uint8)
        Image.fromarray(pixels).save(path)
        data = pathlib.Path(path).read_bytes()
        with PixelReader(32) as reader:
            for views in (1, 2):
                pathlib.Path(path).write_bytes(data)
                expected = reader.read(path, views=views)
                pathlib.Path(path).write_bytes(data[:-2])
                with self.assertWarnsRegex(image_files.ImageWarning, f"^{path} is damaged"):
                    found = reader.read(path, views=views)
                np.testing.assert_array_equal(found, expected)

    def test_refuses_other_files(self):
        path = self.create_tempfile("a.jpg", "text").full_path
        with PixelReader(32) as reader, self.assertRaisesRegex(BadImageError, "it is not a JPEG"):
            reader.read(path)


if __name__ == "__main__":
    absltest.main()
