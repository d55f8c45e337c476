"""A short run of the fuzzer of the package."""

import pathlib
import tempfile
from unittest import mock

from absl.testing import absltest

from tests.fuzz import package_child, package_fuzz, package_seeds


# No test may depend on the machine's speed: Bazel ends one that hangs.
@mock.patch.object(package_fuzz, "_MOST_SECONDS", 3600)
class PackageFuzzTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        made = tempfile.TemporaryDirectory()
        cls.addClassCleanup(made.cleanup)
        cls.folder = pathlib.Path(made.name) / "seeds"
        package_seeds.write(cls.folder, None)

    def test_models(self):
        tally = package_fuzz.fuzz(self.folder, "models", range(600), seed=0)
        self.assertEmpty(tally.failures)
        self.assertEqual(sum(tally.outcomes.values()), 600)
        # Files that are all refused, or all accepted, would find nothing.
        self.assertGreater(tally.accepted, 60)
        self.assertLess(tally.accepted, 400)
        self.assertNotIn("NO MESSAGE", "".join(tally.outcomes))

    def test_photos(self):
        tally = package_fuzz.fuzz(self.folder, "photos", range(600), seed=0)
        self.assertEmpty(tally.failures)
        self.assertGreater(tally.accepted, 60)
        self.assertLess(tally.accepted, 500)

    def test_a_file_depends_only_on_its_number(self):
        for kind in ("models", "photos"):
            files = [package_child.changed(self.folder, kind, 3, n) for n in (0, 1, 0)]
            self.assertEqual(files[0], files[2])
            self.assertNotEqual(files[0], files[1])
            self.assertNotEqual(files[0], package_child.changed(self.folder, kind, 4, 0))

    def test_numbers_are_run_once_by_any_number_of_processes(self):
        tally = package_fuzz.fuzz(self.folder, "photos", range(5, 18), seed=0, jobs=2)
        self.assertEqual(sum(tally.outcomes.values()), 13)

    def run_program(self, line):
        """Runs a program for files 0..2, which runs some lines for file 1."""
        program = self.create_tempfile(
            content=f"""
import os, sys, time
first = int(next(a for a in sys.argv if "first" in a).split("=")[1])
for number in range(first, 3):
    print("begin", number, flush=True)
    if number == 1:
        {line}
    print("end", number, "0.01 1000 read", flush=True)
"""
        )
        return package_fuzz.fuzz(self.folder, "photos", range(3), 0, program=program.full_path)

    def test_failures(self):
        for line, expected in (
            ("os.abort()", "file 1: crashed: exit status -6"),
            ("sys.exit('text')", "file 1: crashed: exit status 1: text"),
            ("time.sleep(100)", "file 1: hung"),
            ("print('end 1 0.01 1000000001 read'); continue", "file 1: too large: 1000 MB"),
            ("print('end 1 0.01 1000 WRONG KeyError: x'); continue", "file 1: wrong: WRONG KeyErr"),
        ):
            limit = 5 if line.startswith("time") else 3600
            with mock.patch.object(package_fuzz, "_MOST_SECONDS", limit):
                tally = self.run_program(line)
            with self.subTest(expected):
                self.assertLen(tally.failures, 1)
                self.assertStartsWith(tally.failures[0], expected)
                self.assertEqual(tally.accepted, 2)
                self.assertEqual(sum(tally.outcomes.values()), 3)
                text = tally.text("photos")
                self.assertIn("3 photos: 2 accepted, 0 refused, ", text)
                self.assertIn(f"1 {expected.split(': ')[1]}", text)

    def test_a_program_that_does_not_start(self):
        program = self.create_tempfile(content="raise SystemExit('broken')").full_path
        with self.assertRaisesRegex(RuntimeError, "exit status 1: broken"):
            package_fuzz.fuzz(self.folder, "photos", range(3), 0, program=program)


if __name__ == "__main__":
    absltest.main()
