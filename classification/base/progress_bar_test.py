"""Tests of progress_bar.py, with and without a terminal."""

import contextlib
import io
from unittest import mock

import rich.console
from absl.testing import absltest

from classification.base import progress_bar
from classification.base.progress_bar import ProgressBar


class ProgressBarTest(absltest.TestCase):
    def test_lines_without_terminal(self):
        err = io.StringIO()
        with (
            contextlib.redirect_stderr(err),
            mock.patch.object(progress_bar, "SECONDS_BETWEEN_LINES", 0.0),
            ProgressBar() as progress,
        ):
            progress.show(1, 20)
            progress.show(2, 20)
        self.assertEqual(err.getvalue(), "1 of 20 images\n2 of 20 images\n")

    def test_silent_if_quick(self):
        err = io.StringIO()
        with contextlib.redirect_stderr(err), ProgressBar() as progress:
            progress.show(20, 20)
        self.assertEqual(err.getvalue(), "")

    def test_bar_on_a_terminal(self):
        screen = io.StringIO()
        console = rich.console.Console(file=screen, force_terminal=True, width=100)
        with ProgressBar(console=console) as progress:
            progress.show(7, 20)
        self.assertIn("7/20", screen.getvalue())
        # At the end the bar is removed and the cursor is shown again.
        self.assertIn("\x1b[?25h", screen.getvalue())


if __name__ == "__main__":
    absltest.main()
