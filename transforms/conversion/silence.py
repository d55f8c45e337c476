"""Keeps from stderr what TensorFlow Lite's C++ code prints."""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Within it, nothing of this process reaches stderr, and no warning is shown.

    The converter and the interpreter tell of delegates, passes and settings, whatever the
    log level, and from C++: nothing less than the file descriptor catches them. What goes
    wrong, their errors tell as well. Not for several threads at once.
    """
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)
