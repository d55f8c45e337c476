"""Tests of finding runfiles."""

from absl.testing import absltest

from tests import runfiles


class RunfilesTest(absltest.TestCase):
    def test_finds_a_file(self):
        found = runfiles.path("tests/runfiles.py")
        self.assertTrue(found.is_absolute())
        self.assertIn("def path", found.read_text())

    def test_missing_file(self):
        with self.assertRaisesRegex(FileNotFoundError, r"expected tests/none among .* in BUILD"):
            runfiles.path("tests/none")


if __name__ == "__main__":
    absltest.main()
