"""Reads and writes text files of class names, for all programs.

A file has one name per line, in the order of the classes. Lines may begin with the class number, as
in `0:daisy` or `0  daisy`. Names may begin with a number, too, as in `7 up`, so two rules decide
whether the numbers in a file are class numbers:

- If every line begins with a number, and all numbers are followed by a colon or all by space, they
  are class numbers if more than half of them could be, or if one of them is 0.
- If some lines have no number, or some have a colon and others space, the numbers are class numbers
  if more than three quarters of the lines begin with a number that could be one. If all numbers are
  followed by a colon, half of the lines are enough.

Otherwise the numbers belong to the names. Class numbers must be complete, and in order from 0. A
file whose lines all have class numbers in another form, as in `0,daisy`, is an error.
"""

import codecs
import re
import unicodedata
from collections.abc import Sequence

_NUMBERED = re.compile(r"([0-9]{1,9})(?:\s*(:)\s*|\s+)(.*)")
# The forms of tables, lists and other programs: `0,daisy`, `1. daisy`, `0 - daisy`, `"0": "daisy"`.
_NUMBERED_OTHERWISE = re.compile(
    r"[\"'(\[]?([0-9]{1,9})(?:[\"')\]]|\s*[,;.=|：–—-])(?![0-9]).*",  # noqa: RUF001
)
_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_LONGEST_SHOWN = 40


def parse(data: bytes, path: str) -> tuple[str, ...]:
    """Returns the class names in a file, in Unicode's form NFC; the index is the class.

    Empty lines, and space around names, are ignored. Two classes may have the same name, as in
    ImageNet.

    Args:
      data: the file's contents: UTF-8, or UTF-16 with a byte order mark.
      path: the file's name in errors.

    Raises:
      ValueError: if the file is not text or is empty, or if its class numbers are not complete or
        not in order; the error names the line.
    """
    lines = [(i, line.strip()) for i, line in enumerate(_text(data, path).splitlines(), start=1)]
    lines = [(number, normalised(line)) for number, line in lines if line]
    if not lines:
        raise ValueError(f"expected one class name per line in {path}, got an empty file")
    found = [_NUMBERED.fullmatch(line) for _, line in lines]
    if _are_numbered_otherwise([line for _, line in lines]):
        raise ValueError(_complaint(path, *lines[0], index=0))
    if not _are_numbers_of_classes(found):
        return tuple(line for _, line in lines)
    for index, ((number, line), match) in enumerate(zip(lines, found, strict=True)):
        if not match or int(match[1]) != index or not match[3]:
            raise ValueError(_complaint(path, number, line, index=index))
    return tuple(match[3] for match in found if match)


def read(path: str) -> tuple[str, ...]:
    """Returns the class names in a file; see `parse`, which raises the same.

    Raises:
      OSError: if the file cannot be read.
    """
    with open(path, "rb") as file:
        return parse(file.read(), path)


def check_count(names: Sequence[str], num_classes: int, path: str, *, otherwise: str = "") -> None:
    """Checks that there is a name for each of a network's classes.

    Args:
      names: the class names, in order.
      num_classes: the network's number of classes.
      path: the file that the names are from.
      otherwise: what else the user can do, for the error.

    Raises:
      ValueError: if there are more or fewer names than classes.
    """
    if len(names) == num_classes:
        return
    advice = "correct the file"
    if len(names) == num_classes - 1:
        advice = (
            "if the name of the background, class 0, is missing, add a first line `background` "
            "(if lines are numbered, `0:background`, and number the others from 1)"
        )
    raise ValueError(
        f"expected a name for each of the network's {num_classes:,} classes, got {len(names):,} "
        f"names in {path}; {advice}{f', or {otherwise}' if otherwise else ''}"
    )


def check_names(names: Sequence[str], source: str) -> None:
    """Checks that each class name is one line with something in it.

    Args:
      names: the class names, in order.
      source: where they are from, for the error.

    Raises:
      ValueError: if one is not.
    """
    for index, name in enumerate(names):
        if not name.strip() or name.splitlines() != [name]:
            raise ValueError(
                f"expected labels of one line each, got {name!r} as label {index} of {source}"
            )
        # They would change a terminal, or could not be written as UTF-8.
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
            raise ValueError(
                f"expected labels without control characters, got {name!r} as label {index} of "
                f"{source}"
            )


def text(names: Sequence[str]) -> bytes:
    """Returns the contents of a file from which `parse` reads the same names.

    It has one name per line, and class numbers only if it would be read differently without them.
    """
    plain = "".join(f"{name}\n" for name in names).encode()
    if _is_read_as(names, plain):
        return plain
    return numbered_text(names)


def numbered_text(names: Sequence[str]) -> bytes:
    """Returns the contents of a file of names with class numbers, as tf-slim writes it: `0:daisy`.

    `parse` reads the same names from it.
    """
    return "".join(f"{index}:{name}\n" for index, name in enumerate(names)).encode()


def normalised(name: str) -> str:
    """Returns a name in Unicode's form NFC, which all programs use.

    Names of files may be in another form that looks the same, for example on macOS.
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
            f"expected one class name per line, as text in UTF-8, in {path}, got {error}; save it "
            "as UTF-8"
        ) from error
    # Found in UTF-16 and UTF-32 without a byte order mark, and in files that are not text.
    if "\0" in found:
        raise ValueError(
            f"expected one class name per line, as text in UTF-8, in {path}, got zero bytes, which "
            "text does not contain; save it as UTF-8"
        )
    return found


def _complaint(path: str, number: int, line: str, *, index: int) -> str:
    """Returns the error for a line that does not begin with the right class number."""
    shown = line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 1] + "…"
    return (
        f"expected {index}:NAME as line {number} of {path}, whose lines begin with class numbers, "
        f"got {shown!r}; number all classes from 0, in order and without gaps, or remove the "
        f"numbers (if they belong to the names, add class numbers before them: {index}:{shown})"
    )


def _are_numbered_otherwise(lines: Sequence[str]) -> bool:
    """Whether all lines begin with class numbers, in order, in another form."""
    found = [match for match in map(_NUMBERED_OTHERWISE.fullmatch, lines) if match]
    numbers = [int(match[1]) for match in found]
    return len(lines) == len(found) > 1 and numbers in (
        list(range(len(lines))),
        list(range(1, len(lines) + 1)),
    )


def _are_numbers_of_classes(found: Sequence[re.Match[str] | None]) -> bool:
    """Whether the numbers before names are class numbers, some of which may be wrong."""
    numbered = [match for match in found if match]
    numbers = {int(match[1]) for match in numbered}
    forms = {match[2] for match in numbered}
    likely = len(numbers & set(range(len(found) + 1)))
    if len(numbered) < len(found) or len(forms) != 1:
        return 4 * likely > 3 * len(found) or (forms == {":"} and 2 * likely >= len(found))
    return 0 in numbers or 2 * likely > len(found)
