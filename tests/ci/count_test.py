"""Tests of count.py with the test.xml of absltest, and with events as Bazel writes them."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys

from absl.testing import absltest

from tests.ci import count

CASES = """
import os
from absl.testing import absltest, parameterized

class Sample(parameterized.TestCase):
    def test_good(self): pass
    def test_bad(self): self.assertEqual(1, 2)
    def test_broken(self): raise OSError("disk")
    def test_later(self): self.skipTest("later")
    @parameterized.parameters(1, 2, 3)
    def test_each(self, number): self.assertGreater(number, 0)
    def test_crash(self):
        if os.environ.get("CRASH"): os.abort()

absltest.main()
"""


class CountTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def _run_absltest(self, *names, **environment):
        """Runs cases of CASES; returns the path of test.xml, which is empty after a crash."""
        program, xml = self.folder / "sample.py", self.folder / "test.xml"
        xml.unlink(missing_ok=True)
        program.write_text(CASES)
        subprocess.run(
            [sys.executable, program, *(f"Sample.{name}" for name in names)],
            env={
                "PYTHONPATH": os.pathsep.join(sys.path),
                "XML_OUTPUT_FILE": str(xml),
                **environment,
            },
            stderr=subprocess.DEVNULL,
        )
        return xml

    def _result(self, label, status, xml=None, **name):
        outputs = [{"name": "test.xml", "uri": xml.as_uri()}] if xml else []
        return {
            "id": {"testResult": {"label": label, "run": 1, "shard": 1, "attempt": 1, **name}},
            "testResult": {"status": status, "testActionOutput": outputs},
        }

    def _configured(self, label, **configured):
        return {"id": {"targetConfigured": {"label": label}}, "configured": configured}

    def _count(self, *events):
        return count.count_events([json.dumps(event) + "\n" for event in events])

    def test_cases_of_absltest(self):
        counts = count.count_xml(self._run_absltest().read_text(), "//a:b")
        self.assertEqual(counts.passed, 5)
        self.assertEqual(counts.skipped, 1)
        self.assertLen(counts.failed, 2)
        self.assertEqual(str(counts), "5 passed, 2 failed, 1 skipped")

    def test_cached_results_are_counted(self):
        xml = self._run_absltest("test_good", "test_later")
        event = self._result("//a:b", "PASSED", xml)
        event["testResult"]["cachedLocally"] = True
        self.assertEqual(
            str(self._count(self._configured("//a:b", testSize="SMALL"), event)),
            "1 passed, 0 failed, 1 skipped",
        )

    def test_a_crash_is_one_failure(self):
        xml = self._run_absltest("test_good", "test_crash", CRASH="1")
        for left in (xml, None):
            counts = self._count(self._result("//a:b", "FAILED", left))
            self.assertEqual(str(counts), "0 passed, 1 failed")

    def test_a_failure_after_the_last_case(self):
        xml = self._run_absltest("test_good")
        counts = self._count(self._result("//a:b", "FAILED", xml))
        self.assertEqual(str(counts), "1 passed, 1 failed")

    def test_a_truncated_test_xml(self):
        xml = self._run_absltest("test_good")
        xml.write_text(xml.read_text()[:-20])
        counts = self._count(self._result("//a:b", "TIMEOUT", xml))
        self.assertEqual(str(counts), "0 passed, 1 failed")

    def test_only_the_last_attempt_counts(self):
        bad = self._run_absltest("test_bad").rename(self.folder / "first.xml")
        good = self._run_absltest("test_good")
        counts = self._count(
            self._result("//a:b", "FAILED", bad, attempt=1),
            self._result("//a:b", "PASSED", good, attempt=2),
        )
        self.assertEqual(str(counts), "1 passed, 0 failed")

    def test_shards_are_added(self):
        xml = self._run_absltest("test_each0", "test_each1")
        counts = self._count(
            self._result("//a:b", "PASSED", xml, shard=1),
            self._result("//a:b", "PASSED", xml, shard=2),
        )
        self.assertEqual(str(counts), "4 passed, 0 failed")

    def test_an_aborted_shard_is_a_failure_with_its_reason(self):
        first = self._result("//a:b", "PASSED", self._run_absltest("test_good"), shard=1)
        second = self._result("//a:b", None, shard=2)
        del second["testResult"]
        for aborted, why in (
            ({"reason": "USER_INTERRUPTED", "description": "no time"}, "no time"),
            ({"reason": "USER_INTERRUPTED"}, "USER_INTERRUPTED"),
            ({}, "aborted"),
        ):
            counts = self._count(first, second | {"aborted": aborted})
            self.assertEqual(str(counts), "1 passed, 1 failed")
            self.assertEqual(counts.failed, [f"//a:b: {why}"])

    def test_targets_that_were_not_built_or_loaded_are_failures(self):
        counts = self._count(
            self._configured("//a:library", targetKind="py_library rule"),
            self._configured("//a:b", testSize="SMALL"),
            {"id": {"targetConfigured": {"label": "//a:c"}}, "aborted": {"reason": "X"}},
            {"id": {"pattern": {"pattern": ["//x"]}}, "aborted": {"description": "no package"}},
        )
        self.assertEqual(
            counts.failed, ["//x: no package", "//a:b: was not built", "//a:c: was not built"]
        )

    def test_the_last_line(self):
        events, xml = self.folder / "events.json", self._run_absltest("test_good", "test_bad")
        events.write_text(json.dumps(self._result("//a:b", "FAILED", xml)) + "\n")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = count.main([str(events), str(self.folder / "missing.json"), "--skipped=3"])
        self.assertEqual(status, 1)
        self.assertEqual(output.getvalue().splitlines()[-1], "1 passed, 2 failed, 3 skipped")


if __name__ == "__main__":
    absltest.main()
