"""Hides what TensorFlow Lite's C++ code prints on stderr."""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """While the context is open, nothing from this process reaches stderr, and no warning is shown.

    The converter and the interpreter print messages about delegates, passes and settings at any log
    level. They come from C++, so the file descriptor itself is redirected. Nothing is lost, since
    problems are raised as errors. Do not enter it in several threads at the same time.
    """
    _flush()
    stderr: int | None = None
    nowhere = os.open(os.devnull, os.O_WRONLY)
    # If stderr is closed, it stays at os.devnull, so that no file that is opened gets its number.
    with contextlib.suppress(OSError):
        stderr = os.dup(2) if nowhere != 2 else None
    os.dup2(nowhere, 2)
    if nowhere != 2:
        os.close(nowhere)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _flush()
        if stderr is not None:
            os.dup2(stderr, 2)
            os.close(stderr)


def _flush() -> None:
    # It is None if the process was started with stderr closed.
    if sys.stderr is not None:
        sys.stderr.flush()
