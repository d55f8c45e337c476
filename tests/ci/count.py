"""Counts the test cases of Bazel invocations; .ci/run prints the result last.

Reads the files that `bazel test --build_event_json_file=FILE` writes. They list the targets of one
invocation, including cached ones, and the paths of their test.xml. The folder of test logs would
also have those of earlier runs.
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
    """The numbers of cases that passed and were skipped, and the names of those that failed."""

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
      ElementTree.ParseError: if the text is not XML.
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
    # The JSON has no reason if it is UNKNOWN.
    return aborted.get("description") or aborted.get("reason", "aborted")


def _count_run(label: str, event: dict) -> Counts:
    """Counts the last attempt of one shard of a test target."""
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
    # It crashed or timed out after its last case, or before it wrote a test.xml.
    status = result.get("status")
    if status not in ("PASSED", "FLAKY") and not counts.failed:
        counts.failed.append(f"{label}: {status}")
    # A test that passes without a list of cases counts as one case.
    if counts == Counts():
        counts.passed = 1
    return counts


def count_events(lines: Iterable[str]) -> Counts:
    """Counts the cases of one invocation from its build events.

    A test target without a result, for example because it was not built, counts as one failure. So
    does each target or pattern that Bazel could not load or analyse.
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
    """Prints the cases that failed, then the counts; returns 1 if a case failed."""
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
