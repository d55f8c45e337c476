"""Tests of photo_crop.py."""

from absl.testing import absltest, parameterized

from imprinting.base.photo_crop import Crop


class CropTest(parameterized.TestCase):
    @parameterized.parameters(
        (256, 384, (16, 24, 224, 336)),
        (384, 256, (24, 16, 336, 224)),
        (1, 1, (0, 0, 1, 1)),
        (100, 7, (6, 0, 88, 7)),
    )
    def test_stretched(self, height, width, window):
        self.assertEqual(Crop.STRETCHED.window(height, width), window)

    @parameterized.parameters(
        (256, 384, (16, 80, 224, 224)),
        (384, 256, (80, 16, 224, 224)),
        (256, 341, (16, 59, 224, 224)),
        (1, 1, (0, 0, 1, 1)),
        (100, 7, (47, 1, 6, 6)),
    )
    def test_square(self, height, width, window):
        self.assertEqual(Crop.SQUARE.window(height, width), window)

    @parameterized.product(crop=list(Crop), height=(1, 2, 3, 50), width=(1, 2, 3, 77))
    def test_is_inside_the_photo(self, crop, height, width):
        top, left, rows, columns = crop.window(height, width)
        self.assertBetween(top, 0, height - rows)
        self.assertBetween(left, 0, width - columns)
        self.assertGreater(min(rows, columns), 0)


if __name__ == "__main__":
    absltest.main()
