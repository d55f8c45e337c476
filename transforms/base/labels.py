"""The names of a network's classes, in a text file: how all programs read and write them.

There is a name a line, in order, or each line begins with the class's number, as in `0:daisy` or
`0  daisy`. Two rules tell which it is:

- Where every line has a number before its name, all with a colon behind it or all with space, the
  numbers are the classes', if more than half of them could be, or if 0 is among them.
- Where some lines have none, or some a colon and others space, the numbers are the classes' only if
  more than three quarters of the lines have one that could be, or, with colons, half of them: then
  the others lack theirs.

Else they are parts of the names, as in `7 up`. A file whose lines all have their numbers in another
form, as in `0,daisy`, is refused. Numbers that are the classes' must be complete and
in order from 0.
"""

import codecs
import re
import unicodedata
from collections.abc import Sequence

_NUMBERED = re.compile(r"([0-9]{1,9})(?:\s*(:)\s*|\s+)(.*)")
# As in tables, lists and other programs' files: `0,daisy`, `1. daisy`, `0 - daisy`, `"0": "daisy"`.
_NUMBERED_OTHERWISE = re.compile(
    r"[\"'(\[]?([0-9]{1,9})(?:[\"')\]]|\s*[,;.=|：–—-])(?![0-9]).*",  # noqa: RUF001
)
_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_LONGEST_SHOWN = 40


def parse(data: bytes, path: str) -> tuple[str, ...]:
    """The names of classes, index = class, in Unicode's form NFC.

    Empty lines, and space around names, are left out. Names may be equal, as two of ImageNet's are.

    Args:
      data: what the file holds: UTF-8, or UTF-16 with a byte order mark.
      path: what errors call it.

    Raises:
      ValueError: if it is no text or empty, or numbers are the classes' and not complete or not in
        order; names the line.
    """
    lines = [(i, line.strip()) for i, line in enumerate(_text(data, path).splitlines(), start=1)]
    lines = [(number, normalised(line)) for number, line in lines if line]
    if not lines:
        raise ValueError(f"expected a class name a line in {path}, got an empty file")
    found = [_NUMBERED.fullmatch(line) for _, line in lines]
    if _are_numbered_otherwise([line for _, line in lines]):
        raise ValueError(_complaint(path, *lines[0], index=0))
    if not _are_numbers_of_classes(found):
        return tuple(line for _, line in lines)
    for index, ((number, line), match) in enumerate(zip(lines, found, strict=True)):
        if not match or int(match[1]) != index or not match[3]:
            raise ValueError(_complaint(path, number, line, index=index))
    return tuple(match[3] for match in found if match)


def check_count(names: Sequence[str], num_classes: int, path: str, *, otherwise: str = "") -> None:
    """Checks that there is a name for each of a network's classes.

    Args:
      names: in order.
      num_classes: of the network.
      path: the file that the names are from.
      otherwise: what else the user can do, for the error.

    Raises:
      ValueError: if there are more or fewer names than classes.
    """
    if len(names) == num_classes:
        return
    advice = "mend the file"
    if len(names) == num_classes - 1:
        advice = (
            "if it is the background, class 0, that has none, add a first line `background` "
            "(where lines are numbered, `0:background`, and count the others on from 1)"
        )
    raise ValueError(
        f"expected a name for each of the network's {num_classes:,} classes, got {len(names):,} "
        f"names in {path}; {advice}{f', or {otherwise}' if otherwise else ''}"
    )


def text(names: Sequence[str]) -> bytes:
    """A file of names, from which they come back: a name a line, with numbers where it must be."""
    plain = "".join(f"{name}\n" for name in names).encode()
    if _is_read_as(names, plain):
        return plain
    return numbered_text(names)


def numbered_text(names: Sequence[str]) -> bytes:
    """A file of names with their numbers, as slim writes them: `0:daisy`."""
    return "".join(f"{index}:{name}\n" for index, name in enumerate(names)).encode()


def normalised(name: str) -> str:
    """A name in the one of its spellings that all programs use: Unicode's form NFC.

    macOS, among others, names files in another, which looks the same.
    """
    return unicodedata.normalize("NFC", name)


def _is_read_as(names: Sequence[str], data: bytes) -> bool:
    try:
        return parse(data, "") == tuple(names)
    except ValueError:
        return False


def _text(data: bytes, path: str) -> str:
    encoding = _BYTE_ORDER_MARKS.get(data[:2], "utf-8-sig")
    try:
        found = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"expected a class name a line, as text in UTF-8, in {path}, got {error}; save it so"
        ) from error
    # As in UTF-16 or UTF-32 without a mark, and in files that are no text at all.
    if "\0" in found:
        raise ValueError(
            f"expected a class name a line, as text in UTF-8, in {path}, got bytes of 0, which "
            "text has none of; save it so"
        )
    return found


def _complaint(path: str, number: int, line: str, *, index: int) -> str:
    """What is wrong with a line that does not begin with its class's number as it should."""
    shown = line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 1] + "…"
    return (
        f"expected {index}:NAME as line {number} of {path}, whose lines begin with the numbers "
        f"of classes, got {shown!r}; number all classes from 0, in order and without gaps, or "
        "leave the numbers out (or, where they are parts of names, put others before them: "
        f"{index}:{shown})"
    )


def _are_numbered_otherwise(lines: Sequence[str]) -> bool:
    """Whether lines begin with the numbers of classes, in order, in another form."""
    found = [match for match in map(_NUMBERED_OTHERWISE.fullmatch, lines) if match]
    numbers = [int(match[1]) for match in found]
    return len(lines) == len(found) > 1 and numbers in (
        list(range(len(lines))),
        list(range(1, len(lines) + 1)),
    )


def _are_numbers_of_classes(found: Sequence[re.Match[str] | None]) -> bool:
    """Whether the numbers before names are the classes', of which some may be wrong."""
    numbered = [match for match in found if match]
    numbers = {int(match[1]) for match in numbered}
    forms = {match[2] for match in numbered}
    likely = len(numbers & set(range(len(found) + 1)))
    if len(numbered) < len(found) or len(forms) != 1:
        return 4 * likely > 3 * len(found) or (forms == {":"} and 2 * likely >= len(found))
    return 0 in numbers or 2 * likely > len(found)
