"""Runs a program in the test's process."""

import contextlib
import io
import math
from collections.abc import Callable
from unittest import mock

from absl.testing import flagsaver

from imprinting.base import program, progress_bar


def run(
    main: Callable[..., None],
    *arguments: str,
    runner: Callable[[Callable[..., None], list[str]], None] = program.run,
) -> tuple[int | str | None, str, str]:
    """Runs a program in this process.

    Lines of progress are left out, because a slow machine would print more of them.

    Args:
      main: the program.
      *arguments: its flags.
      runner: what runs it.

    Returns:
      The exit status, None for the default 0; what it printed on stdout; and on stderr.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        flagsaver.flagsaver(),
        mock.patch.object(progress_bar, "SECONDS_BETWEEN_LINES", math.inf),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            runner(main, ["folder/prog.py", *arguments])
        except SystemExit as end:
            return end.code, out.getvalue(), err.getvalue()
    raise AssertionError("the program did not end")
