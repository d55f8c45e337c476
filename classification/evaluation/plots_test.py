"""Tests figures by their pixels."""

import io
import warnings

import numpy as np
import PIL.Image
from absl.testing import absltest, parameterized

from classification.evaluation import plots
from classification.evaluation.class_counts import Confusion, Examples

# The colours of cells with none and with all of a row's images.
_EMPTY = (247, 251, 255)
_FULL = (8, 48, 107)


def pixels(png: bytes) -> np.ndarray:
    with PIL.Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def area(picture: np.ndarray, colour: tuple[int, ...]) -> int:
    return int((picture == colour).all(axis=-1).sum())


class ConfusionMatrixTest(parameterized.TestCase):
    @parameterized.parameters(2, 80, 81, 1001)
    def test_each_class_has_a_cell(self, num):
        names = [f"class {i}" for i in range(num)]
        picture = pixels(plots.confusion_matrix(np.eye(num, dtype=int) * 7, names))
        self.assertLess(max(picture.shape), 2600)
        # Where much is of the colour of empty cells, the matrix is, and not the bar beside it.
        (columns,) = np.nonzero((picture == _EMPTY).all(axis=-1).mean(axis=0) > 0.2)
        matrix = picture[:, columns.min() : columns.max() + 1]
        rows, columns = np.nonzero((matrix == _FULL).all(axis=-1))
        for places in (rows, columns):
            self.assertGreaterEqual(len(np.unique(places)), 1.9 * num)
        self.assertGreater(np.corrcoef(rows, columns)[0, 1], 0.7 if num == 2 else 0.99)

    def test_cells_of_many_classes_are_of_one_size(self):
        matrix = np.ones([101, 101], int)
        matrix[::2, ::2] = 0
        picture = pixels(plots.confusion_matrix(matrix, ["x"] * 101))
        row = picture[100, 100:1200]
        changes = np.flatnonzero((np.diff(row, axis=0) != 0).any(axis=-1))
        self.assertLen(set(np.diff(changes[5:-5]).tolist()), 1)

    def test_errors_are_seen_and_absent_classes_left_out(self):
        matrix = np.zeros([500, 500], int)
        matrix[3, 3] = 90
        small = plots.confusion_matrix(matrix, ["x"] * 500)
        matrix[3, 400] = 10
        large = plots.confusion_matrix(matrix, ["x"] * 500)
        self.assertLess(pixels(large).shape[0], 500)
        self.assertGreater(area(pixels(small), _FULL), 200 * 200)
        self.assertLess(area(pixels(large), _FULL), 2000)

    def test_odd_names_without_a_warning(self):
        names = ["蘋果", "a$b$ \\alpha", "x" * 500, "蘋果" * 99, "line\nline", "ดอก"]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            picture = pixels(plots.confusion_matrix(np.ones([6, 6], int), names))
        self.assertLess(max(picture.shape), 1000)

    def test_chinese_japanese_and_korean_names_are_written(self):
        matrix = np.ones([2, 2], int)
        for name in ("蒲公英", "たんぽぽ", "민들레"):
            number, shown = (
                plots.confusion_matrix(matrix, [first, "b"])
                # No font has Thai characters: there, the number stands for the name.
                for first in ("ด" * len(name), name)
            )
            self.assertNotEqual(number, shown)
            self.assertEqual(number, plots.confusion_matrix(matrix, ["class 0", "b"]))
            # Others have no box with crosses in their places.
            other = plots.confusion_matrix(matrix, [name[::-1], "b"])
            self.assertNotEqual(shown, other)

    def test_same_bytes(self):
        matrix = np.random.default_rng(0).integers(0, 9, [7, 7])
        first, second = (plots.confusion_matrix(matrix, list("abcdefg")) for _ in range(2))
        self.assertEqual(first, second)
        self.assertNotIn(b"tEXt", first)


class ConfusedPairsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.colours = {5: (200, 0, 0), 9: (0, 180, 0), 2: (0, 0, 160)}
        self.options = {
            "photos": {i: np.full([16, 16, 3], c, np.uint8) for i, c in self.colours.items()},
            "probability": np.linspace(0, 1, 10),
            "names": ("cat", "dog" * 30, "犬"),
        }
        self.rows = [
            Examples(Confusion(0, 1, 2), 7, (5, 9), (2,)),
            Examples(Confusion(2, 0, 1), 7, (9,), ()),
        ]

    def test_photos_stand_where_they_belong(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            picture = pixels(plots.confused_pairs(self.rows, **self.options))
        places = {i: np.argwhere((picture == c).all(axis=-1)) for i, c in self.colours.items()}
        self.assertEqual([len(places[i]) for i in (5, 9, 2)], [180**2, 2 * 180**2, 180**2])
        upper = places[9][: 180**2]
        self.assertEqual(places[5][0][0], upper[0][0])
        self.assertLess(places[5][:, 1].max(), upper[:, 1].min())
        self.assertLess(upper[:, 1].max(), places[2][:, 1].min())
        self.assertGreater(places[9][-1][0], upper[-1][0])

    def test_no_errors(self):
        picture = pixels(plots.confused_pairs([], **self.options))
        self.assertLess(picture.shape[0], 100)
        self.assertGreater(area(picture, (0, 0, 0)), 100)

    def test_same_bytes(self):
        first, second = (plots.confused_pairs(self.rows, **self.options) for _ in range(2))
        self.assertEqual(first, second)


if __name__ == "__main__":
    absltest.main()
