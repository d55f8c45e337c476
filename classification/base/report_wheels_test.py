"""Tests of report_wheels.py: who finds the wheels, and that the home directory stays clean."""

import os
import pathlib
import sys
from unittest import mock

import tensorflow  # noqa: F401
from absl.testing import absltest

from classification.base import report_wheels


class WheelsTest(absltest.TestCase):
    def test_imports_on_request_and_writes_nothing_at_home(self):
        self.assertNoCommonElements(["matplotlib", "sklearn"], sys.modules)
        home = self.create_tempdir().full_path
        # Matplotlib calls fontconfig's program, which writes a cache in the home directory.
        programs = pathlib.Path(self.create_tempdir().full_path)
        programs.joinpath("fc-list").write_text('#!/bin/sh\necho > "$HOME/.cache"\n')
        programs.joinpath("fc-list").chmod(0o755)
        variables = {
            "HOME": home,
            "MPLCONFIGDIR": os.path.join(home, "settings"),
            "PATH": str(programs),
        }
        with mock.patch.dict(os.environ, variables):
            matplotlib = report_wheels.matplotlib()
            self.assertEqual({name: os.environ[name] for name in variables}, variables)
        self.assertEqual(report_wheels.sklearn_metrics().accuracy_score([1, 2], [1, 3]), 0.5)
        self.assertEmpty(os.listdir(home))
        self.assertNotIn("matplotlib.pyplot", sys.modules)
        data = matplotlib.get_data_path()
        names = []
        for font in matplotlib.font_manager.fontManager.ttflist:
            if not font.fname.startswith(data):
                names.append(font.name)
        self.assertEqual(names, ["WenQuanYi Micro Hei", "WenQuanYi Micro Hei Mono"])
        self.assertIs(report_wheels.matplotlib(), matplotlib)
        self.assertContainsSubset(
            map(ord, "aÄ…Я蒲公英鬱たんぽぽヒマワリ桜민들레튤립"), report_wheels.characters()
        )


if __name__ == "__main__":
    absltest.main()
