"""Builds frozen_tflite and the wheel again, in a copy of the workspace, without the host's tools.

The products must have the same bytes as those of this build. The copy also serves to test the
user's own checkpoints, and the errors of the rule.
"""

import hashlib
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from absl.testing import absltest, parameterized

from tests import runfiles

# Runfiles are links; this one points to the workspace.
_WORKSPACE = pathlib.Path(__file__).resolve().parents[2]
_NOT_COPIED = (".git", ".bazel", "bazel-*", "models", "__pycache__")
(_WHEEL,) = runfiles.path("imprinting").glob("imprinting-*.whl")
_PRODUCTS = [
    f"frozen_tflite{suffix}"
    for suffix in (
        ".tflite",
        "_extractor.tflite",
        "_head.tflite",
        "_frozen.pb",
        "_folded.pb",
        "_labels.txt",
        "_report.json",
        "_report.md",
    )
] + [f"imprinting/{_WHEEL.name}"]
_LOAD = 'load("//transforms:defs.bzl", "l2norm_tflite")\n'


def _repository_cache() -> str:
    """The folder in which Bazel keeps downloaded files by default."""
    user = pwd.getpwuid(os.getuid())
    return os.path.join(user.pw_dir, f".cache/bazel/_bazel_{user.pw_name}/cache/repos/v1")


