"""Tests of the files that are appended to a .tflite."""

import io
import random
import zipfile
from unittest import mock

from absl.testing import absltest, parameterized

from imprinting.tflite import packed_files

_MODEL = bytes(range(256)) * 4


def packed(files, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO(_MODEL)
    with zipfile.ZipFile(file, "a", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return file.getvalue()


class PackedFilesTest(parameterized.TestCase):
    def test_round_trip(self):
        files = {"labels.txt": b"a\nb\n", "other": b""}
        data = packed_files.append(_MODEL, files)
        self.assertTrue(data.startswith(_MODEL))
        self.assertTrue(packed_files.are_there(data))
        self.assertEqual(packed_files.read(data), files)
        self.assertEqual(packed_files.read(data, "other"), {"other": b""})
        self.assertEqual(packed_files.append(_MODEL, files), data)

    def test_nothing_appended(self):
        self.assertFalse(packed_files.are_there(_MODEL))
        self.assertEqual(packed_files.read(_MODEL), {})
        with self.assertRaisesRegex(ValueError, "expected the file a appended .*, got no file"):
            packed_files.read(_MODEL, "a")

    def assert_refused(self, data, expected, name=None):
        with self.assertRaisesRegex(ValueError, rf"a damaged one \({expected}.*; create the .tfl"):
            packed_files.read(data, name)

    def test_missing_file(self):
        self.assert_refused(packed([("a", b"")]), "no file b", "b")

    @parameterized.parameters(zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    def test_too_large(self, method):
        most = 1000
        with mock.patch.object(packed_files, "MOST_BYTES", most):
            self.assertLen(packed_files.read(packed([("a", bytes(most))], method))["a"], most)
            self.assert_refused(packed([("a", bytes(most + 1))], method), "more than 1,000 bytes")
            # All together.
            several = packed([("a", bytes(600)), ("b", bytes(600))], method)
            self.assert_refused(several, "more than 1,000 bytes")
            self.assertLen(packed_files.read(several, "b")["b"], 600)

    def test_bomb(self):
        self.assert_refused(packed([("a", bytes(50_000_000))]), "more than 16,777,216 bytes")

    def test_a_size_that_is_too_small(self):
        data = packed([("a", bytes(50_000_000))])
        # In the list and in front of the file.
        data = data.replace((50_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
        # Only what it says is unpacked, and is not what was packed.
        self.assert_refused(data, "Bad CRC-32|.*")

    def test_many_files(self):
        names = [(f"{i}", b"") for i in range(packed_files.MOST_FILES)]
        self.assertLen(packed_files.read(packed(names)), packed_files.MOST_FILES)
        self.assert_refused(packed([*names, ("more", b"")]), "more than 100 files")

    def test_list_of_files(self):
        names = [(f"{i:0300}", b"") for i in range(200)]
        self.assert_refused(packed(names), "a list of files of ")
        with mock.patch.object(zipfile, "ZIP_FILECOUNT_LIMIT", 10):
            self.assert_refused(
                packed([(f"{i}", b"") for i in range(20)]), "more than 65,535 files"
            )

    @parameterized.parameters(zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    def test_other_methods(self, method):
        self.assert_refused(packed([("a", b"b")], method), f"compression method {method}")

    def test_encrypted(self):
        data = bytearray(packed([("a", b"b")]))
        data[len(_MODEL) + 6] |= 1
        data[data.rindex(b"PK\1\2") + 8] |= 1
        self.assert_refused(bytes(data), ".*encrypted")

    def test_damage_is_at_most_a_value_error(self):
        data = packed([("labels.txt", b"a\nb\n" * 30), ("other", bytes(100))])
        chosen, refused = random.Random(1), 0
        for _ in range(3000):
            damaged = bytearray(data)
            damaged[chosen.randrange(len(_MODEL), len(data))] = chosen.randrange(256)
            try:
                packed_files.read(bytes(damaged))
            except ValueError as error:
                refused += 1
                self.assertTrue(str(error).isprintable())
        self.assertGreater(refused, 500)


if __name__ == "__main__":
    absltest.main()
