"""Reads the bodies of requests, up to a limit."""

import json
import tempfile
from typing import Any, BinaryIO

from starlette.requests import Request

_MOST_JSON = 1 << 16
_MOST_DIGITS = 18


class TooLargeError(ValueError):
    """A body is larger than allowed."""


async def body(request: Request, most: int) -> bytes:
    """The body of a request.

    Args:
      request: the request.
      most: the most bytes.

    Raises:
      TooLargeError: if there are more.
    """
    check_length(request, most)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        _check(size, most)
        parts.append(part)
    return b"".join(parts)


async def body_file(request: Request, most: int, folder: str) -> BinaryIO:
    """The body of a request, as a file without a name, which vanishes when it is closed.

    Args:
      request: the request.
      most: the most bytes.
      folder: where to keep it.

    Raises:
      TooLargeError: if there are more.
      OSError: if it cannot be written.
    """
    check_length(request, most)
    file, size = tempfile.TemporaryFile(dir=folder), 0
    try:
        async for part in request.stream():
            size += len(part)
            _check(size, most)
            file.write(part)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


async def json_object(request: Request, **kinds: type) -> dict[str, Any]:
    """The body of a request as a JSON object.

    Args:
      request: the request.
      **kinds: the type of each of its values.

    Raises:
      ValueError: if it is something else.
    """
    try:
        found = json.loads(await body(request, _MOST_JSON))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"expected JSON, got something else ({error})") from error
    wanted = ", ".join(f"{name} ({kind.__name__})" for name, kind in kinds.items())
    if not isinstance(found, dict) or {*found} - {*kinds}:
        raise ValueError(f"expected a JSON object of {wanted}, got another")
    for name, value in found.items():
        kind = kinds[name]
        is_number = kind is float and type(value) is int
        if type(value) is not kind and not is_number:
            raise ValueError(f"expected {name} as {kind.__name__}, got {value!r:.100}")
    return found


def number(request: Request, name: str) -> int:
    """A parameter of the address as an integer. Raises a ValueError if it is none."""
    text = request.query_params.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise ValueError(f"expected {name} in the address as a number, got {text[:100]!r}")
    return int(text)


def check_length(request: Request, most: int) -> None:
    """Raises a TooLargeError if a request says that its body is too large."""
    length = request.headers.get("content-length", "0")
    _check(int(length) if length.isdigit() else 0, most)


def _check(size: int, most: int) -> None:
    if size > most:
        raise TooLargeError(f"expected at most {most:,} bytes, got more; send less at once")
