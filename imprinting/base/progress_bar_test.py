"""Tests of progress_bar.py, with and without a terminal."""

import contextlib
import io
from unittest import mock

from absl.testing import absltest

from imprinting.base import progress_bar
from imprinting.base.progress_bar import ProgressBar


class _Terminal(io.StringIO):
    def isatty(self):
        return True


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
        for total, shown in ((20, True), (19, False)):
            screen = _Terminal()
            with contextlib.redirect_stderr(screen), ProgressBar() as progress:
                progress.show(7, total)
                progress.show(8, total)
            self.assertEqual("/20" in screen.getvalue(), shown)
            # At the end the bar is removed.
            self.assertEqual(screen.getvalue().rpartition("\r")[2], "")


if __name__ == "__main__":
    absltest.main()
