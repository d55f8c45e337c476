"""Tests that the layouts are those of the generated code."""

import functools
import inspect
import re

import flatbuffers
from absl.testing import absltest, parameterized

import imprinting.schema.metadata as form
import imprinting.schema.tflite as schema
from imprinting.tflite import flatbuffer_layouts
from imprinting.tflite.flatbuffer_check import (
    Bytes,
    Items,
    String,
    Strings,
    Table,
    Tables,
    Union,
)

_FIELD = re.compile(
    r"    def (\w+)\(self(?:, j)?\):\n.*self\._tab\.Offset\((\d+)\)\)\n((?:        .*\n| {8,}\n)*)"
)
_SIZES = {"Int8": 1, "Uint8": 1, "Bool": 1, "Int32": 4, "Uint32": 4, "Float32": 4}
_SIZES |= {"Int64": 8, "Uint64": 8, "Uint16": 2}


_CLASS = re.compile(r"^class (\w+)\(object\):\n(.*?)(?=^class |\Z)", re.DOTALL | re.MULTILINE)


@functools.cache
def sources(module):
    """The source of each class, by its name."""
    return dict(_CLASS.findall(inspect.getsource(module)))


def generated(module, name):
    """The fields of a table in the generated code, by place: a number's size, or a kind."""
    found = {}
    for accessor, slot, body in _FIELD.findall(sources(module)[name]):
        if accessor.endswith(("AsNumpy", "Length", "IsNone")):
            continue
        place = int(slot) // 2 - 2
        numbers = [n for n in re.findall(r"number_types\.(\w+)Flags", body) if n in _SIZES]
        made = re.findall(r"obj = (\w+)\(\)", body)
        if "Vector(o)" in body:
            if made:
                kind = Tables(made[0])
            elif "String(" in body:
                kind = Strings()
            else:
                kind = Items(_SIZES[numbers[0]])
        elif made and made[0] != "Table":
            kind = Table(made[0])
        elif "String(" in body:
            kind = String()
        elif "Union(" in body:
            kind = Union
        else:
            kind = _SIZES[numbers[0]]
        found[place] = kind
    return found


class FlatbufferLayoutsTest(parameterized.TestCase):
    @parameterized.parameters(
        *((schema, name, layout) for name, layout in flatbuffer_layouts.MODEL.items()),
        *((form, name, layout) for name, layout in flatbuffer_layouts.METADATA.items()),
    )
    def test_fields(self, module, name, layout):
        builder = flatbuffers.Builder()
        getattr(module, f"{name}Start")(builder)
        self.assertLen(builder.current_vtable, len(layout))
        for place, expected in generated(module, name).items():
            found = layout[place]
            if isinstance(found, Union):
                found = Union
            elif found == Bytes():
                found = Items(1)
            self.assertEqual(found, expected, msg=f"{name} {place}")

    def test_unions_have_all_kinds(self):
        for module, kinds, layouts, name in (
            (
                schema,
                schema.QuantizationDetails,
                flatbuffer_layouts.MODEL,
                "QuantizationParameters",
            ),
            (schema, schema.SparseIndexVector, flatbuffer_layouts.MODEL, "DimensionMetadata"),
            (form, form.ContentProperties, flatbuffer_layouts.METADATA, "Content"),
            (form, form.ProcessUnitOptions, flatbuffer_layouts.METADATA, "ProcessUnit"),
        ):
            expected = {v: k for k, v in vars(kinds).items() if isinstance(v, int) and v}
            for field in layouts[name]:
                if isinstance(field, Union):
                    self.assertEqual(dict(field.tables), expected)
            for kind in expected.values():
                self.assertTrue(hasattr(module, kind))

    def test_options_with_more_than_numbers_have_layouts(self):
        for name, number in vars(schema.BuiltinOptions).items():
            if not isinstance(number, int) or not number:
                continue
            fields = generated(schema, name).values()
            if not all(isinstance(kind, int) for kind in fields):
                self.assertIn(name, flatbuffer_layouts.MODEL)


if __name__ == "__main__":
    absltest.main()
