"""Tests of join.py: the joined model computes the same as its parts, one after the other."""

import numpy as np
from absl.testing import absltest, parameterized

import imprinting.schema.tflite as schema
from imprinting.tflite import inference, join, model_file, model_graph
from imprinting.tflite.inference import Kernels
from transforms.conversion import testing

_TYPES = schema.TensorType
_INT8, _UINT8 = _TYPES.INT8, _TYPES.UINT8
# Scale and zero point in int8 of what the first model gives.
_SCALE, _ZERO_POINT = 0.25, -10


def model(operator, tensors, inputs, options=None):
    """A model of one operator, with metadata, whose last tensor is its output.

    Args:
      operator: its name in the schema.
      tensors: name, type, shape, (scale, zero point) or None, and values or None, of each.
      inputs: those of the operator; the first is the model's.
      options: the operator's, an object of the schema.
    """
    buffers, made = [schema.BufferT()], []
    for name, type_, shape, quanta, values in tensors:
        if values is not None:
            data = np.frombuffer(values.tobytes(), np.uint8)
            buffers.append(schema.BufferT(data=data))
        quantization = None
        if quanta is not None:
            quantization = schema.QuantizationParametersT(scale=[quanta[0]], zeroPoint=[quanta[1]])
        made.append(
            schema.TensorT(
                name=name,
                type=type_,
                shape=shape,
                quantization=quantization,
                buffer=0 if values is None else len(buffers) - 1,
            )
        )
    code = getattr(schema.BuiltinOperator, operator)
    made_operator = schema.OperatorT(inputs=inputs, outputs=[len(made) - 1])
    if options is not None:
        made_operator.builtinOptionsType = getattr(
            schema.BuiltinOptions, type(options).__name__.removesuffix("T")
        )
        made_operator.builtinOptions = options
    subgraph = schema.SubGraphT(
        tensors=made, operators=[made_operator], inputs=[0], outputs=[len(made) - 1]
    )
    buffers.append(schema.BufferT(data=np.frombuffer(b"notes", np.uint8)))
    whole = schema.ModelT(
        version=3,
        operatorCodes=[
            schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code, version=1)
        ],
        subgraphs=[subgraph],
        buffers=buffers,
        description=operator.encode(),
        metadata=[schema.MetadataT(name=b"notes", buffer=len(buffers) - 1)],
    )
    return model_file.parse(model_file.serialise(whole))


def first(type_=_INT8):
    """Takes [1, 2, 2, 1] and gives [1, 4]."""
    quanta = (_SCALE, _ZERO_POINT if type_ == _INT8 else 128 + _ZERO_POINT)
    return model(
        "RESHAPE",
        [
            (b"images", type_, [1, 2, 2, 1], quanta, None),
            (b"shape", _TYPES.INT32, [2], None, np.array([1, 4], np.int32)),
            (b"flat", type_, [1, 4], quanta, None),
        ],
        [0, 1],
    )


def second(shape=(1, 4), quanta=(_SCALE, 128 + _ZERO_POINT), type_=_UINT8):
    """Takes [1, 4], and gives its products with two vectors, without a bias."""
    vectors = np.array([[2, 0, 1, 3], [1, 1, 0, 2]], np.uint8)
    return model(
        "FULLY_CONNECTED",
        [
            (b"flat", type_, [*shape], quanta, None),
            (b"vectors", _UINT8, [2, 4], (1.0, 1), vectors),
            (b"products", _UINT8, [1, 2], (1.0, 100), None),
        ],
        [0, 1, -1],
        schema.FullyConnectedOptionsT(),
    )


def run(tflite_model, values):
    (results,) = inference.run(tflite_model, values, kernels=Kernels.REFERENCE)
    return results


