"""Runs a program that uses TensorFlow in the process of a test."""

import functools
import math
from collections.abc import Callable
from unittest import mock

from classification.base import progress_bar, runner
from transforms.base import program_testing


def run_program(
    main: Callable[..., None], *arguments: str, takes_arguments: bool = False
) -> tuple[int | str | None, str, str]:
    """Runs a program in this process.

    Lines of progress are left out, because a slow machine would print more of them.

    Args:
      main: the program.
      *arguments: its flags and arguments.
      takes_arguments: see `program.run`.

    Returns:
      Its exit status, None if it returns; what it printed on stdout; and on stderr.
    """
    with mock.patch.object(progress_bar, "SECONDS_BETWEEN_LINES", math.inf):
        run = functools.partial(runner.run, takes_arguments=takes_arguments)
        return program_testing.run(main, *arguments, runner=run)
