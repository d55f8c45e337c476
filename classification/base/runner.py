"""Runs programs that use TensorFlow, and turns its errors into sentences."""

import contextlib
import logging
import re
from collections.abc import Callable, Iterator

import tensorflow.compat.v1 as tf

from imprinting.base import program

# What TensorFlow puts before and after the message of an error in a graph.
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


def run(
    main: Callable[..., None], argv: list[str] | None = None, *, takes_arguments: bool = False
) -> None:
    """Runs a program as `program.run` does; reports TensorFlow's errors as user errors.

    Args:
      main: the program; flags are parsed before it is called.
      argv: the program's name and its arguments; None for those of the process.
      takes_arguments: see `program.run`.
    """
    tf.get_logger().setLevel(logging.ERROR)
    program.run(
        main,
        argv,
        takes_arguments=takes_arguments,
        user_errors=(tf.errors.OpError,),
        describe=sentence,
    )


@contextlib.contextmanager
def errors_for_users() -> Iterator[None]:
    """Within it, errors of TensorFlow become a ValueError with the text for users."""
    tf.get_logger().setLevel(logging.ERROR)
    try:
        yield
    except tf.errors.OpError as error:
        raise ValueError(sentence(error)) from error


def sentence(error: Exception) -> str:
    """The message of an error, without what TensorFlow adds about its graph and source code.

    The message of a failed `tf.Assert` is put together from the assertion's data.
    """
    if not isinstance(error, tf.errors.OpError):
        return program.sentence(error)
    text = _NOT_THE_MESSAGE.sub("", error.message or type(error).__name__).strip()
    failed = re.match(r"assertion failed: (\[.*\])$", text, re.DOTALL)
    return re.sub(r"^\[|\]$", "", failed[1]).replace("] [", " ") if failed else text
