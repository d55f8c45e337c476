"""Runs a program that uses TensorFlow in the process of a test."""

import functools
from collections.abc import Callable

from classification.base import runner
from imprinting.base import program_testing


def run_program(
    main: Callable[..., None], *arguments: str, takes_arguments: bool = False
) -> tuple[int | str | None, str, str]:
    """Runs a program in this process.

    Args:
      main: the program.
      *arguments: its flags and arguments.
      takes_arguments: see `program.run`.

    Returns:
      Its exit status, None if it returns; what it printed on stdout; and on stderr.
    """
    run = functools.partial(runner.run, takes_arguments=takes_arguments)
    return program_testing.run(main, *arguments, runner=run)
