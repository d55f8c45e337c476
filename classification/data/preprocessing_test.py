"""Tests of preprocessing.py: compares it with NumPy code written from the definitions."""

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from classification.data import preprocessing
from imprinting.base.photo_crop import Crop

# The rounding of positions up to 341 in float32, times a difference of 2 between pixels.
_TOLERANCE = 2e-5


def _photo(height: int, width: int) -> np.ndarray:
    """A uint8 image with smooth and sharp parts, whose neighbouring pixels all differ."""
    y, x = np.mgrid[:height, :width]
    red = 255 * y / height
    green = 255 * x / width
    blue = 127 + 120 * np.sin(x / 3.0) * np.cos(y / 5.0)
    noise = np.random.RandomState(0).uniform(-8, 8, [height, width, 3])
    return np.clip(np.stack([red, green, blue], -1) + noise, 0, 255).astype(np.uint8)


def _resize(image: np.ndarray, size: int) -> np.ndarray:
    """Bilinear, in float64: pixel i of the result is at i * (input size / result size)."""

    def weights(length: int) -> np.ndarray:
        matrix = np.zeros([size, length])
        for i in range(size):
            position = i * length / size
            below = int(position)
            above = min(below + 1, length - 1)
            matrix[i, below] += 1 - (position - below)
            matrix[i, above] += position - below
        return matrix

    rows = np.einsum("ih,hwc->iwc", weights(image.shape[0]), image / 255.0)
    return np.einsum("jw,iwc->ijc", weights(image.shape[1]), rows)


def _jpeg(image: np.ndarray) -> bytes:
    return tf.io.encode_jpeg(image, quality=90).numpy()


def _png(image: np.ndarray) -> bytes:
    return tf.io.encode_png(image).numpy()


def _seed(value: int) -> tf.Tensor:
    return tf.constant([7, value], tf.int64)


class EvaluationTest(parameterized.TestCase):
    # Height, width, and the crop: the offset at both ends is (side - 0.875 * side) / 2, rounded
    # down.
    @parameterized.parameters(
        (256, 341, 16, 21, 224),
        (100, 57, 6, 3, 32),
        (17, 15, 1, 0, 40),
        (8, 16, 0, 1, 8),
        (1, 1, 0, 0, 4),
    )
    def test_equals_numpy(self, height, width, top, left, size):
        image = _photo(height, width)
        expected = 2 * _resize(image[top : height - top, left : width - left], size) - 1
        result = preprocessing.for_evaluation(_png(image), image_size=size).numpy()
        self.assertEqual(result.shape, (size, size, 3))
        self.assertEqual(result.dtype, np.float32)
        np.testing.assert_allclose(result, expected, atol=_TOLERANCE)

    def test_crops_jpeg_after_decoding(self):
        encoded = _jpeg(_photo(120, 160))
        image = tf.io.decode_jpeg(encoded).numpy()
        expected = 2 * _resize(image[7:113, 10:150], 64) - 1
        result = preprocessing.for_evaluation(encoded, image_size=64).numpy()
        np.testing.assert_allclose(result, expected, atol=_TOLERANCE)

    def test_range_is_black_to_white(self):
        for value, expected in ((0, -1.0), (255, 1.0)):
            image = np.full([20, 30, 3], value, np.uint8)
            result = preprocessing.for_evaluation(_png(image), image_size=16).numpy()
            np.testing.assert_array_equal(result, np.full([16, 16, 3], expected))

    def test_grey_images_get_three_channels(self):
        grey = _photo(40, 40)[..., :1]
        for encoded in (_png(grey), _jpeg(grey)):
            result = preprocessing.for_evaluation(encoded, image_size=24).numpy()
            self.assertEqual(result.shape, (24, 24, 3))
            np.testing.assert_array_equal(result[..., 0], result[..., 2])
            self.assertGreater(result.std(), 0.1)

    def test_refuses_other_files(self):
        with self.assertRaises(tf.errors.InvalidArgumentError):
            preprocessing.for_evaluation(b"no image", image_size=24)


