"""Tests of windows.py."""

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.photos import windows


class WindowsTest(parameterized.TestCase):
    @parameterized.parameters((427, 640), (33, 20), (1, 1))
    def test_parts_are_inside_and_different(self, height, width):
        found = windows.parts(height, width, 100)
        self.assertEqual(found[0], (0, 0, height, width, False))
        for window in found:
            self.assertBetween(window.top, 0, height - window.height)
            self.assertBetween(window.left, 0, width - window.width)
            self.assertGreaterEqual(window.height, int(0.6 * height))
            self.assertGreaterEqual(window.width, int(0.6 * width))
        if height > 100:
            self.assertLen(set(found), 100)

    def test_parts_are_spread_evenly(self):
        found = windows.parts(1000, 1000, 200)
        for values in (
            [w.height / 400 - 1.5 for w in found],
            [w.top / max(1, 1000 - w.height) for w in found],
            [w.left / max(1, 1000 - w.width) for w in found],
        ):
            counts = np.histogram(values, 4, (0, 1))[0]
            self.assertBetween(min(counts), 44, 56, msg=counts)
        self.assertEqual(sum(w.mirrored for w in found), 100)

    def test_part_of_image(self):
        pixels = np.arange(4 * 5).reshape(4, 5)
        window = windows.Window(1, 2, 2, 3, False)
        np.testing.assert_array_equal(window.of(pixels), [[7, 8, 9], [12, 13, 14]])
        window = window._replace(mirrored=True)
        np.testing.assert_array_equal(window.of(pixels), [[9, 8, 7], [14, 13, 12]])


if __name__ == "__main__":
    absltest.main()
