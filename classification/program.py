"""What every program of this room does alike: flags in, errors out in a sentence."""

import functools
import logging as python_logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import tensorflow.compat.v1 as tf
from absl import app, flags, logging

from transforms import messages

_INTERRUPTED = 130

# What TensorFlow puts before and behind the message of an error in a graph.
_NOT_THE_MESSAGE = re.compile(
    r"^Graph execution error:\s+"
    r"|Detected at node .*?^Node: '[^\n]*'\n"
    r"|^\d+ root error\(s\) found\.\n\s*\(0\) \w+: "
    r"|Error in user-defined function passed to \S+ transformation with iterator: \S+: "
    r"|\{\{function_node [^}]*\}\} "
    r"|\n\t \[\[.*\Z"
    r"|\n\nOriginal stack trace.*\Z",
    re.DOTALL | re.MULTILINE,
)


def run(main: Callable[[], None], argv: list[str] | None = None) -> None:
    """Parses flags, calls main, and ends the process.

    What users can put right, which is what a ValueError, an ArithmeticError, an OSError, a
    MemoryError and an error of TensorFlow's tell, is one line on stderr, "PROGRAM: what is
    wrong", and exit status 1.
    `--verbosity=1` shows where it was raised, too. All other errors are the program's own
    and keep their traceback. Warnings are a line on stderr, too.

    Args:
      main: the program; flags are parsed when it is called.
      argv: the program's name and its arguments; the process's own where None.
    """

    def guarded(arguments: list[str]) -> None:
        tf.get_logger().setLevel(python_logging.ERROR)
        warnings.showwarning = functools.partial(_show, arguments[0])
        try:
            if len(arguments) > 1:
                raise ValueError(
                    f"expected flags alone, as --NAME=VALUE, got {' '.join(arguments[1:])}"
                )
            main()
        except (ValueError, ArithmeticError, OSError, MemoryError, tf.errors.OpError) as error:
            logging.debug("Raised here:", exc_info=True)
            _fail(arguments[0], sentence(error), 1)
        except KeyboardInterrupt:
            _fail(arguments[0], "interrupted", _INTERRUPTED)

    with warnings.catch_warnings(), messages.for_the_user():
        app.run(guarded, argv=argv)


def require(*names: str | tuple[str, ...]) -> None:
    """Checks that flags have values.

    Args:
      *names: of flags; of several in a tuple, one is enough.

    Raises:
      ValueError: for those that have none; names all of them.
    """
    alternatives = [(name,) if isinstance(name, str) else name for name in names]
    missing = [
        " or ".join(f"--{name}" for name in each)
        for each in alternatives
        if not any(flags.FLAGS[name].value for name in each)
    ]
    if missing:
        raise ValueError(f"expected {', '.join(missing)}; --help tells what for")


def given(names: Iterable[str]) -> dict[str, Any]:
    """The values of those flags, of the names asked for, that were set by hand."""
    return {name: flags.FLAGS[name].value for name in names if flags.FLAGS[name].present}


def sentence(error: Exception) -> str:
    """What an error says, without what TensorFlow adds about its graph and its source.

    The error of a failed `tf.Assert` is put together from the values that it holds.
    """
    if isinstance(error, tf.errors.OpError):
        text = _NOT_THE_MESSAGE.sub("", error.message or type(error).__name__).strip()
        failed = re.match(r"assertion failed: (\[.*\])$", text, re.DOTALL)
        return re.sub(r"^\[|\]$", "", failed[1]).replace("] [", " ") if failed else text
    if isinstance(error, IsADirectoryError) and error.filename:
        return f"expected a file, got the folder {error.filename}; name a file"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return str(error) or "out of memory"
    return str(error)


def _show(path: str, message: Warning | str, *place: object, **more: object) -> None:
    """Shows a warning, without its place in the source."""
    del place, more
    print(f"{_name(path)}: warning: {message}", file=sys.stderr)


def _fail(path: str, text: str, status: int) -> NoReturn:
    print(f"{_name(path)}: {text}", file=sys.stderr)
    sys.exit(status)


def _name(path: str) -> str:
    """The name by which people start a program."""
    return os.path.splitext(os.path.basename(path))[0].removeprefix("mobilenet_v1_l2norm_")
