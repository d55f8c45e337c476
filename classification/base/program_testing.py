"""Runs a program that uses TensorFlow within a test's process."""

import math
from collections.abc import Callable
from unittest import mock

from classification.base import progress_bar, runner
from transforms.base import program_testing


def run_program(main: Callable[[], None], *arguments: str) -> tuple[int | str | None, str, str]:
    """Runs a program in this process.

    Lines of progress are left out: one is printed every ten seconds, so a slow machine prints more.

    Args:
      main: the program.
      *arguments: its flags.

    Returns:
      Its exit status, None where it is 0 by default; what it printed on stdout, and on stderr.
    """
    with mock.patch.object(progress_bar, "SECONDS_BETWEEN_LINES", math.inf):
        return program_testing.run(main, *arguments, runner=runner.run)