class SecondBuildTest(parameterized.TestCase):
    workspace: pathlib.Path
    output: str

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="elsewhere-"))
        cls.workspace = pathlib.Path(folder, "another", "place")
        cls.output = os.path.join(folder, "output")
        shutil.copytree(_WORKSPACE, cls.workspace, ignore=shutil.ignore_patterns(*_NOT_COPIED))
        cls.addClassCleanup(cls.stop)

    @classmethod
    def bazel(cls, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """Runs Bazel in the copy; stdout and stderr are combined."""
        inherited = {k: os.environ[k] for k in ("PATH", "DEBIAN_MIRROR") if k in os.environ}
        return subprocess.run(
            [
                cls.workspace / "bazelw",
                f"--output_user_root={cls.output}",
                "--max_idle_secs=60",
                *arguments,
            ],
            env=inherited | {"HOME": pwd.getpwuid(os.getuid()).pw_dir} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    @classmethod
    def build(cls, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        cache = f"--repository_cache={_repository_cache()}"
        options = [cache, "--config=empty_globs", "--noshow_progress"]
        return cls.bazel("build", *options, *arguments, **environment)

    @classmethod
    def stop(cls):
        cls.bazel("shutdown")
        # Bazel makes its outputs read-only.
        subprocess.run(["chmod", "-R", "u+w", cls.output], check=False)

    def package(self, name: str, text: str) -> str:
        folder = self.workspace / name
        folder.mkdir()
        (folder / "BUILD").write_text(_LOAD + text)
        return f"//{name}:all"

    def test_strict_build_gives_the_same_bytes(self):
        done = self.build("--config=strict", "frozen_tflite", "wheel")
        self.assertEqual(done.returncode, 0, done.stdout)
        made = self.workspace / ".bazel/bin"
        for name in _PRODUCTS:
            self.assertEqual((made / name).read_bytes(), runfiles.path(name).read_bytes(), name)
        report = json.loads((made / "frozen_tflite_report.json").read_text())
        self.assertNotIn(str(self.workspace), (made / "frozen_tflite_report.json").read_text())
        self.assertTrue(report["quantised"])

    def test_changes_of_the_users_checkpoint_are_noticed(self):
        folder = self.workspace.parent / "my checkpoints"
        folder.mkdir()
        for file in runfiles.path("classification/digits_network").iterdir():
            copy = folder / file.name.replace("model.ckpt", "a.ckpt")
            shutil.copyfile(file, copy)
        group = "--output_groups=checkpoint"

        def built(path: pathlib.Path) -> str:
            done = self.build("frozen_tflite", group, CHECKPOINT=str(path))
            self.assertEqual(done.returncode, 0, done.stdout)
            return done.stdout

        self.assertIn("Checkpoint: ", built(folder / "a.ckpt"))
        self.assertNotIn("Checkpoint: ", built(folder / "a.ckpt"))
        # A second checkpoint in the folder, and the file that says which is the newest.
        for ending in (".index", ".data-00000-of-00001"):
            shutil.copyfile(folder / f"a.ckpt{ending}", folder / f"b.ckpt{ending}")
        (folder / "checkpoint").write_text('model_checkpoint_path: "b.ckpt"\n')
        self.assertRegex(built(folder), r"Checkpoint: .*/b\.ckpt")
        (folder / "checkpoint").write_text('model_checkpoint_path: "a.ckpt"\n')
        self.assertRegex(built(folder), r"Checkpoint: .*/a\.ckpt")
        (folder / "labels.txt").write_text("".join(f"label {i}\n" for i in range(10)))
        config = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps(config | {"labels": None}))
        built(folder)
        labels = self.workspace / ".bazel/bin/frozen_tflite_network/labels.txt"
        self.assertStartsWith(labels.read_text(), "label 0\n")
        self.check_forms(folder)
        missing = self.build("frozen_tflite", group, CHECKPOINT=str(folder / "c.ckpt"))
        self.assertIn("c.ckpt: expected a checkpoint (its prefix", missing.stdout)

    def check_forms(self, folder: pathlib.Path):
        """Tests all forms of CHECKPOINT for a folder with the checkpoints a.ckpt and b.ckpt."""

        def files(path: str) -> set[str]:
            done = self.bazel(
                "query",
                f"--repository_cache={_repository_cache()}",
                "--noshow_progress",
                "--ui_event_filters=-info",
                "labels(srcs, @checkpoint//:files)",
                CHECKPOINT=path,
                HOME=str(folder.parent),
            )
            self.assertEqual(done.returncode, 0, done.stdout)
            return {line.rpartition("/")[2] for line in done.stdout.splitlines()}

        beside = {"model.json", "labels.txt"}
        one = beside | {"a.ckpt.index", "a.ckpt.data-00000-of-00001"}
        both = one | {"checkpoint", "b.ckpt.index", "b.ckpt.data-00000-of-00001"}
        for ending in ("", "/", ".index", ".meta", ".data-00000-of-00001"):
            self.assertEqual(files(f"{folder}/a.ckpt{ending}"), one, ending)
        for ending in ("", "/", "/checkpoint"):
            self.assertEqual(files(f"{folder}{ending}"), both, ending)
        self.assertEqual(files(f"~/{folder.name}/a.ckpt"), one)
        named = folder.rename(folder.parent / "checkpoint")
        self.assertEqual(files(str(named)), both)
        named.rename(folder)

    def test_missing_dashes_before_flags(self):
        done = self.bazel("run", "train", "--number_of_steps=3")
        self.assertEqual(done.returncode, 1)
        self.assertEndsWith(done.stdout, " run train -- --number_of_steps=3\n")

    @parameterized.parameters(
        ('name = "a"', "expected checkpoint, the label of a checkpoint's files, got None"),
        ('name = "a", checkpoint = "x.index", image_size = "224"', "image_size to be int, got"),
        (
            'name = "a", checkpoint = "x.index", image_size = 31',
            "image_size of at least 32",
        ),
        ('name = "a", checkpoint = "x.index", num_classes = 0', "num_classes of at least 1, got 0"),
        (
            'name = "a", checkpoint = "x.index", depth_multiplier = 1',
            "depth_multiplier to be a num",
        ),
        ('name = "a", checkpoint = "x.index", depth_multiplier = "a"', "such as .0.25., got .a."),
        ('name = "a", checkpoint = "x.index", quantize = "yes"', "quantize to be bool, got"),
        ('name = "a", checkpoint = "x.index", images = "x"', "images to be a list of labels, got"),
        ('name = "", checkpoint = "x.index"', "expected a name, got"),
        ('name = "a", checkpoint = "x.index", size = 3', "no such attribute 'size'"),
        ('name = "a", checkpoint = "BUILD"', None),
        ('name = "a", checkpoint = ":older"', None),
        ('name = "a", checkpoint = ":none"', "expected the files of one checkpoint, .*, got no PR"),
        ('name = "a", checkpoint = ":two"', "got 2 of PREFIX.index"),
    )
    def test_bad_attributes(self, attributes, expected):
        package = "bad_" + hashlib.sha256(attributes.encode()).hexdigest()[:8]
        target = self.package(
            package,
            f"l2norm_tflite({attributes})\n"
            'filegroup(name = "none", srcs = ["a.data-0", "b.data-0"])\n'
            'filegroup(name = "two", srcs = ["a.index", "b.index"])\n'
            'filegroup(name = "older", srcs = ["a.ckpt", "labels.txt", "model.json"])\n',
        )
        names = "x.index a.index b.index a.data-0 b.data-0 a.ckpt labels.txt model.json"
        for name in names.split():
            (self.workspace / package / name).write_text("")
        done = self.build("--nobuild", target)
        if expected is None:
            self.assertEqual(done.returncode, 0, done.stdout)
            return
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout.replace("\n", " "), expected)


if __name__ == "__main__":
    absltest.main()
