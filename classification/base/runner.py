"""Runs the programs that use TensorFlow: its errors become sentences, too."""

import logging
import re
from collections.abc import Callable

import tensorflow.compat.v1 as tf

from transforms.base import program

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


def run(main: Callable[[], None], argv: list[str] | None = None) -> None:
    """Runs a program as `program.run` does; TensorFlow's errors are ones that users can correct.

    Args:
      main: the program; flags are parsed when it is called.
      argv: the program's name and its arguments; None means those of the process.
    """
    tf.get_logger().setLevel(logging.ERROR)
    program.run(main, argv, user_errors=(tf.errors.OpError,), describe=sentence)


def sentence(error: Exception) -> str:
    """What an error says, without what TensorFlow adds about its graph and its source.

    The message of a failed `tf.Assert` is built from the values that it holds.
    """
    if not isinstance(error, tf.errors.OpError):
        return program.sentence(error)
    text = _NOT_THE_MESSAGE.sub("", error.message or type(error).__name__).strip()
    failed = re.match(r"assertion failed: (\[.*\])$", text, re.DOTALL)
    return re.sub(r"^\[|\]$", "", failed[1]).replace("] [", " ") if failed else text
