"""Tests of shipped_files.py."""

import os
from unittest import mock

from absl.testing import absltest

from classification.data import shipped_files


class FindTest(absltest.TestCase):
    def test_finds_file_of_the_build(self):
        path = shipped_files.find("digits.csv.gz", variable="UNUSED")
        self.assertGreater(os.path.getsize(path), 10_000)

    def test_finds_file_of_the_environment(self):
        path = self.create_tempfile("elsewhere").full_path
        with mock.patch.dict(os.environ, {"NEEDED": path}):
            self.assertEqual(shipped_files.find("not_shipped", variable="NEEDED"), path)

    def test_refuses_missing_file(self):
        for value in ("", "/gone/away"):
            with (
                mock.patch.dict(os.environ, {"NEEDED": value}),
                self.assertRaisesRegex(FileNotFoundError, "not_shipped at .*variable NEEDED"),
            ):
                shipped_files.find("not_shipped", variable="NEEDED")


if __name__ == "__main__":
    absltest.main()
