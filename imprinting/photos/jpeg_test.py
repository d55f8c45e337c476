"""Tests of jpeg.py, with files that are truncated, filled with zeros, or slightly damaged."""

import io
from typing import Any

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from imprinting.photos import jpeg

_PHOTO = np.random.default_rng(0).integers(0, 256, [6, 8, 3], np.uint8)
# Smooth, but with details.
_IMAGE = Image.fromarray(_PHOTO).resize([120, 88])
_FORMS = (
    ("RGB", {}),
    ("L", {}),
    ("CMYK", {}),
    ("RGB", {"progressive": True}),
    ("CMYK", {"progressive": True}),
    ("RGB", {"optimize": True, "subsampling": "4:4:4"}),
    ("RGB", {"restart_marker_rows": 1}),
)
_END = b"\xff\xd9"


def save(mode: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    _IMAGE.convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


class CheckTest(parameterized.TestCase):
    def assert_accepts(self, data: bytes, mended: bytes, complaint: str) -> None:
        checked = jpeg.check(data)
        self.assertEqual(checked.data, mended)
        self.assertRegex(checked.complaint, f"^{complaint}$")

    def assert_refuses(self, data: bytes, expected: str = "^pixels are missing ") -> None:
        with self.assertRaisesRegex(ValueError, expected):
            jpeg.check(data)

    @parameterized.parameters(*_FORMS)
    def test_accepts_complete_files(self, mode, options):
        data = save(mode, options)
        self.assert_accepts(data, data, "")
        self.assert_accepts(data + b"more", data + b"more", "")
        self.assert_accepts(data[:-2], data, "no end marker")
        self.assert_accepts(data[:-1], data, "no end marker")
        table = data.index(b"\xff\xdb")
        for stray in (b"stray", bytes(5), b"\xff\x00\x00"):
            for place in (2, table):
                faulty = data[:place] + stray + data[place:]
                self.assert_accepts(faulty, data, f"{len(stray)} stray bytes")
        self.assert_accepts(faulty[:-2], data, "3 stray bytes, no end marker")
        # The reported number depends on how far the decoder read ahead.
        data = data[:-2] + bytes(range(1, 21)) + _END
        self.assert_accepts(data, data, ".* extraneous bytes before marker 0xd9")

    @parameterized.parameters(*_FORMS)
    def test_refuses_missing_pixels(self, mode, options):
        data = save(mode, options)
        scan = data.index(b"\xff\xda")
        step = (len(data) - scan) // 23
        for size in (*range(scan, len(data) - 3, step), len(data) - 10, 30, 4):
            with self.subTest(size):
                self.assert_refuses(data[:size])
                # A progressive file may end between scans that refine others.
                if size > scan + 20 and "progressive" not in options:
                    self.assert_refuses(data[:size] + _END)
        for size in (scan + 40, len(data) * 3 // 4):
            with self.subTest("zeros", size=size):
                zeros = bytes(len(data) - size)
                self.assert_refuses(data[:size] + zeros)
                self.assert_refuses(data[:size] + zeros * 20)

    def test_refuses_missing_scans(self):
        data = save("RGB", {"progressive": True})
        scans = [i for i in range(len(data)) if data[i : i + 2] == b"\xff\xda"]
        self.assertGreater(len(scans), 5)
        for scan in scans[1:]:
            self.assert_refuses(data[:scan], "it ends early")

    def test_refuses_wrong_pixels(self):
        data = save("L", {})
        self.assert_refuses(data[:-2] + b"a" * len(data) + _END, "^pixels are damaged ")

    def test_returns_none_for_other_kinds(self):
        # Seven bits per colour, and lossless JPEG: libjpeg knows neither.
        data = save("RGB", {})
        frame = data.index(b"\xff\xc0")
        self.assertIsNone(jpeg.check(data[: frame + 4] + b"\x07" + data[frame + 5 :]))
        self.assertIsNone(jpeg.check(data[: frame + 1] + b"\xc3" + data[frame + 2 :]))

    def test_files_that_are_not_read_to_their_end(self):
        # With more pixels than fit in memory, or with a number of colours that no JPEG has.
        for options, marker in (({}, b"\xff\xc0"), ({"progressive": True}, b"\xff\xc2")):
            data = save("RGB", options)
            at = data.index(marker) + 5
            for size, colours in ((b"\xff\x00\xff\x00", 3), (data[at : at + 4], 2)):
                changed = data[:at] + size + bytes([colours]) + data[at + 5 :]
                self.assertIsNone(jpeg.check(changed))


if __name__ == "__main__":
    absltest.main()