class JoinTest(parameterized.TestCase):
    _VALUES = np.random.default_rng(1).integers(-128, 128, [20, 2, 2, 1]).astype(np.int8)

    def test_computes_one_after_the_other(self):
        joined = model_file.parse(model_file.serialise(join.join(first(), second())))
        products = run(joined, self._VALUES)
        flat = run(first(), self._VALUES)
        np.testing.assert_array_equal(flat, self._VALUES.reshape([20, 4]))
        np.testing.assert_array_equal(
            products, run(second(), (flat.astype(np.int16) + 128).astype(np.uint8))
        )
        # With the real numbers.
        real = _SCALE * (flat.astype(np.float64) - _ZERO_POINT)
        expected = real @ np.array([[1, -1, 0, 2], [0, 0, -1, 1]]).T + 100
        np.testing.assert_allclose(products, np.clip(expected, 0, 255), atol=0.51)
        self.assertGreater(np.ptp(products), 50)

    def test_quantize_changes_only_the_type(self):
        # The second model's own range does not matter.
        for quanta in ((_SCALE, 118), (0.5, 7)):
            graph = model_graph.graph(join.join(first(), second(quanta=quanta)))
            names = [op.name for op in graph.operators]
            self.assertEqual(names, ["RESHAPE", "QUANTIZE", "FULLY_CONNECTED"])
            self.assertEqual([op.index for op in graph.operators], [0, 1, 2])
            (before,), (after,) = graph.operators[1].inputs, graph.operators[1].outputs
            self.assertEqual((before.type, after.type), ("INT8", "UINT8"))
            self.assertEqual((before.scales, before.zero_points), ((_SCALE,), (_ZERO_POINT,)))
            self.assertEqual((after.scales, after.zero_points), ((_SCALE,), (118,)))
            self.assertEqual(graph.operators[0].outputs, (before,))
            self.assertEqual(graph.operators[2].input(0), after)
            self.assertIsNone(graph.operators[2].input(2))
            self.assertEqual([t.name for t in graph.inputs + graph.outputs], ["images", "products"])

    def test_metadata_is_left_out_and_the_parts_do_not_change(self):
        parts = first(), second()
        before = [model_file.serialise(part) for part in parts]
        joined = join.join(*parts)
        self.assertEqual([model_file.serialise(part) for part in parts], before)
        self.assertEmpty(joined.metadata or ())
        data = model_file.serialise(joined)
        self.assertNotIn(b"notes", data)
        self.assertEqual(model_file.serialise(join.join(*parts)), data)
        # Each tensor without values has buffer 0.
        buffers = [tensor.buffer for tensor in joined.subgraphs[0].tensors]
        self.assertEqual(sorted(buffers), [0, 0, 0, 0, 1, 2])

    @parameterized.parameters(
        ({}, {"shape": (1, 5)}, r"takes uint8 \[1, 4\], .*, got int8 \[1, 4\], scale 0.25, .*5\]"),
        ({}, {"type_": _INT8}, "after a first that gives int8, got int8 .* and int8"),
        ({"type_": _UINT8}, {}, "after a first that gives int8, got uint8 .* and uint8"),
    )
    def test_parts_that_do_not_fit(self, one, other, expected):
        with self.assertRaisesRegex(ValueError, expected):
            join.join(first(**one), second(**other))


class ConnectTest(absltest.TestCase):
    _VALUES = np.arange(256, dtype=np.uint8).reshape([64, 2, 2, 1])

    def test_computes_one_after_the_other_without_an_operator_between(self):
        parts = first(_UINT8), second()
        before = [model_file.serialise(part) for part in parts]
        joined = model_file.parse(model_file.serialise(join.connect(*parts)))
        self.assertEqual([model_file.serialise(part) for part in parts], before)
        graph = model_graph.graph(joined)
        self.assertEqual([op.name for op in graph.operators], ["RESHAPE", "FULLY_CONNECTED"])
        self.assertEqual(graph.operators[0].outputs[0], graph.operators[1].input(0))
        self.assertIsNone(graph.operators[1].input(2))
        # The second model's own input is gone.
        self.assertLen(graph.tensors, 5)
        np.testing.assert_array_equal(
            run(joined, self._VALUES), run(second(), self._VALUES.reshape([64, 4]))
        )

    def test_parts_that_do_not_fit(self):
        for one, other in (
            (first(), second()),
            (first(_UINT8), second(shape=(1, 5))),
            (first(_UINT8), second(quanta=(0.5, 118))),
            (first(_UINT8), second(quanta=(_SCALE, 117))),
        ):
            with self.assertRaisesRegex(ValueError, r"what the first gives, .* \[1, 4\], .*, got"):
                join.connect(one, other)


class WithUint8InputTest(absltest.TestCase):
    _VALUES = np.arange(256, dtype=np.uint8).reshape([64, 2, 2, 1])

    def test_computes_the_same(self):
        changed = model_file.parse(model_file.serialise(join.with_uint8_input(first())))
        signed = (self._VALUES.astype(np.int16) - 128).astype(np.int8)
        np.testing.assert_array_equal(run(changed, self._VALUES), run(first(), signed))

    def test_input(self):
        original = first()
        before = model_file.serialise(original)
        graph = model_graph.graph(join.with_uint8_input(original))
        self.assertEqual(model_file.serialise(original), before)
        self.assertEqual([op.name for op in graph.operators], ["QUANTIZE", "RESHAPE"])
        (image,) = graph.inputs
        self.assertEqual((image.name, image.type, image.shape), ("input", "UINT8", (1, 2, 2, 1)))
        self.assertEqual((image.scales, image.zero_points), ((_SCALE,), (118,)))
        signed = graph.operators[0].outputs[0]
        self.assertEqual((signed.name, signed.type), ("input_int8", "INT8"))
        self.assertEqual((signed.scales, signed.zero_points), ((_SCALE,), (_ZERO_POINT,)))
        self.assertEqual(graph.operators[1].input(0), signed)
        self.assertEqual([tensor.name for tensor in graph.outputs], ["flat"])

    def test_both(self):
        joined = join.join(join.with_uint8_input(first()), second())
        joined = model_file.parse(model_file.serialise(joined))
        np.testing.assert_array_equal(
            run(joined, self._VALUES), run(second(), self._VALUES.reshape([64, 4]))
        )
        inference.verify(model_file.serialise(joined))

    def test_int8_body_of_a_classifier(self):
        graph = model_graph.graph(model_file.parse(testing.small(int8=True).model))
        self.assertEqual([op.index for op in graph.named("QUANTIZE")], [0, 7])
        self.assertEqual([op.version for op in graph.named("QUANTIZE")], [2, 2])


if __name__ == "__main__":
    absltest.main()