class CropTest(parameterized.TestCase):
    @parameterized.parameters(
        (256, 341, 224),
        (341, 256, 224),
        (57, 100, 32),
        (16, 17, 40),
        (20, 12, 8),
        (9, 1, 4),
        (1, 1, 4),
    )
    def test_square_equals_numpy(self, height, width, size):
        image = _photo(height, width)
        top, left, rows, columns = Crop.SQUARE.window(height, width)
        self.assertEqual(rows, columns)
        part = image[top : top + rows, left : left + columns]
        expected = 2 * _resize(part, size) - 1
        options = {"image_size": size, "crop": Crop.SQUARE}
        for result in (
            preprocessing.for_evaluation(_png(image), **options).numpy(),
            preprocessing.crop_for_evaluation(image, **options).numpy(),
        ):
            self.assertEqual((result.shape, result.dtype), ((size, size, 3), np.float32))
            np.testing.assert_allclose(result, expected, atol=_TOLERANCE)
        quanta = preprocessing.quanta_for_evaluation(image, **options).numpy()
        self.assertEqual(quanta.dtype, np.uint8)
        # The nearest of the quanta, (q - 128) / 128, except where it is between two of them.
        exact = np.clip(128 + 128 * expected, 0, 255)
        np.testing.assert_allclose(quanta, exact, atol=0.51)

    @parameterized.parameters(*Crop)
    def test_window_of_each_size(self, crop):
        # A pixel's red is its row, and its green its column.
        places = np.stack(np.meshgrid(range(90), range(90), [0], indexing="ij"), axis=-1)[:, :, 0]
        crop_part = tf.function(
            lambda image: preprocessing._central_crop(image, crop),
            input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)],
        )
        sizes = [(side, side + 3) for side in range(1, 87)] + [(77, 5), (5, 1), (1, 12), (12, 12)]
        for height, width in sizes:
            part = crop_part(places[:height, :width].astype(np.uint8)).numpy()
            top, left, _ = part[0, 0]
            self.assertEqual((top, left, *part.shape[:2]), crop.window(height, width))

    @parameterized.parameters(
        (Crop.STRETCHED, 256, 384, (16, 23, 224, 338)),
        (Crop.SQUARE, 256, 384, (16, 79, 224, 226)),
        (Crop.SQUARE, 384, 256, (80, 15, 224, 226)),
        (Crop.SQUARE, 17, 17, (1, 0, 15, 17)),
        # There is no column on the right.
        (Crop.SQUARE, 50, 9, None),
        (Crop.SQUARE, 7, 7, None),
        (Crop.SQUARE, 1, 1, None),
        (Crop.STRETCHED, 1, 1, None),
    )
    def test_window_of_a_jpeg(self, crop, height, width, expected):
        self.assertEqual(preprocessing.central_window(height, width, crop), expected)

    @parameterized.product(
        crop=list(Crop), size=[(60, 80), (80, 60), (33, 47), (47, 33), (18, 17)], grey=[True, False]
    )
    def test_part_of_a_jpeg_equals_part_of_the_decoded_jpeg(self, crop, size, grey):
        image = _photo(*size)
        encoded = _jpeg(image[..., :1] if grey else image)
        decoded = tf.io.decode_jpeg(encoded, channels=3)
        window = preprocessing.central_window(*size, crop)
        self.assertIsNotNone(window)
        found = preprocessing.quanta_of_jpeg(encoded, tf.constant(window), image_size=24)
        expected = preprocessing.quanta_for_evaluation(decoded, image_size=24, crop=crop)
        np.testing.assert_array_equal(found, expected)


