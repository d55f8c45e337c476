"""Tests of the check of a FlatBuffer's structure."""

import random
import struct
from unittest import mock

from absl.testing import absltest, parameterized

from imprinting.tflite import flatbuffer_check, flatbuffer_layouts, model_file, node_testing
from imprinting.tflite.flatbuffer_check import (
    Bytes,
    Items,
    String,
    Strings,
    Table,
    Tables,
    Union,
)

_LAYOUTS = {
    "Root": (4, String(), Items(4), Tables("Leaf"), Strings(), 1, Union({1: "Leaf"}), Bytes()),
    "Leaf": (2, Table("Leaf")),
}


def table(*fields, slots):
    """A table of fields of 4 bytes at the start of a file, and its vtable after it.

    Args:
      *fields: values; an offset is given from the start of the file.
      slots: for each field of the layout, the index of the value, or None.
    """
    place, size = 4, 4 + 4 * len(fields)
    vtable = place + size
    places = [0 if slot is None else 4 + 4 * slot for slot in slots]
    head = struct.pack("<Ii", place, place - vtable)
    body = struct.pack(f"<{len(fields)}I", *fields)
    tail = struct.pack(f"<HH{len(places)}H", 4 + 2 * len(places), size, *places)
    return head + body + tail + bytes(-len(tail) % 4)


def check(data):
    flatbuffer_check.check(data, _LAYOUTS, "Root")


class FlatbufferCheckTest(parameterized.TestCase):
    def assert_refused(self, data, expected):
        with self.assertRaisesRegex(ValueError, expected):
            check(data)

    def test_numbers(self):
        check(table(7, slots=[0]))
        check(table(slots=[None, None]))
        # A later version of the schema may have more fields.
        check(table(7, 9, slots=[0, *[None] * 7, 1]))

    @parameterized.parameters(
        ("", "the offset at byte 0 is not inside it"),
        ("00000000", "the offset at byte 0 is 0"),
        ("ffffff7f", "the table Root at byte 2147483647 is not inside it"),
        ("05000000" + "00" * 8, "the table Root at byte 5 is not inside it"),
        ("04000000" + "00010000", "the vtable at byte -252 is not inside it"),
        ("04000000" + "00ffffff", "the vtable at byte 260 is not inside it"),
        ("04000000" + "fbffffff" + "00" * 20, "the vtable at byte 9 is not inside it"),
        ("04000000" + "fcffffff" + "0000" + "0400", "the vtable at byte 8 has 0 bytes"),
        ("04000000" + "fcffffff" + "0500" + "0400", "the vtable at byte 8 has 5 bytes"),
        ("04000000" + "fcffffff" + "0600" + "0400", "the vtable at byte 8 has 6 bytes"),
        ("04000000" + "fcffffff" + "0400" + "0000", "the table Root at byte 4 has 0 bytes"),
        ("04000000" + "fcffffff" + "0400" + "0900", "the table Root at byte 4 has 9 bytes"),
    )
    def test_places(self, text, expected):
        self.assert_refused(bytes.fromhex(text), expected)

    def test_fields_outside_their_table(self):
        for place in (2, 5, 6, 8, 4096):
            data = bytearray(table(7, slots=[0]))
            data[16:18] = struct.pack("<H", place)
            self.assert_refused(bytes(data), "a field of Root at byte")

    def test_strings(self):
        start = table(0, slots=[None, 0])
        for text, expected in (
            (b"\3\0\0\0abc\0", None),
            (b"\0\0\0\0\0", None),
            (b"\3\0\0\0abcd", "the string at byte 20 has no end"),
            (b"\3\0\0\0abc", "the string at byte 20 has no end"),
            (b"\xff\xff\xff\xffabc\0", "the vector of 4294967295 items at byte 20"),
            (b"\3\0", "the vector at byte 20 is not inside it"),
        ):
            data = bytearray(start + text)
            data[8:12] = struct.pack("<I", len(start) - 8)
            if expected is None:
                check(bytes(data))
            else:
                self.assert_refused(bytes(data), expected)

    def test_union_of_an_unknown_kind(self):
        # The field of the kind has one byte, the first of a number of 4.
        data = table(1, 0, slots=[None] * 5 + [0, 1])
        leaf = struct.pack("<iHHI", -4, 6, 8, 0)
        data = bytearray(data + leaf)
        data[12:16] = struct.pack("<I", len(data) - len(leaf) - 12)
        leaf_slots = data[:]
        leaf_slots[-4:-2] = struct.pack("<H", 4)
        check(bytes(leaf_slots))
        data[8] = 2
        self.assert_refused(bytes(data), "Root has a part of an unknown kind, 2")

    def test_the_same_part_many_times(self):
        # A vector of offsets, all of which lead to one table with a large vtable.
        start = table(0, slots=[None, None, None, 0])
        count = 5000
        vector = struct.pack("<I", count)
        leaf_at = len(start) + 4 + 4 * count
        offsets = b"".join(
            struct.pack("<I", leaf_at - len(start) - 4 - 4 * i) for i in range(count)
        )
        leaf = struct.pack("<iHH", -4, 4, 4 + 4000) + bytes(5000)
        data = bytearray(start + vector + offsets + leaf)
        data[8:12] = struct.pack("<I", len(start) - 8)
        self.assert_refused(bytes(data), "it refers to the same parts too often")
        with mock.patch.object(flatbuffer_check, "MOST_TABLES", 20):
            self.assert_refused(bytes(data), "it has more than 20 tables")
        with mock.patch.object(flatbuffer_check, "MOST_ITEMS", 4999):
            self.assert_refused(bytes(data), "it has vectors of more than 4,999 items")

    def test_a_table_cannot_contain_itself(self):
        leaf = struct.pack("<iI", -8, 0) + struct.pack("<HHHH", 8, 8, 0, 4)
        data = bytearray(table(0, slots=[None] * 3 + [0]) + struct.pack("<II", 1, 4) + leaf)
        data[8:12] = struct.pack("<I", len(data) - len(leaf) - 8 - 8)
        # Offsets lead forward, so only an offset of 0 could lead back.
        self.assert_refused(bytes(data), "the offset at byte 36 is 0")

    def test_models(self):
        data = model_file.serialise(node_testing.classifier("CONV_2D", "INT8"))
        flatbuffer_check.check(data, flatbuffer_layouts.MODEL, "Model")
        flatbuffer_check.check(data + bytes(99), flatbuffer_layouts.MODEL, "Model")
        with mock.patch.object(flatbuffer_check, "MOST_TEXT", 10):
            with self.assertRaisesRegex(ValueError, "it has more than 10 bytes of text"):
                flatbuffer_check.check(data, flatbuffer_layouts.MODEL, "Model")
        for size in range(8, len(data), 7):
            with self.assertRaises(ValueError):
                flatbuffer_check.check(data[:size], flatbuffer_layouts.MODEL, "Model")

    def test_damage_is_at_most_a_value_error(self):
        data = model_file.serialise(node_testing.classifier("CONV_2D", "INT8"))
        chosen, refused = random.Random(1), 0
        for _ in range(3000):
            damaged = bytearray(data)
            at = chosen.randrange(len(data) // 4) * 4
            damaged[at : at + 4] = struct.pack("<I", chosen.choice((0, 1, 2**31, 9999, 2**32 - 4)))
            try:
                flatbuffer_check.check(bytes(damaged), flatbuffer_layouts.MODEL, "Model")
            except ValueError:
                refused += 1
        self.assertGreater(refused, 1000)


if __name__ == "__main__":
    absltest.main()
