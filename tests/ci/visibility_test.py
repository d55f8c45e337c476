"""Tests that CONTRIBUTING's table of packages agrees with their visibility."""

import re

from absl.testing import absltest

from tests import runfiles

_PACKAGES = (
    "classification/base",
    "classification/cluster",
    "classification/data",
    "classification/deployment",
    "classification/evaluation",
    "classification/images",
    "classification/imprinting",
    "classification/low_shot",
    "classification/nets",
    "classification/testing",
    "classification/training",
    "transforms/base",
    "transforms/conversion",
    "transforms/tflite",
)
# Packages that all others may use; the table does not list them as used.
_GENERAL = {"classification/base", "classification/testing", "transforms/base"}


def table():
    """Package -> the packages that it may use, by the table in CONTRIBUTING."""
    text = runfiles.path("CONTRIBUTING.md").read_text()
    found = {}
    for row in re.findall(r"(?m)^\| `(?:classification|transforms)/.*\|$", text):
        name, _, uses = (cell.strip() for cell in row.strip("|").split("|"))
        package = name.strip("`/")
        parent = package.split("/")[0]
        names = re.findall(r"`([a-z_/]+)`", uses)
        found[package] = {name if "/" in name else f"{parent}/{name}" for name in names}
    return found


def users(package):
    """The packages to which a package is visible, without tests."""
    text = runfiles.path(f"{package}/BUILD").read_text()
    (group,) = re.findall(r'name = "users",\s+packages = \[(.*?)\]', text, re.DOTALL)
    return {name for name in re.findall(r'"//(.*?)"', group) if name != "tests/..."}


class VisibilityTest(absltest.TestCase):
    def test_table_lists_every_package(self):
        self.assertContainsSubset(_PACKAGES, table())

    def test_table_agrees_with_visibility(self):
        rows = table()
        for package in sorted(set(_PACKAGES) - _GENERAL):
            expected = {user for user, used in rows.items() if package in used}
            self.assertEqual(users(package) - {"transforms"}, expected - {"transforms"}, package)

    def test_general_packages_are_visible_to_all(self):
        self.assertEqual(users("transforms/base"), {"classification/...", "transforms/..."})
        self.assertEqual(users("classification/base"), {"classification/..."})


if __name__ == "__main__":
    absltest.main()
