"""Checks the structure of a FlatBuffer before any of it is read.

The generated code of a schema follows every offset that it finds. In a damaged or malicious file,
offsets may lead outside the file, or thousands of times to the same large part. After this check,
reading a file takes time and memory in proportion to its size, and no offset leaves it.

The format is described at https://flatbuffers.dev/internals: a table begins with the offset of its
vtable, which has two sizes and the place of each field in the table; strings and vectors begin with
their length; offsets are relative to where they stand.
"""

import dataclasses
import struct
from collections.abc import Mapping

# A model of 5,000 operators has about 40,000 tables.
MOST_TABLES = 50_000
# Items of vectors that become numbers of Python, such as scales: several for each channel.
MOST_ITEMS = 1 << 20
# The bytes of all strings, which are converted to text for each message and rule.
MOST_TEXT = 1 << 22
# How often all parts of a file may be read on average, since writers may share strings and vectors.
_MOST_SHARED = 4

_OFFSET = struct.Struct("<I")
_VTABLE_OFFSET = struct.Struct("<i")
_VTABLE_SIZES = struct.Struct("<HH")


@dataclasses.dataclass(frozen=True)
class String:
    """A field that is a string."""


@dataclasses.dataclass(frozen=True)
class Strings:
    """A field that is a vector of strings."""


@dataclasses.dataclass(frozen=True)
class Bytes:
    """A field that is a vector of bytes, which may be large."""


@dataclasses.dataclass(frozen=True)
class Items:
    """A field that is a vector of numbers of `size` bytes each."""

    size: int


@dataclasses.dataclass(frozen=True)
class Table:
    """A field that is a table, by its name in the layouts; None for a table of numbers alone."""

    name: str | None


@dataclasses.dataclass(frozen=True)
class Tables:
    """A field that is a vector of tables."""

    name: str


@dataclasses.dataclass(frozen=True)
class Union:
    """A field that is one of several tables, by the number in the field before it.

    Attributes:
      tables: the name of a table's layout by its number.
      others: whether other numbers mean tables of numbers alone; otherwise they are refused.
    """

    tables: Mapping[int, str]
    others: bool = False


# An integer is the size in bytes of a number.
Field = int | String | Strings | Bytes | Items | Table | Tables | Union
# The fields of each table, in the order of the schema, by the table's name.
Layouts = Mapping[str, tuple[Field, ...]]


def check(data: bytes, layouts: Layouts, root: str) -> None:
    """Checks every part of a FlatBuffer that a schema can reach.

    Bytes after it are ignored. Fields that are not in the layout are not checked.

    Args:
      data: the bytes, from the offset of the root on.
      layouts: the schema.
      root: the name of the root's table.

    Raises:
      ValueError: if a part is outside the bytes or misaligned, if it has a union that the layouts
        do not have, or if it would take too much time or memory to read. The message is the end of
        a sentence.
    """
    _Check(data, layouts, _MOST_SHARED * len(data)).run(root)


