"""Imports TensorFlow without what it always prints: programs import this module first.

TensorFlow 2.21 tells at import, before any log level counts, that it uses oneDNN and
which instructions the processor has. What else it has to say comes through.
"""

import os
import re
import tempfile

_CHATTER = re.compile(
    rb"oneDNN custom operations are on|All log messages before absl::InitializeLog"
    rb"|This TensorFlow binary is optimized|To enable the following instructions"
)


def _import_tensorflow() -> None:
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as printed:
        # The lines come from C++: nothing less than the file descriptor catches them.
        os.dup2(printed.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            printed.seek(0)
            for line in printed:
                if not _CHATTER.search(line):
                    os.write(2, line)


_import_tensorflow()
