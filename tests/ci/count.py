"""Counts the test cases of Bazel invocations; .ci/run prints the result last.

Reads the files that `bazel test --build_event_json_file=FILE` writes: they name the
targets of that very invocation, cached ones too, and where each one's test.xml lies.
A folder of test logs would hold those of earlier runs as well.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree


@dataclasses.dataclass
class Counts:
    """How many cases passed and were skipped, and which failed."""

    passed: int = 0
    skipped: int = 0
    failed: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        line = f"{self.passed} passed, {len(self.failed)} failed"
        return line + (f", {self.skipped} skipped" if self.skipped else "")

    def add(self, other: "Counts") -> None:
        """Adds the counts of another target or invocation."""
        self.passed += other.passed
        self.skipped += other.skipped
        self.failed += other.failed


def count_xml(text: str, label: str) -> Counts:
    """Counts the cases of one test.xml.

    Raises:
      ElementTree.ParseError: the text is no XML.
    """
    counts = Counts()
    for case in ElementTree.fromstring(text).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            counts.failed.append(f"{label} {case.get('classname', '')}.{case.get('name')}")
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            counts.skipped += 1
        else:
            counts.passed += 1
    return counts


def _path(uri: str) -> pathlib.Path:
    return pathlib.Path(urllib.request.url2pathname(urllib.parse.urlsplit(uri).path))


def _why(aborted: dict) -> str:
    # JSON leaves a reason out where it is UNKNOWN.
    return aborted.get("description") or aborted.get("reason", "aborted")


def _count_run(label: str, event: dict) -> Counts:
    """Counts one run of a test target: one shard, at its last attempt."""
    if "aborted" in event:
        return Counts(failed=[f"{label}: {_why(event['aborted'])}"])
    result = event.get("testResult", {})
    counts = Counts()
    for output in result.get("testActionOutput", []):
        if output["name"] == "test.xml":
            try:
                counts = count_xml(_path(output["uri"]).read_text(errors="replace"), label)
            except (ElementTree.ParseError, OSError) as error:
                counts.failed.append(f"{label}: test.xml cannot be read: {error}")
    # A crash or a timeout after its last case, or before there was a test.xml.
    status = result.get("status")
    if status not in ("PASSED", "FLAKY") and not counts.failed:
        counts.failed.append(f"{label}: {status}")
    # A test that passes without a word of its cases is one case.
    if counts == Counts():
        counts.passed = 1
    return counts


def count_events(lines: Iterable[str]) -> Counts:
    """Counts the cases of one invocation, out of its build events.

    A test target that was to be run and has no result (it was not built, say) is
    one failure, and so is whatever Bazel could not analyse or load.
    """
    wanted: set[str] = set()
    results: dict[tuple[str, int, int], dict] = {}
    not_loaded: list[str] = []
    for line in filter(str.strip, lines):
        event = json.loads(line)
        ((kind, name),) = event["id"].items()
        if kind == "targetConfigured":
            if "testSize" in event.get("configured", {}) or "aborted" in event:
                wanted.add(name["label"])
        elif kind == "testResult":
            results[name["label"], name.get("shard", 1), name.get("run", 1)] = event
        elif kind == "pattern" and "aborted" in event:
            not_loaded.append(" ".join(name["pattern"]) + ": " + _why(event["aborted"]))
    counts = Counts(failed=not_loaded)
    for (label, _, _), event in sorted(results.items(), key=lambda item: item[0]):
        counts.add(_count_run(label, event))
    tested = {label for label, _, _ in results}
    counts.failed += [f"{label}: was not built" for label in sorted(wanted - tested)]
    return counts


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the cases that failed, then the counts; returns 1 where one failed."""
    parser = argparse.ArgumentParser(description="Counts the test cases of Bazel invocations.")
    parser.add_argument("events", nargs="+", type=pathlib.Path, help="build event files")
    parser.add_argument("--skipped", type=int, default=0, help="tests that were not started")
    options = parser.parse_args(arguments)
    total = Counts(skipped=options.skipped)
    for path in options.events:
        try:
            with path.open() as lines:
                total.add(count_events(lines))
        except OSError as error:
            total.failed.append(f"no build events: {error}")
    for name in total.failed:
        print("failed: " + name)
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
