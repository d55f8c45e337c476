"""Tests that deployment reads photos as evaluation does: PixelReader against preprocessing."""

import concurrent.futures
import os
import pathlib

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized
from PIL import Image

from classification.data import preprocessing
from imprinting.base import pixel_scaling
from imprinting.base.photo_crop import Crop
from imprinting.photos import unrelated_photos
from imprinting.photos.pixel_reader import PixelReader


class SamePixelsTest(parameterized.TestCase):
    def assert_reads_what_evaluation_reads(
        self, paths: list[str], crop: Crop = Crop.STRETCHED
    ) -> None:
        with tf.Graph().as_default(), tf.Session() as session:
            encoded = tf.placeholder(tf.string, [])
            # TensorFlow's default for JPEG files is a faster transform, which is less exact.
            decoded = tf.cond(
                tf.io.is_jpeg(encoded),
                lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
                lambda: preprocessing.decode(encoded),
            )
            evaluated = preprocessing.crop_for_evaluation(decoded, image_size=32, crop=crop)
            expected = [
                pixel_scaling.to_quanta(
                    session.run(evaluated, {encoded: pathlib.Path(path).read_bytes()})
                ).astype(int)
                for path in paths
            ]
        reader = PixelReader(32, crop)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
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

    def test_photographs_as_evaluation_decodes_them(self):
        # The faster transform of JPEG files changes pixels by a level on average. The default
        # network recognises .863 of 1,000 photos with it, and .865 with the exact one.
        for path in unrelated_photos.paths():
            with tf.Graph().as_default(), tf.Session() as session:
                evaluated = session.run(
                    preprocessing.for_evaluation(
                        tf.constant(pathlib.Path(path).read_bytes()),
                        image_size=224,
                        crop=Crop.SQUARE,
                    )
                )
            (found,) = PixelReader(224, Crop.SQUARE).read(path)
            difference = np.abs(found.astype(int) - pixel_scaling.to_quanta(evaluated).astype(int))
            self.assertLess(difference.mean(), 2)
            self.assertLessEqual(difference.max(), 20)


if __name__ == "__main__":
    absltest.main()