class TrainingTest(parameterized.TestCase):
    @parameterized.parameters(_png, _jpeg)
    def test_equal_seeds_give_equal_images(self, encode):
        encoded = encode(_photo(64, 80))
        images = [
            preprocessing.for_training(encoded, _seed(i), image_size=32).numpy()
            for i in (1, 1, 2, 3)
        ]
        np.testing.assert_array_equal(images[0], images[1])
        for other in images[2:]:
            self.assertGreater(np.abs(images[0] - other).mean(), 0.02)

    def test_shape_and_range(self):
        encoded = _png(_photo(50, 70))
        low, high = [], []
        for i in range(40):
            image = preprocessing.for_training(encoded, _seed(i), image_size=48).numpy()
            self.assertEqual(image.shape, (48, 48, 3))
            self.assertEqual(image.dtype, np.float32)
            low.append(image.min())
            high.append(image.max())
        self.assertGreaterEqual(min(low), -1.0)
        self.assertLessEqual(max(high), 1.0)
        self.assertLess(min(low), -0.9)
        self.assertGreater(max(high), 0.9)

    def test_windows_are_in_the_image(self):
        height, width = 90, 120
        areas, ratios = [], []
        for i in range(300):
            top, left, h, w = (
                int(v) for v in preprocessing._random_window([height, width, 3], _seed(i))
            )
            self.assertGreaterEqual(min(top, left), 0)
            self.assertLessEqual(top + h, height)
            self.assertLessEqual(left + w, width)
            areas.append(h * w / (height * width))
            ratios.append(w / h)
        # Windows have integer sides: half a pixel of 20 pixels is 2.5 %.
        self.assertBetween(min(areas), 0.04, 0.12)
        self.assertGreater(max(areas), 0.7)
        self.assertBetween(np.min(ratios), 0.72, 0.80)
        self.assertBetween(np.max(ratios), 1.25, 1.38)

    def test_tiny_image(self):
        for i in range(5):
            image = preprocessing.for_training(_png(_photo(1, 2)), _seed(i), image_size=8)
            self.assertEqual(image.shape, (8, 8, 3))

    @parameterized.parameters(False, True)
    def test_jpeg_window_equals_window_of_decoded_jpeg(self, grey):
        image = _photo(75, 101)
        encoded = _jpeg(image[..., :1] if grey else image)
        decoded = tf.io.decode_jpeg(encoded, channels=3).numpy()
        edges = 0
        for i in range(60):
            top, left, h, w = (
                int(v) for v in preprocessing._random_window(decoded.shape, _seed(i))
            )
            crop = preprocessing._random_crop(encoded, _seed(i)).numpy()
            np.testing.assert_array_equal(crop, decoded[top : top + h, left : left + w])
            edges += left == 0 or left + w == 101
        self.assertBetween(edges, 1, 59)

    def test_flips_half_the_images(self):
        # The image becomes brighter to the right, in every crop and with every distortion.
        ramp = np.broadcast_to(np.arange(0, 240, 4)[None, :, None], [60, 60, 3]).astype(np.uint8)
        encoded = _png(ramp)
        rising = []
        for i in range(200):
            image = preprocessing.for_training(encoded, _seed(i), image_size=16).numpy()
            rising.append(image[:, -4:].mean() > image[:, :4].mean())
        # Four standard deviations of a fair coin.
        self.assertBetween(np.mean(rising), 0.36, 0.64)

    def test_adds_brightness(self):
        # Grey has no saturation to distort.
        image = tf.fill([4, 4, 3], 0.5)
        for order in (0.0, 0.9):
            for draw, expected in ((0.0, 0.5 - 32 / 255), (0.5, 0.5), (1.0, 0.5 + 32 / 255)):
                result = preprocessing._distort_colours(image, tf.constant([order, draw, 0.1]))
                np.testing.assert_allclose(result, np.full([4, 4, 3], expected), atol=1e-6)

    @parameterized.parameters(
        # Saturation (max - min) / max is multiplied by 0.5 to 1.5; the maximum does not change.
        (0.0, [0.8, 0.7, 0.6]),
        (0.5, [0.8, 0.6, 0.4]),
        (1.0, [0.8, 0.5, 0.2]),
    )
    def test_multiplies_saturation(self, draw, expected):
        image = tf.constant([[[0.8, 0.6, 0.4]]])
        result = preprocessing._distort_colours(image, tf.constant([0.9, 0.5, draw]))
        np.testing.assert_allclose(result[0, 0], expected, atol=1e-6)

    def test_order_of_distortions(self):
        # The orders differ only if the saturation, here 1.5 times 5/6, is clipped to 1. Then the
        # smallest channel is 0, and the middle one is 0.4 times the largest. Brightness that is
        # added later is added to all of them.
        image = tf.constant([[[0.6, 0.3, 0.1]]])
        delta = 32 / 255
        saturation_first = [0.6 + delta, 0.24 + delta, delta]
        brightness_first = [0.6 + delta, 0.4 * (0.6 + delta), 0.0]
        for order, expected in ((0.26, saturation_first), (0.24, brightness_first)):
            result = preprocessing._distort_colours(image, tf.constant([order, 1.0, 1.0]))
            np.testing.assert_allclose(result[0, 0], expected, atol=1e-6)


if __name__ == "__main__":
    absltest.main()
