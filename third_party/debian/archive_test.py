"""Tests of which archive of Debian 12 is used; a script replaces apt, which a machine may lack."""

import os
import pathlib
import subprocess

from absl.testing import absltest, parameterized

_HERE = pathlib.Path(__file__).parent
_TOOLS = "awk cat cut dirname grep head mkdir printf rm sed sh".split()
# It reads the sources that apt knows from the file `known`, and the Release file of each host's
# bookworm from the folder `archives`.
_APT_GET = """#!/bin/sh
here=$(dirname "$0")
if [ "$1" = indextargets ]; then cat "$here/known"; exit; fi
for last; do :; done
[ "$last" = update ] || { echo "$last" >>"$here/downloads"; exit; }
folder=$(dirname "$APT_CONFIG")
read -r deb options address suite component <"$folder/sources.list"
echo "$options $address $suite $component" >>"$here/tries"
host=${address#*//}
host=${host#*@}
host=${host%%/*}
if ! [ -e "$here/archives/$host" ]; then
  echo "E: Failed to fetch $host/dists/bookworm/InRelease  404  Not Found"
  exit 100
fi
cat "$here/archives/$host" >"$folder/state/lists/${host}_dists_bookworm_InRelease"
"""


class ArchiveTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.bin = self.folder / "bin"
        (self.bin / "archives").mkdir(parents=True)
        for tool in _TOOLS:
            path = next(
                f"{d}/{tool}" for d in ("/usr/bin", "/bin") if os.path.exists(f"{d}/{tool}")
            )
            (self.bin / tool).symlink_to(path)
        for name, text in (
            ("apt-get", _APT_GET),
            ("apt-config", "#!/bin/sh\n"),
            ("dpkg-deb", "#!/bin/sh\n"),
        ):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        self.keys = self.folder / "system/usr/share/keyrings"
        self.keys.mkdir(parents=True)
        (self.keys / "debian-archive-keyring.gpg").touch()
        self.archive("debian.test")

    def archive(self, host, origin="Debian", label="Debian"):
        text = f"Origin: {origin}\nLabel: {label}\nCodename: bookworm\n"
        (self.bin / "archives" / host).write_text(text)

    def run_script(self, script, *known, mirror=None, arguments=()):
        """Runs a script; each of `known` is (component, origin, address, release, codename)."""
        lines = ["\t".join([*target[:3], " ".join(target[3:]) + " "]) for target in known]
        (self.bin / "known").write_text("".join(line + "\n" for line in lines))
        env = {"PATH": str(self.bin), "SYSTEM_ROOT": str(self.folder / "system")}
        return subprocess.run(
            ["/bin/sh", _HERE / script, self.folder / "apt", *arguments],
            env=env | ({"DEBIAN_MIRROR": mirror} if mirror is not None else {}),
            capture_output=True,
            text=True,
        )

    def found(self, *known, mirror=None):
        done = self.run_script("archive.sh", *known, mirror=mirror)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout.strip()

    def tries(self):
        return (self.bin / "tries").read_text().splitlines()

    def test_the_users_address_comes_before_what_apt_knows(self):
        self.archive("mine.test")
        known = ("main", "Debian", "http://debian.test/debian/", "bookworm", "bookworm")
        self.assertEqual(self.found(known, mirror="http://mine.test/d"), "http://mine.test/d")
        self.assertLen(self.tries(), 1)

    @parameterized.parameters(
        # The source may name the release or its suite.
        ("bookworm", "bookworm"),
        ("oldstable", "bookworm"),
        # Before the first update, apt knows only the name in sources.list.
        ("bookworm", ""),
    )
    def test_bookworm_comes_before_other_releases(self, release, codename):
        self.archive("new.test")
        new = ("main", "Debian", "http://new.test/debian/", "trixie", "trixie")
        old = ("main", "Debian", "http://debian.test/debian/", release, codename)
        self.assertEqual(self.found(new, old), "http://debian.test/debian/")

    @parameterized.parameters("Debian", "")
    def test_archive_of_another_release_is_used(self, origin):
        target = ("main", origin, "http://debian.test/debian/", "trixie", "")
        self.assertEqual(self.found(target), "http://debian.test/debian/")

    def test_archives_of_other_vendors_are_not_used(self):
        # Some have a bookworm with a component main, and differ from Debian's only in the origin.
        self.archive("vendor.test", origin="Vendor")
        self.archive("security.test", label="Debian-Security")
        known = [
            ("main", "", "http://vendor.test/", "bookworm", ""),
            ("main", "Debian", "http://security.test/", "bookworm-security", "bookworm-security"),
            ("main", "Debian", "cdrom:[Debian 12]/", "bookworm", "bookworm"),
            ("main", "Ubuntu", "http://ubuntu.test/ubuntu/", "noble", "noble"),
            ("contrib", "Debian", "http://contrib.test/", "bookworm", "bookworm"),
        ]
        done = self.run_script("archive.sh", *known)
        self.assertEqual(done.returncode, 1)
        self.assertIn("tried http://vendor.test/: that is not an archive of Debian's", done.stderr)
        self.assertLen(self.tries(), 2)
        last = ("main", "Debian", "http://debian.test/debian/", "sid", "sid")
        self.assertEqual(self.found(*known, last), "http://debian.test/debian/")

    @parameterized.parameters("Ubuntu", "")
    def test_error_if_no_archive_is_known(self, origin):
        ubuntu = ("main", origin, "http://ubuntu.test/ubuntu/", "noble", "")
        done = self.run_script("archive.sh", ubuntu)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("DEBIAN_MIRROR=http://HOST/debian ./bazelw", done.stderr)
        tried = "tried http://ubuntu.test/ubuntu/: Failed to fetch ubuntu.test/dists/bookworm"
        self.assertEqual(tried in done.stderr, not origin)

    def test_error_for_a_wrong_address_hides_the_password(self):
        known = ("main", "Debian", "http://debian.test/debian/", "bookworm", "bookworm")
        done = self.run_script("archive.sh", known, mirror="http://me:secret@wrong.test/debian")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertStartsWith(done.stderr, "expected DEBIAN_MIRROR to be the address of an archive")
        self.assertIn("tried http://wrong.test/debian: Failed to fetch", done.stderr)
        self.assertNotIn("secret", done.stderr)

    def test_signatures_are_checked_with_either_file_of_keys(self):
        target = ("main", "Debian", "http://debian.test/debian/", "bookworm", "bookworm")
        self.found(target)
        (self.keys / "debian-archive-keyring.gpg").rename(self.keys / "debian-archive-keyring.pgp")
        self.found(target)
        for tried, ending in zip(self.tries(), (".gpg", ".pgp"), strict=True):
            self.assertIn(f"signed-by={self.keys}/debian-archive-keyring{ending}]", tried)

    def test_nothing_is_downloaded_without_keys(self):
        target = ("main", "Debian", "http://debian.test/debian/", "bookworm", "bookworm")
        done = self.run_script("apt.sh", target, arguments=["zlib1g=1"])
        self.assertEqual(done.returncode, 0, done.stderr)
        downloads = self.bin / "downloads"
        self.assertEqual(downloads.read_text(), "zlib1g=1\n")
        downloads.unlink()
        (self.keys / "debian-archive-keyring.gpg").unlink()
        done = self.run_script("apt.sh", target, arguments=["zlib1g=1"])
        self.assertEqual(done.returncode, 1)
        self.assertIn("install the package\ndebian-archive-keyring", done.stderr)
        self.assertFalse(downloads.exists())

    def test_machine_without_apt(self):
        (self.bin / "dpkg-deb").unlink()
        done = self.run_script("archive.sh", mirror="http://debian.test/debian")
        self.assertEqual(done.returncode, 1)
        self.assertIn("expected apt-get and dpkg-deb", done.stderr.replace("\n", " "))


if __name__ == "__main__":
    absltest.main()
