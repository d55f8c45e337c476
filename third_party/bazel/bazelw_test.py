"""Tests of bazelw and tools/bazel; scripts replace the programs of the machine."""

import os
import pathlib
import shutil
import subprocess

from absl.testing import absltest, parameterized

from tests import runfiles

_FILES = [
    "bazelw",
    ".bazelversion",
    "tools/bazel",
    "third_party/bazel/prepare.sh",
    "third_party/debian/archive.sh",
    "third_party/pip/requirements.lock",
]
_TOOLS = "awk cat chmod cp cut dirname env grep head mkdir mktemp readlink rm sed sh tail".split()
# Scripts that print the contents of files in the test's folder, named in the scripts.
_MACHINE = {
    "apt-cache": "echo 'bazel-bootstrap:'; echo \"  Candidate: $(cat $here/candidate)\"",
    "apt-config": "",
    "apt-get": """
case " $* " in
  (*" indextargets "*) printf 'main\\tDebian\\t%s\\ttrixie trixie \\n' "$(cat $here/address)" ;;
  (*DefaultEnabled=false*)
    apt=$(dirname "$APT_CONFIG")
    grep -qF http://debian.test/ "$apt/sources.list" || exit 100
    printf 'Origin: Debian\\nLabel: Debian\\n' >"$apt/state/lists/x_InRelease" ;;
  (*)
    echo "apt-get $*" >>$here/log
    echo "much output"
    [ ! -e $here/later ] || cp $here/later $here/candidate
    [ ! -e $here/broken ] || { echo "E: no space left"; exit 100; }
    case $* in
      (*bazel-bootstrap*) cp $here/bazel $here/bin/bazel-4; chmod +x $here/bin/bazel-4 ;;
    esac ;;
esac""",
    "dpkg-deb": "",
    "getconf": "cat $here/libc",
    "getent": 'echo "me:x:1:1::$(cat $here/passwd):/bin/sh"',
    "id": 'if [ "$1" = -u ]; then cat $here/user; else echo me; fi',
    "stat": 'if [ "$2" = %u ]; then cat $here/owner; else echo somebody; fi',
    "sudo": 'echo sudo >>$here/log; exec "$@"',
    "uname": "cat $here/machine",
}
_BAZEL = """#!/bin/sh
if [ "$*" = --version ]; then echo "bazel ${FAKE_VERSION-no_version}"; exit; fi
case " $* " in
  (*" canonicalize-flags --for_command=run -- --jobs=1 "*) exit ;;
  (*" canonicalize-flags --for_command=run -- --jobs "*) echo "Expected value"; exit 2 ;;
  (*" canonicalize-flags "*) echo "ERROR: x :: Unrecognized option: x" >&2; exit 2 ;;
esac
echo "$0 $*"
"""
_LARGEST = 'sed -n "s/^tensorflow-cpu==.*sha256://p" third_party/pip/requirements.lock'


class BazelwTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.workspace = self.folder / "workspace"
        self.bin = self.folder / "bin"
        for name in _FILES:
            (self.workspace / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(runfiles.path(name), self.workspace / name)
        self.bin.mkdir()
        for tool in _TOOLS:
            path = next(
                f"{d}/{tool}" for d in ("/usr/bin", "/bin") if os.path.exists(f"{d}/{tool}")
            )
            (self.bin / tool).symlink_to(path)
        for name, text in _MACHINE.items():
            self.program(name, f"#!/bin/sh\nhere={self.folder}\n{text}\n")
        (self.folder / "bazel").write_text(_BAZEL)
        # A new machine: Debian 13, and a user without root's rights in their own folder.
        self.say(candidate="4.2.3+ds-11", address="http://debian.test/debian/", libc="glibc 2.41")
        self.say(user="1000", owner="1000", machine="Linux x86_64")
        self.say(passwd=str(self.folder / "home"))
        system = self.folder / "system"
        (system / "etc").mkdir(parents=True)
        (system / "etc/os-release").write_text('ID=debian\nPRETTY_NAME="Some Linux 1"\n')
        self.keyring = system / "usr/share/keyrings/debian-archive-keyring.gpg"
        self.keyring.parent.mkdir(parents=True)
        self.keyring.touch()

    def say(self, **answers):
        for name, answer in answers.items():
            (self.folder / name).write_text(answer)

    def program(self, name, text=_BAZEL):
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def bazelw(self, *arguments, program="bazelw", cwd=None, **environment):
        return subprocess.run(
            [self.workspace / program, *arguments],
            cwd=cwd,
            env={
                "PATH": str(self.bin),
                "SYSTEM_ROOT": str(self.folder / "system"),
                "TMPDIR": str(self.folder),
                "HOME": str(self.folder / "home"),
                **environment,
            },
            capture_output=True,
            text=True,
        )

    def apt_log(self):
        log = self.folder / "log"
        return log.read_text() if log.exists() else ""

    def assert_refused(self, done, *words):
        """Checks that nothing was installed or started, and that a message has all words."""
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertNotIn("install", self.apt_log())

    def test_a_new_machine(self):
        self.keyring.unlink()
        done = self.bazelw("build", "x")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"^\S*/bazel-4 --bazelrc=\S*/bazel4.bazelrc build x\n$")
        lines = done.stderr.splitlines()
        self.assertLen(lines, 4)
        self.assertRegex(lines[0], "downloads .* MB")
        self.assertRegex(lines[1], "GB of disk.* minutes")
        self.assertRegex(lines[2], "root or sudo is needed to install .* nothing else")
        self.assertIn("installing bazel-bootstrap ca-certificates debian-archive-keyring", lines[3])
        self.assertIn("much output", pathlib.Path(lines[3].split()[-1]).read_text())
        self.assertEqual(self.apt_log().count("sudo\n"), 2)

    def test_wrong_paths_of_checkpoint_and_images(self):
        for variable, what in (
            ("CHECKPOINT", "expected a checkpoint"),
            ("IMAGES", "a folder of JP"),
        ):
            for path in ("gone", "/gone/x.index", "~/gone"):
                done = self.bazelw("build", "x", **{variable: path})
                self.assert_refused(done, f"bazelw: {variable}={path}: expected", what)
                self.assertLen(done.stderr.splitlines(), 1)
        # `run` does not use them.
        self.assertEqual(self.bazelw("run", "train", CHECKPOINT="gone").returncode, 0)

    @parameterized.parameters(
        "net",
        "net/",
        "net/model.ckpt-7",
        "net/model.ckpt-7.index",
        "net/model.ckpt-7.data-00000-of-00001",
        "net/checkpoint",
        "~/net/model.ckpt-7",
    )
    def test_paths_of_a_checkpoint(self, path):
        net = self.folder / "home/net"
        net.mkdir(parents=True)
        for name in ("checkpoint", "model.ckpt-7.index", "model.ckpt-7.data-00000-of-00001"):
            (net / name).touch()
        done = self.bazelw("build", "x", cwd=self.folder / "home", CHECKPOINT=path)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_root_needs_no_sudo(self):
        self.say(user="0", owner="0")
        (self.bin / "sudo").unlink()
        self.assertIn("/bazel-4 ", self.bazelw("build").stdout)

    def test_neither_root_nor_sudo(self):
        (self.bin / "sudo").unlink()
        self.assert_refused(self.bazelw("build"), "let root run: apt-get install bazel-bootstrap")

    def test_apt_fails(self):
        self.say(broken="")
        done = self.bazelw("build")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(
            done.stderr, r"E: no space left\nbazelw: apt-get update failed; .* in \S+\n$"
        )

    @parameterized.parameters(
        # Bazel is installed, and its cache is empty: only builds print how much they download.
        (["build", "x"], 3),
        (["--max_idle_secs=5", "test", "--jobs=1", "x"], 3),
        (["run", "x"], 3),
        (["info", "release"], 0),
        (["shutdown"], 0),
        ([], 0),
    )
    def test_first_build_prints_what_it_downloads(self, arguments, lines):
        self.program("bazel-4")
        done = self.bazelw(*arguments)
        self.assertEndsWith(done.stdout, " ".join(["bazel4.bazelrc", *arguments]) + "\n")
        self.assertLen(done.stderr.splitlines(), lines)

    @parameterized.parameters("built", "cache", "user root", "user name")
    def test_later_builds_are_silent_and_need_no_archive(self, where):
        self.program("bazel-4")
        self.say(address="http://other.test/")
        self.assert_refused(self.bazelw("build"), "apt knows no archive")
        arguments, environment = [], {}
        cache = self.folder / "home/.cache/bazel/_bazel_me/cache/repos/v1"
        if where == "built":
            (self.workspace / ".bazel/out").mkdir(parents=True)
        elif where == "cache":
            cache = self.folder / "cache"
            arguments = ["build", f"--repository_cache={cache}"]
        elif where == "user root":
            cache = self.folder / "elsewhere/cache/repos/v1"
            arguments = [f"--output_user_root={self.folder}/elsewhere", "build"]
        else:
            cache = self.folder / "home/.cache/bazel/_bazel_you/cache/repos/v1"
            environment = {"USER": "you"}
        if where != "built":
            largest = subprocess.check_output(["/bin/sh", "-c", _LARGEST], cwd=self.workspace)
            file = cache / "content_addressable/sha256" / largest.decode().strip() / "file"
            file.parent.mkdir(parents=True)
            file.touch()
        done = self.bazelw(*(arguments or ["build"]), **environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    @parameterized.parameters("environment", "argument", "user.bazelrc", "home")
    def test_places_of_the_archives_address(self, where):
        self.program("bazel-4")
        self.say(address="http://other.test/")
        self.assert_refused(self.bazelw("build"), "DEBIAN_MIRROR=http://HOST/debian ./bazelw")
        option = "--repo_env=DEBIAN_MIRROR=http://debian.test/debian"
        arguments, environment = ["build"], {}
        if where == "environment":
            environment = {"DEBIAN_MIRROR": "http://debian.test/debian"}
        elif where == "argument":
            arguments.append(option)
        else:
            home = self.workspace / "user.bazelrc", self.folder / "home/.bazelrc"
            file = home[where == "home"]
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"# build --repo_env=DEBIAN_MIRROR=http://no.test\nbuild {option}\n")
        done = self.bazelw(*arguments, **environment)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_archive_is_checked_before_anything_is_installed(self):
        self.say(address="http://other.test/")
        self.assert_refused(self.bazelw("build"), "DEBIAN_MIRROR=http://HOST/debian ./bazelw")
        self.assertEqual(self.apt_log(), "")

    @parameterized.parameters(
        ({"candidate": "3.5.1+ds-3"}, "got bazel-bootstrap 3.5.1+ds-3 (Some Linux 1)"),
        ({"libc": "glibc 2.35"}, "got glibc 2.35 (Some Linux 1)"),
        ({"libc": "glibc 2.9"}, "got glibc 2.9 (Some Linux 1)"),
        ({"machine": "Linux aarch64"}, "got Linux aarch64"),
    )
    def test_unsupported_systems(self, answers, expected):
        self.say(**answers)
        done = self.bazelw("build")
        self.assert_refused(done, expected, "Supported are Debian 12, Debian 13 and Ubuntu 24.04")
        self.assertEqual(self.apt_log(), "")

    def test_bazelisk_needs_the_same_c_library(self):
        self.program("bazelisk")
        self.say(libc="glibc 2.31")
        self.assert_refused(self.bazelw("build"), "got glibc 2.31")

    def test_system_without_apt(self):
        (self.bin / "apt-get").unlink()
        self.assert_refused(self.bazelw("build"), "expected apt-get", "Some Linux 1", "Supported")

    @parameterized.parameters("(none)", "3.5.1")
    def test_candidate_is_checked_again_after_apt_update(self, candidate):
        self.say(candidate="(none)", later=candidate)
        self.assert_refused(self.bazelw("build"), "Supported are Debian 12")
        self.say(candidate="(none)", later="4.2.3")
        self.assertIn("/bazel-4 ", self.bazelw("build").stdout)

    def test_root_in_the_folder_of_another_user(self):
        self.program("bazel-4")
        self.say(user="0")
        self.assert_refused(self.bazelw("info"), "expected the user somebody", "without sudo")

    def test_links_left_by_root(self):
        if os.access("/root", os.W_OK) or os.getuid() == 0:
            self.skipTest("root can write everywhere")
        self.program("bazel-4")
        (self.workspace / ".bazel").mkdir(mode=0o555)
        self.assert_refused(self.bazelw("info"), "belongs to somebody; remove it: sudo rm -r")

    @parameterized.parameters("my workspace", "tab\there", "Datensätze")
    def test_paths_that_bazel_cannot_read(self, name):
        ours, theirs = self.workspace, self.folder / name
        ours.rename(theirs)
        self.workspace = theirs
        self.assert_refused(self.bazelw("build"), "neither spaces nor letters beyond ASCII", name)
        # The user's current folder may have such a path.
        self.workspace = theirs.rename(ours)
        self.program("bazel-4")
        theirs.mkdir()
        done = self.bazelw("info", cwd=theirs)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    @parameterized.parameters("/home/my folder", "/home/Jürgen")
    def test_a_home_folder_that_bazel_cannot_read(self, home):
        self.say(passwd=home)
        done = self.bazelw("build")
        self.assert_refused(done, "expected Bazel's files in a folder whose path has", home)
        done = self.bazelw("--output_user_root=/a:b", "build")
        self.assert_refused(done, "neither spaces, colons nor", "got /a:b;")
        self.program("bazel-4")
        (self.folder / "home").mkdir()
        (self.folder / "home/.bazelrc").write_text("startup --output_user_root=/var/tmp/x\n")
        self.assertEqual(self.bazelw("build").returncode, 0)

    def test_bazelisk_gets_the_version_from_bazelversion(self):
        self.program("bazelisk")
        done = self.bazelw("info")
        self.assertEqual(done.stdout, f"{self.bin}/bazelisk info\n")
        self.assertEqual((self.workspace / ".bazelversion").read_text(), "4.2.3\n")

    def test_another_version_needs_bazelisk(self):
        self.program("bazel-4")
        done = self.bazelw("info", USE_BAZEL_VERSION="7.4.1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("USE_BAZEL_VERSION=7.4.1 needs bazelisk", done.stderr)
        self.program("bazelisk")
        done = self.bazelw("info", USE_BAZEL_VERSION="7.4.1")
        self.assertEqual(done.stdout, f"{self.bin}/bazelisk info\n")

    @parameterized.parameters(
        (["train", "--steps=3"], "--steps=3", "train -- --steps=3"),
        (["train", "--jobs=1", "--steps=3"], "--steps=3", "--jobs=1 train -- --steps=3"),
        (["--steps", "3", "train"], "--steps", "3 -- --steps train"),
        (["train", "--steps", "3", "--", "-v"], "--steps", "train -- --steps 3 -v"),
        (["train", "--dir=/my dir", "--fast"], "--dir=/my dir", "train -- '--dir=/my dir' --fast"),
        (["--help"], "--help", "PROGRAM -- --help"),
    )
    def test_flags_of_a_program_before_the_dashes(self, arguments, first, command):
        self.program("bazel-4")
        (self.workspace / ".bazel/out").mkdir(parents=True)
        for startup in ([], ["--output_base=/x", "--batch"]):
            self.check_advice([*startup, "run"], arguments, first, command)

    def check_advice(self, run, arguments, first, command):
        done = self.bazelw(*run, *arguments)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertStartsWith(
            done.stderr,
            f"bazelw: expected the program's flags after --, got {first}, which is not a flag of",
        )
        self.assertEndsWith(done.stderr, f"; type: ./bazelw {' '.join(run)} {command}\n")

    @parameterized.parameters(
        (["run", "train"],),
        (["run", "train", "--", "--steps=3", "--"],),
        (["run", "--jobs=1", "train", "--", "--steps=3"],),
        # Bazel prints its own error for its own flags.
        (["run", "--jobs", "train"],),
        (["build", "--steps=3", "train"],),
        # `--startup x` is unknown here, and `x` could be the command instead of `run`.
        (["--startup", "x", "run", "train", "--steps=3"],),
    )
    def test_other_flags_are_left_to_bazel(self, arguments):
        self.program("bazel-4")
        (self.workspace / ".bazel/out").mkdir(parents=True)
        done = self.bazelw(*arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEndsWith(done.stdout, " ".join(["bazel4.bazelrc", *arguments]) + "\n")

    @parameterized.parameters(("no_version", 4), ("4.2.3", 4), ("7.4.1", 7))
    def test_each_version_has_its_own_settings(self, version, major):
        self.program("bazel-x")
        real = str(self.bin / "bazel-x")
        done = self.bazelw("info", program="tools/bazel", BAZEL_REAL=real, FAKE_VERSION=version)
        rc = f"third_party/bazel/bazel{major}.bazelrc"
        self.assertEqual(done.stdout, f"{real} --bazelrc={self.workspace}/{rc} info\n")
        self.assertTrue(runfiles.path(rc).exists())

    def test_debians_bazel_starts_debians_bazel_4(self):
        self.program("bazel-4")
        missing = str(self.bin / "bazel-4.2.3")
        done = self.bazelw("info", program="tools/bazel", BAZEL_REAL=missing)
        self.assertStartsWith(done.stdout, f"{self.bin}/bazel-4 --bazelrc=")


if __name__ == "__main__":
    absltest.main()
