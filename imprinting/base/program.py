"""Runs programs: parses flags, calls the main function, and prints errors as one sentence."""

import contextlib
import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from absl import app, flags, logging

from imprinting.base import messages

# The exit statuses that shells report: 128 plus the signal's number.
_INTERRUPTED, _BROKEN_PIPE = 130, 141
# Errors that users can correct.
_USER_ERRORS = (ValueError, ArithmeticError, OSError, MemoryError)


def run(
    main: Callable[..., None],
    argv: list[str] | None = None,
    *,
    takes_arguments: bool = False,
    user_errors: tuple[type[Exception], ...] = (),
    describe: Callable[[Exception], str] | None = None,
) -> None:
    """Parses flags, calls main, and ends the process.

    An error that users can correct is printed on stderr as one line, "PROGRAM: what is wrong",
    and the exit status is 1. Such errors are ValueError, ArithmeticError, OSError, MemoryError and
    `user_errors`. `--verbosity=1` also shows where the error was raised. All other errors are bugs
    and keep their traceback. Wrong flags and warnings are printed as one line, too. See
    `standard_streams`.

    Args:
      main: the program; flags are parsed when it is called.
      argv: the program's name and its arguments; None means those of the process.
      takes_arguments: whether main takes a list of the arguments that are not flags, which may
        stand before, between and after flags; otherwise they are an error.
      user_errors: more kinds of errors that users can correct.
      describe: returns the text for an error; None means `sentence`.
    """
    all_user_errors: tuple[type[Exception], ...] = (*_USER_ERRORS, *user_errors)

    def guarded(arguments: list[str]) -> None:
        warnings.showwarning = functools.partial(_show_warning, arguments[0])
        try:
            if takes_arguments:
                main(arguments[1:])
                return
            if len(arguments) > 1:
                raise ValueError(
                    f"expected only flags, as --NAME=VALUE, got {' '.join(arguments[1:])}"
                )
            main()
        except (NotImplementedError, RecursionError, BrokenPipeError):
            # The first two are subclasses of RuntimeError, but users cannot correct them.
            raise
        except all_user_errors as error:
            logging.debug("Raised here:", exc_info=True)
            _fail(arguments[0], (describe or sentence)(error), 1)

    flags.FLAGS.set_gnu_getopt(takes_arguments)
    with (
        standard_streams((argv or sys.argv)[0]),
        warnings.catch_warnings(),
        messages.for_the_user(),
    ):
        app.run(guarded, argv=argv, flags_parser=_parse_flags)


@contextlib.contextmanager
def standard_streams(path: str) -> Iterator[None]:
    """Within it, a program can print anything, and may be interrupted.

    Characters that a stream's encoding does not have are printed as escapes, and what is printed on
    a closed stream is lost. If the reader of a pipe has gone, the process ends with the status 141
    and says nothing; after Ctrl-C, it says so and ends with 130.

    Args:
      path: the program, for messages.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        sys.exit(_BROKEN_PIPE)
    except OSError as error:
        _drop_output()
        _fail(path, f"standard output: {sentence(error)}", 1)
    except KeyboardInterrupt:
        _fail(path, "interrupted", _INTERRUPTED)


def _drop_output() -> None:
    """Keeps Python from printing what is left, which would fail again, at its exit."""
    # Streams of tests have no number.
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parse_flags(argv: list[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        text = " ".join(str(error).split()).rstrip(".")
        _fail(argv[0], f"{text}; --help explains the flags", 1)


def require(*names: str | tuple[str, ...]) -> None:
    """Checks that flags have values.

    Args:
      *names: the flags' names; of the flags in a tuple, one must have a value.

    Raises:
      ValueError: if flags have no value; the error lists all of them.
    """
    alternatives = [(name,) if isinstance(name, str) else name for name in names]
    missing = [
        " or ".join(f"--{name}" for name in each)
        for each in alternatives
        if not any(flags.FLAGS[name].value for name in each)
    ]
    if missing:
        raise ValueError(f"expected {', '.join(missing)}; --help explains them")


def given(names: Iterable[str]) -> dict[str, Any]:
    """Returns the values of the named flags, without those that the user has not set."""
    return {name: flags.FLAGS[name].value for name in names if flags.FLAGS[name].present}


def sentence(error: Exception) -> str:
    """Returns an error's message, with the file that it is about."""
    if isinstance(error, IsADirectoryError) and error.filename:
        return f"expected a file, got the folder {error.filename}; name a file"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return str(error) or "out of memory"
    return str(error)


def _show_warning(path: str, message: Warning | str, *place: object, **more: object) -> None:
    """Prints a warning without its location in the source."""
    del place, more
    print(f"{_name(path)}: warning: {message}", file=sys.stderr)


def _fail(path: str, text: str, status: int) -> NoReturn:
    print(f"{_name(path)}: {text}", file=sys.stderr)
    sys.exit(status)


def _name(path: str) -> str:
    """The name by which users start a program."""
    return os.path.splitext(os.path.basename(path))[0].removeprefix("mobilenet_v1_l2norm_")
