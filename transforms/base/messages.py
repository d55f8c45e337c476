"""Messages of programs that Bazel starts, with the names that the user has for files.

In an action, outputs stand in bazel-out/CONFIGURATION/bin, which the user knows as .bazel/bin, and
the user's own files in external/.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

_OUTPUTS = re.compile(r"(?<!\w)(?:/[^\s'\"]*/execroot/\w+/)?bazel-out/[^/\s]+/bin/")
# As transforms/user_files.bzl links them.
_CHECKPOINT = "external/checkpoint/folder"
_IMAGE = re.compile(r"external/images/image-\d+")


def shown(text: str) -> str:
    """A message with the user's names for outputs, and for files of CHECKPOINT and IMAGES."""
    text = _OUTPUTS.sub(".bazel/bin/", text)
    if _CHECKPOINT in text and os.path.isdir(_CHECKPOINT):
        # In a sandbox, it is the files that are links.
        for name in sorted(os.listdir(_CHECKPOINT))[:1]:
            real = os.path.realpath(os.path.join(_CHECKPOINT, name))
            text = text.replace(_CHECKPOINT, os.path.dirname(real))
    return _IMAGE.sub(lambda match: os.path.realpath(match[0]), text)


class _Shown:
    """A stream to which messages go with the user's names."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(shown(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def for_the_user() -> Iterator[None]:
    """Within it, what is printed has the user's names, where this process is one of an action."""
    if not os.path.isdir("bazel-out"):
        yield
        return
    out: Any = _Shown(sys.stdout)
    err: Any = _Shown(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield
