"""Tests of reading, changing and writing .tflite files."""

import os
import random
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import imprinting.schema.tflite as schema
from imprinting.tflite import flatbuffer_check, model_file, model_graph
from transforms.conversion import testing


def small_model():
    return model_file.parse(testing.small().model)


class ParseTest(parameterized.TestCase):
    @parameterized.parameters(b"", b"noise", b"noise that is longer", b"\x1c\0\0\0TFL2" + bytes(40))
    def test_bytes_of_something_else(self, data):
        with self.assertRaisesRegex(ValueError, "expected a .tflite, whose bytes 4 to 8 are TFL3"):
            model_file.parse(data)

    def test_truncated_anywhere(self):
        data = testing.small().model
        for size in [*range(8, len(data), 97), len(data) - 1]:
            with self.assertRaisesRegex(ValueError, f"got {size} bytes that are truncated"):
                model_file.parse(data[:size])

    def test_damaged_anywhere_is_at_most_a_value_error(self):
        data = testing.small().model
        chosen = random.Random(1)
        refused = 0
        for _ in range(500):
            damaged = bytearray(data)
            damaged[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
            try:
                model_file.serialise(model_file.parse(bytes(damaged)))
            except ValueError:
                refused += 1
        self.assertGreater(refused, 50)

    def test_large_files(self):
        data = testing.small().model
        with (
            mock.patch.object(model_file, "MOST_BYTES", 1000),
            self.assertRaisesRegex(ValueError, "at most 1,000 bytes, got .*; quantise it, or name"),
        ):
            model_file.parse(data)

    def test_files_that_take_long_to_read(self):
        for name in ("MOST_TABLES", "MOST_ITEMS", "MOST_TEXT"):
            with (
                mock.patch.object(flatbuffer_check, name, 20),
                self.assertRaisesRegex(ValueError, "or damaged .* more than 20 .*; create or down"),
            ):
                model_file.parse(testing.small().model)

    def test_bytes_after_the_model_are_ignored(self):
        data = testing.small().model
        self.assertEqual(model_file.serialise(model_file.parse(data + bytes(100))), data)

    def assert_refused(self, model, expected):
        with self.assertRaisesRegex(ValueError, expected):
            model_file.parse(model_file.serialise(model))

    def test_compiled_for_the_edge_tpu(self):
        # Completely, or except for the last operators, which run on the processor.
        for kept in (0, 1, 4):
            data = testing.compiled(testing.small().model, kept=kept)
            with self.assertRaisesRegex(ValueError, "before the Edge TPU's compiler, got one comp"):
                model_file.parse(data)

    def test_more_than_one_subgraph(self):
        model = small_model()
        model.subgraphs = model.subgraphs * 2
        self.assert_refused(model, "expected a .tflite of one subgraph, got 2")

    @parameterized.parameters(
        {},
        {"operatorCodes": [schema.OperatorCodeT()], "buffers": [schema.BufferT()]},
        {"subgraphs": [schema.SubGraphT()], "buffers": [schema.BufferT()]},
        {
            "operatorCodes": [schema.OperatorCodeT()],
            "buffers": [schema.BufferT()],
            "subgraphs": [schema.SubGraphT()],
        },
    )
    def test_missing_parts(self, **parts):
        # The interpreter itself would crash at the first.
        self.assert_refused(schema.ModelT(version=3, **parts), "truncated or damaged .*has no")

    @parameterized.parameters(
        ("an operator code", lambda m: vars(m.subgraphs[0].operators[1]).update(opcodeIndex=99)),
        ("a buffer", lambda m: vars(m.subgraphs[0].tensors[1]).update(buffer=999)),
        ("a tensor", lambda m: vars(m.subgraphs[0].operators[1]).update(inputs=[0, 500])),
        ("an output", lambda m: vars(m.subgraphs[0]).update(outputs=[-1])),
        ("metadata", lambda m: vars(m.metadata[0]).update(buffer=999)),
        ("a scale", lambda m: m.subgraphs[0].tensors[0].quantization.scale.__setitem__(0, -1)),
        ("a shape", lambda m: m.subgraphs[0].tensors[2].shape.__setitem__(0, 999)),
        ("weights", lambda m: vars(m.buffers[1]).update(offset=2, size=100)),
    )
    def test_inconsistent_models(self, _, damage):
        model = small_model()
        damage(model)
        self.assert_refused(model, "damaged|expected a .tflite that contains its weights")

    def test_errors_of_read_name_the_file(self):
        path = os.path.join(self.create_tempdir().full_path, "a.tflite")
        with self.assertRaises(FileNotFoundError):
            model_file.read(path)
        with open(path, "wb") as file:
            file.write(b"noise")
        with self.assertRaisesRegex(ValueError, f"{path}: expected a .tflite"):
            model_file.read(path)
        with open(path, "wb") as file:
            file.write(testing.small().model)
        self.assertLen(model_graph.graph(model_file.read(path)).operators, 9)


class SerialiseTest(parameterized.TestCase):
    @parameterized.parameters(True, False)
    def test_buffers_are_aligned(self, quantise):
        for model in (testing.small(quantise=quantise).model, testing.small().head):
            base = np.frombuffer(model, np.uint8).__array_interface__["data"][0]
            read = schema.Model.GetRootAs(model)
            places = []
            for i in range(read.BuffersLength()):
                if read.Buffers(i).DataLength():
                    data = read.Buffers(i).DataAsNumpy()
                    places.append(data.__array_interface__["data"][0] - base)
            self.assertGreater(len(places), 4)
            self.assertEqual([place % 16 for place in places], [0] * len(places))

    def test_parsing_and_serialising_gives_the_same_bytes(self):
        data = testing.small().model
        self.assertEqual(data[4:8], b"TFL3")
        self.assertEqual(model_file.serialise(model_file.parse(data)), data)

    def test_values_are_the_same_after_a_round_trip(self):
        model = small_model()
        again = model_file.parse(model_file.serialise(model))
        self.assertEqual(model_graph.graph(again), model_graph.graph(model))
        for before, after in zip(model.buffers, again.buffers, strict=True):
            np.testing.assert_array_equal(before.data, after.data)


class ChangeTest(absltest.TestCase):
    def test_arrays_can_be_changed_in_place(self):
        data = testing.small().model
        before = bytes(data)
        model = model_file.parse(data)
        bias = model_graph.graph(model).operators[5].inputs[2]
        model.subgraphs[0].tensors[bias.index].quantization.zeroPoint[0] = 7
        again = model_graph.graph(model_file.parse(model_file.serialise(model)))
        self.assertEqual(again.operators[5].inputs[2].zero_points, (7,))
        self.assertEqual(data, before)


class PrunedTest(absltest.TestCase):
    def test_removes_unused_parts(self):
        model = small_model()
        before = model_graph.graph(model)
        model.buffers.append(schema.BufferT(data=np.zeros([7], np.uint8)))
        model.operatorCodes.insert(0, schema.OperatorCodeT(builtinCode=5))
        for op in model.subgraphs[0].operators:
            op.opcodeIndex += 1
        model.subgraphs[0].tensors.append(schema.TensorT(name=b"unused", shape=[1], buffer=0))
        pruned = model_file.pruned(model)
        self.assertEqual(model_graph.graph(pruned), before)
        self.assertEqual(model_file.serialise(pruned), testing.small().model)
        # The model itself is not changed.
        self.assertEqual(model.subgraphs[0].tensors[-1].name, b"unused")


if __name__ == "__main__":
    absltest.main()
