"""Tests that CONTRIBUTING's table of packages agrees with their visibility."""

import re

from absl.testing import absltest

from tests import runfiles

# Packages that all others may use; the table does not list them as used.
_GENERAL = {"classification/base", "classification/testing", "imprinting/base"}
# The targets of cc are private but for one, which `transforms` makes into its extension; those of
# schema are generated, and belong to no group.
_PRIVATE = {"transforms/cc", "imprinting/schema"}
_ROOTS = {"classification", "imprinting", "transforms"}


def table():
    """Package -> the packages that it may use, by the table in CONTRIBUTING."""
    text = runfiles.path("CONTRIBUTING.md").read_text()
    found = {}
    for row in re.findall(r"(?m)^\| `(?:classification|imprinting|transforms)/.*\|$", text):
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


def packages():
    """The packages below `classification` and `transforms`, by their BUILD files."""
    root = runfiles.path("CONTRIBUTING.md").parent
    files = [
        *root.glob("classification/*/BUILD"),
        *root.glob("imprinting/*/BUILD"),
        *root.glob("transforms/*/BUILD"),
    ]
    return {str(file.parent.relative_to(root)) for file in files}


class VisibilityTest(absltest.TestCase):
    def test_table_lists_every_package(self):
        self.assertEqual(packages(), set(table()) - _ROOTS)

    def test_table_agrees_with_visibility(self):
        rows = table()
        for package in sorted(packages() - _GENERAL - _PRIVATE):
            expected = {user for user, used in rows.items() if package in used}
            self.assertEqual(users(package) - _ROOTS, expected - _ROOTS, package)

    def test_general_packages_are_visible_to_all(self):
        general = {"classification/...", "imprinting/...", "transforms/..."}
        self.assertEqual(users("imprinting/base"), general)
        self.assertEqual(users("classification/base"), {"classification/..."})

    def test_no_package_has_a_public_target(self):
        for package in sorted(packages()):
            build = runfiles.path(f"{package}/BUILD").read_text()
            self.assertNotIn("//visibility:public", build, package)
            if package in _PRIVATE:
                self.assertIn('default_visibility = ["//visibility:private"]', build, package)


if __name__ == "__main__":
    absltest.main()
