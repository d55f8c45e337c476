"""Tests of check_images.py."""

import pathlib

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.data import dataset, preprocessing, shipped_files, testing
from classification.deployment import check_images
from imprinting.base import pixel_scaling
from imprinting.base.photo_crop import Crop
from imprinting.photos import windows


def evaluated(pixels: np.ndarray, size: int, crop: Crop = Crop.STRETCHED) -> np.ndarray:
    """An image preprocessed as in evaluation, as the input of a quantised network."""
    with tf.Graph().as_default(), tf.Session() as session:
        image = tf.constant(pixels)
        result = session.run(preprocessing.crop_for_evaluation(image, image_size=size, crop=crop))
    return pixel_scaling.to_quanta(result)


class DigitsTest(absltest.TestCase):
    def test_held_out_ones_evenly_spread(self):
        images, description = check_images.of_digits(90, image_size=32)
        self.assertEqual((images.shape, images.dtype), ((90, 32, 32, 3), np.uint8))
        held_out = dataset.open_dataset(None, "validation")
        batch = testing.run_batches(
            held_out.batches(batch_size=360, image_size=32, is_training=False)
        )[0]
        np.testing.assert_array_equal(images, pixel_scaling.to_quanta(batch["image"][::4]))
        self.assertEqual(description, "90 of the 360 handwritten digits held out from training")

    def test_too_many(self):
        with self.assertRaisesRegex(ValueError, "at most 360 images, .* got 361"):
            check_images.of_digits(361, image_size=32)


class PhotographsTest(absltest.TestCase):
    def test_half_of_each_photograph_the_complete_one_first(self):
        images, description = check_images.of_photographs(6, image_size=40)
        self.assertEqual((images.shape, images.dtype), ((6, 40, 40, 3), np.uint8))
        self.assertEqual(
            description, "6 parts of scikit-learn's photographs china.jpg and flower.jpg"
        )
        for index, name in ((0, "china.jpg"), (3, "flower.jpg")):
            path = shipped_files.find(name, variable="UNUSED")
            encoded = pathlib.Path(path).read_bytes()
            with tf.Graph().as_default(), tf.Session() as session:
                image = session.run(preprocessing.for_evaluation(encoded, image_size=40))
            np.testing.assert_array_equal(images[index], pixel_scaling.to_quanta(image))
        self.assertLen({image.tobytes() for image in images}, 6)
        squares = check_images.of_photographs(6, image_size=40, crop=Crop.SQUARE).images
        self.assertTrue(all((a != b).any() for a, b in zip(images, squares, strict=True)))
        again = check_images.of_photographs(6, image_size=40).images
        np.testing.assert_array_equal(images, again)


class FilesTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def write(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def write_grey(self, name: str, value: int) -> str:
        return self.write(name, testing.encode_png(np.full([20, 30, 3], value, np.uint8)))

    def write_records(self, sizes: list[int]) -> list[str]:
        """Writes records of grey images, with values 0, 2, 4 and so on."""
        testing.write_grey_images(self.folder, "validation", sizes)
        return sorted(str(path) for path in self.folder.glob("validation-*"))

    def greys(self, images: np.ndarray) -> list[int]:
        """The grey value, 0 to 255, of images that have one colour each."""
        self.assertTrue((images == images[:, :1, :1, :1]).all())
        return [round(int(q) * 255 / 256) for q in images[:, 0, 0, 0]]

    def test_all_in_the_order_of_the_files(self):
        paths = [self.write_grey("b", 50), *self.write_records([2, 0, 1]), self.write_grey("a", 90)]
        images, description = check_images.of_files(paths, 5, image_size=8)
        self.assertEqual(images.shape, (5, 8, 8, 3))
        self.assertEqual(self.greys(images), [50, 0, 2, 4, 90])
        self.assertEqual(description, "the 5 images given")

    def test_some_evenly_spread(self):
        images, description = check_images.of_files(self.write_records([3, 5, 4]), 4, image_size=8)
        self.assertEqual(self.greys(images), [0, 6, 12, 18])
        self.assertEqual(description, "4 of the 12 images given")

    def test_several_parts_of_few(self):
        pixels = np.random.default_rng(0).integers(0, 256, [50, 60, 3], np.uint8)
        paths = [self.write_grey("a", 50), self.write("b", testing.encode_png(pixels))]
        images, description = check_images.of_files(paths, 5, image_size=16)
        self.assertEqual(self.greys(images[:3]), [50] * 3)
        second = windows.parts(50, 60, 2)[1]
        np.testing.assert_array_equal(images[3], evaluated(pixels, 16))
        np.testing.assert_array_equal(images[4], evaluated(second.of(pixels), 16))
        self.assertEqual(
            description, "5 parts of the 2 images given, which are fewer than asked for"
        )

    @parameterized.parameters(*Crop)
    def test_crops(self, crop):
        pixels = np.random.default_rng(0).integers(0, 256, [50, 90, 3], np.uint8)
        paths = [self.write("a", testing.encode_png(pixels))]
        images, _ = check_images.of_files(paths, 3, image_size=16, crop=crop)
        for image, window in zip(images, windows.parts(50, 90, 3), strict=True):
            np.testing.assert_array_equal(image, evaluated(window.of(pixels), 16, crop))
        # The same as cutting the part out first.
        top, left, height, width = crop.window(50, 90)
        part = pixels[top : top + height, left : left + width]
        with tf.Graph().as_default(), tf.Session() as session:
            resized = tf.raw_ops.ResizeBilinear(
                images=part[np.newaxis].astype(np.float32), size=[16, 16]
            )
            expected = session.run(resized)[0] * 256 / 255
        np.testing.assert_allclose(images[0], np.minimum(expected, 255), atol=0.51)

    def test_no_images(self):
        for paths in ([], self.write_records([0])):
            with self.assertRaisesRegex(ValueError, "expected at least one image, got none in"):
                check_images.of_files(paths, 5, image_size=8)

    def test_files_that_are_neither(self):
        good = self.write_grey("good", 9)
        for data in (b"GIF89a, or so, but no more", b"text"):
            path = self.write("bad", data)
            with self.assertRaisesRegex(ValueError, f"or TFRecords, in {path}, got neither"):
                check_images.of_files([good, path], 5, image_size=8)

    def test_missing_file_and_folder(self):
        with self.assertRaises(FileNotFoundError):
            check_images.of_files([str(self.folder / "gone")], 5, image_size=8)
        with self.assertRaises(IsADirectoryError):
            check_images.of_files([str(self.folder)], 5, image_size=8)

    def test_damaged_images_are_named(self):
        png = testing.encode_png(np.zeros([20, 20, 3], np.uint8))
        path = self.write("cut", png[: len(png) // 2])
        with self.assertRaisesRegex(ValueError, f"got {path}: it cannot be decoded: "):
            check_images.of_files([path], 5, image_size=8)
        path = str(self.folder / "records")
        testing.write_records(
            path, [testing.make_image_example(data, 1) for data in (png, b"no image")]
        )
        with self.assertRaisesRegex(
            ValueError, f"image as record 1 of {path}, got one that cannot"
        ):
            check_images.of_files([path], 5, image_size=8)

    def test_records_of_another_form_are_named(self):
        path = str(self.folder / "records")
        for record in (b"no example", testing.make_example({"image": b"x"})):
            testing.write_records(path, [record])
            with self.assertRaisesRegex(ValueError, f"^record 0 of {path}: [Ee]xpected "):
                check_images.of_files([path], 5, image_size=8)

    @parameterized.parameters(({"count": 0}, "images"), ({"image_size": 0}, "image_size"))
    def test_numbers_out_of_range(self, changed, name):
        options = {"count": 1, "image_size": 8} | changed
        with self.assertRaisesRegex(ValueError, f"{name} of at least 1, got 0"):
            check_images.of_files([self.write_grey("a", 1)], **options)


if __name__ == "__main__":
    absltest.main()
