"""Running a program of this room, for its tests."""

import contextlib
import io
from collections.abc import Callable

from absl.testing import flagsaver

from transforms import program


def run(main: Callable[[], None], *arguments: str) -> tuple[int | str | None, str, str]:
    """Runs a program in this process; returns exit status, stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with (
        flagsaver.flagsaver(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            program.run(main, ["folder/prog.py", *arguments])
        except SystemExit as end:
            return end.code, out.getvalue(), err.getvalue()
    raise AssertionError("the program did not end")
