"""Tests that messages show the user's paths of files."""

import contextlib
import io
import os
import pathlib
import sys

from absl.testing import absltest, parameterized

from imprinting.base import messages


class MessagesTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.root = os.path.realpath(self.create_tempdir().full_path)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.root)

    @parameterized.parameters(
        ("Written to bazel-out/k8-fastbuild/bin/a/net", "Written to .bazel/bin/a/net"),
        ("bazel-out/k8/bin/x: bazel-out/k8/bin/y", ".bazel/bin/x: .bazel/bin/y"),
        ("in '/c/_b/1/execroot/imprinting/bazel-out/k8/bin/x'", "in '.bazel/bin/x'"),
        ("/home/me/bazel-output/k8/bin/x", "/home/me/bazel-output/k8/bin/x"),
        ("external/checkpoint/folder/a", "external/checkpoint/folder/a"),
    )
    def test_outputs(self, text, expected):
        self.assertEqual(messages.shown(text), expected)

    def test_files_of_checkpoint_and_images(self):
        pathlib.Path("mine").mkdir()
        for name in ("net-7.index", "photo 1.jpg"):
            pathlib.Path("mine", name).touch()
        # As in a sandbox.
        os.makedirs("external/checkpoint/folder")
        os.makedirs("external/images")
        os.symlink(f"{self.root}/mine/net-7.index", "external/checkpoint/folder/net-7.index")
        os.symlink(f"{self.root}/mine/photo 1.jpg", "external/images/image-12")
        self.assertEqual(
            messages.shown("external/checkpoint/folder/net-7 lacks a; external/images/image-12: b"),
            f"{self.root}/mine/net-7 lacks a; {self.root}/mine/photo 1.jpg: b",
        )

    def test_printed_paths_are_replaced_only_in_an_action(self):
        for in_action, expected in ((False, "bazel-out/k8/bin/x"), (True, ".bazel/bin/x")):
            if in_action:
                os.mkdir("bazel-out")
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                with messages.for_the_user():
                    print("bazel-out/k8/bin/x")
                    print("bazel-out/k8/bin/x", file=sys.stderr)
            self.assertEqual((out.getvalue(), err.getvalue()), (expected + "\n",) * 2)


if __name__ == "__main__":
    absltest.main()