@dataclasses.dataclass
class _Check:
    """A check of some bytes.

    Attributes:
      data: the bytes.
      layouts: the schema.
      left: how many bytes may still be read.
      tables: how many tables were read.
      items: how many items of vectors of numbers were read.
      text: how many bytes of strings were read.
    """

    data: bytes
    layouts: Layouts
    left: int
    tables: int = 0
    items: int = 0
    text: int = 0

    def run(self, root: str) -> None:
        # A list and not recursion, so that no file can exhaust the stack.
        waiting: list[tuple[int, str | None]] = [(self._follow(0), root)]
        while waiting:
            place, name = waiting.pop()
            waiting += self._table(place, name)

    def _table(self, place: int, name: str | None) -> list[tuple[int, str | None]]:
        """Checks a table; returns the places and names of the tables that it refers to."""
        slots, size = self._slots(place, name)
        found: list[tuple[int, str | None]] = []
        kind = 0  # The value of the field before.
        for slot, field in zip(slots, () if name is None else self.layouts[name], strict=False):
            if not slot:
                kind = 0
                continue
            inline = field if isinstance(field, int) else 4
            if slot < 4 or slot + inline > size or (place + slot) % inline:
                raise ValueError(f"a field of {name} at byte {place + slot} is not inside it")
            if isinstance(field, int):
                kind = self.data[place + slot]
                continue
            target = self._follow(place + slot)
            if isinstance(field, String):
                self._string(target)
            elif isinstance(field, Bytes):
                self._vector(target, 1)
            elif isinstance(field, Items):
                self._vector(target, field.size)
                self._count_items(target)
            elif isinstance(field, Table):
                found.append((target, field.name))
            elif isinstance(field, Union):
                if kind not in field.tables and not field.others:
                    raise ValueError(f"{name} has a part of an unknown kind, {kind}")
                found.append((target, field.tables.get(kind)))
            else:
                count = self._vector(target, 4)
                self._count_items(target)
                first = target + 4
                targets = [self._follow(first + 4 * i) for i in range(count)]
                if isinstance(field, Tables):
                    found += [(t, field.name) for t in targets]
                else:
                    for t in targets:
                        self._string(t)
        return found

    def _slots(self, place: int, name: str | None) -> tuple[tuple[int, ...], int]:
        """Where in a table its fields are, 0 for fields that are left out; and the table's size."""
        end = len(self.data)
        self.tables += 1
        if self.tables > MOST_TABLES:
            raise ValueError(f"it has more than {MOST_TABLES:,} tables")
        if place % 4 or place + 4 > end:
            raise ValueError(f"the table {name or ''} at byte {place} is not inside it")
        vtable = place - _VTABLE_OFFSET.unpack_from(self.data, place)[0]
        if not 0 <= vtable <= end - 4 or vtable % 2:
            raise ValueError(f"the vtable at byte {vtable} is not inside it")
        vtable_size, size = _VTABLE_SIZES.unpack_from(self.data, vtable)
        if vtable_size < 4 or vtable_size % 2 or vtable + vtable_size > end:
            raise ValueError(f"the vtable at byte {vtable} has {vtable_size} bytes")
        if size < 4 or place + size > end:
            raise ValueError(f"the table {name or ''} at byte {place} has {size} bytes")
        self._read(size)
        return struct.unpack_from(f"<{vtable_size // 2 - 2}H", self.data, vtable + 4), size

    def _follow(self, place: int) -> int:
        """The place that the offset at a place means."""
        if place + 4 > len(self.data):
            raise ValueError(f"the offset at byte {place} is not inside it")
        target = place + _OFFSET.unpack_from(self.data, place)[0]
        if target == place:
            raise ValueError(f"the offset at byte {place} is 0")
        return target

    def _vector(self, place: int, size: int) -> int:
        """Checks a vector; returns the number of its items."""
        end = len(self.data)
        if place % 4 or place + 4 > end:
            raise ValueError(f"the vector at byte {place} is not inside it")
        count = _OFFSET.unpack_from(self.data, place)[0]
        if place + 4 + count * size > end or (count and (place + 4) % min(size, 8)):
            raise ValueError(f"the vector of {count} items at byte {place} is not inside it")
        self._read(4 + count * size)
        return count

    def _string(self, place: int) -> None:
        length = self._vector(place, 1)
        self.text += length
        if self.text > MOST_TEXT:
            raise ValueError(f"it has more than {MOST_TEXT:,} bytes of text")
        last = place + 4 + length
        if last >= len(self.data) or self.data[last]:
            raise ValueError(f"the string at byte {place} has no end")

    def _count_items(self, place: int) -> None:
        self.items += _OFFSET.unpack_from(self.data, place)[0]
        if self.items > MOST_ITEMS:
            raise ValueError(f"it has vectors of more than {MOST_ITEMS:,} items")

    def _read(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise ValueError("it refers to the same parts too often")
