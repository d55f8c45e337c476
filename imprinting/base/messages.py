"""Shows messages of programs that Bazel starts with the user's paths of files.

In an action, outputs are in bazel-out/CONFIGURATION/bin, which users find at .bazel/bin, and the
user's own files are in external/.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

_OUTPUTS = re.compile(r"(?<!\w)(?:/[^\s'\"]*/execroot/\w+/)?bazel-out/[^/\s]+/bin/")
# The links that transforms/user_files.bzl creates.
_CHECKPOINT = "external/checkpoint/folder"
_IMAGE = re.compile(r"external/images/image-\d+")


def shown(text: str) -> str:
    """Returns a message with the user's paths of outputs and of files of CHECKPOINT and IMAGES."""
    text = _OUTPUTS.sub(".bazel/bin/", text)
    if _CHECKPOINT in text and os.path.isdir(_CHECKPOINT):
        # In a sandbox, the folder is a real one, and its files are links.
        for name in sorted(os.listdir(_CHECKPOINT))[:1]:
            real = os.path.realpath(os.path.join(_CHECKPOINT, name))
            text = text.replace(_CHECKPOINT, os.path.dirname(real))
    return _IMAGE.sub(lambda match: os.path.realpath(match[0]), text)


class _Shown:
    """A stream that writes messages with the user's paths."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(shown(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def for_the_user() -> Iterator[None]:
    """Within it, messages are printed with the user's paths, if this process runs in an action."""
    if not os.path.isdir("bazel-out"):
        yield
        return
    out: Any = _Shown(sys.stdout)
    err: Any = _Shown(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield
