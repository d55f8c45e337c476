"""Tests of the lock files that are made from the output of pip and apt."""

from absl.testing import absltest

from third_party import lock


def _report(*wheels):
    return {
        "install": [
            {
                "metadata": {"name": name, "version": version},
                "download_info": {"url": url, "archive_info": {"hashes": {"sha256": sha256}}},
            }
            for name, version, url, sha256 in wheels
        ]
    }


class WheelLockTest(absltest.TestCase):
    def test_lines_are_sorted_and_names_normalised(self):
        report = _report(
            ("Zed", "2", "https://index/zed.whl", "22"),
            ("a_b.C", "1.0", "https://index/abc.whl", "11"),
        )
        self.assertEqual(
            lock.wheel_lock(report).removeprefix(lock.HEADER),
            "a-b-c==1.0 --hash=sha256:11\nzed==2 --hash=sha256:22\n",
        )

    def test_a_wheel_from_a_folder_is_an_error(self):
        with self.assertRaisesRegex(lock.LockError, "zed from the package index, got it from a"):
            lock.wheel_lock(_report(("zed", "2", "file:///wheels/zed.whl", "22")))

    def test_no_address_is_written(self):
        text = lock.wheel_lock(_report(("zed", "2", "https://index/zed.whl", "22")))
        self.assertNotIn("index", text)

    def test_requirements_that_pin_a_version_are_not_constraints(self):
        text = "a-b==1 --hash=sha256:11\nc==2 --hash=sha256:22\n# d==3\n"
        self.assertEqual(lock.constraints(text, "# why\nA_b == 4\nc\n"), ["c==2"])


class DebianLockTest(absltest.TestCase):
    STANZAS = (
        "Package: libz\nVersion: 1:1.2-1\nArchitecture: amd64\nSHA256: aa\nDepends: libc6\n\n"
        "Package: data\nVersion: 3\nArchitecture: all\nSHA256: bb\n"
    )

    def test_packages(self):
        text = lock.debian_lock(["libz", "data"], self.STANZAS)
        self.assertEqual(text.removeprefix(lock.HEADER), "data 3 all bb\nlibz 1:1.2-1 amd64 aa\n")

    def test_an_unknown_package_is_an_error(self):
        with self.assertRaisesRegex(lock.LockError, "one version of libc6 .* got 0"):
            lock.debian_lock(["libc6"], self.STANZAS)

    def test_two_versions_are_an_error(self):
        with self.assertRaisesRegex(lock.LockError, "got 2"):
            lock.debian_lock(["data"], self.STANZAS + "\n" + self.STANZAS)


class ChangesTest(absltest.TestCase):
    def test_changes(self):
        old = "# made by\na==1 --hash=sha256:11\nb==1 --hash=sha256:12\nlibz 1:1 amd64 aa\n"
        new = (
            "a==2 --hash=sha256:21\nb==1 --hash=sha256:13\nc==1 --hash=sha256:1\nlibz 1:1 amd64 aa"
        )
        self.assertEqual(
            lock.changes(old, new + "\n"),
            ["a: 1 -> 2", "b: 1 -> 1 (another file of the same version)", "c: none -> 1"],
        )

    def test_no_change(self):
        self.assertEmpty(lock.changes("a==1 --hash=sha256:11\n", "a==1 --hash=sha256:11\n"))


if __name__ == "__main__":
    absltest.main()
