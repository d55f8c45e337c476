"""Hides messages that TensorFlow's libraries always print when they are loaded.

TensorFlow 2.21 prints, at any log level, that it uses oneDNN, and which instructions the processor
has.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator

_CHATTER = re.compile(
    rb"oneDNN custom operations are on|All log messages before absl::InitializeLog"
    rb"|This TensorFlow binary is optimized|To enable the following instructions"
)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Within it, these lines do not reach stderr; all other lines are printed at its end."""
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as printed:
        # The lines come from C++, so the file descriptor itself is redirected.
        os.dup2(printed.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            printed.seek(0)
            for line in printed:
                if not _CHATTER.search(line):
                    os.write(2, line)
