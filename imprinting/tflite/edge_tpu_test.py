"""Tests of what is predicted of the Edge TPU's compiler."""

import numpy as np
from absl.testing import absltest, parameterized

import imprinting.schema.tflite as schema
from imprinting.tflite import edge_tpu, edge_tpu_rules, model_file, model_graph
from transforms.conversion import testing


def parsed(data):
    return model_file.parse(data)


def tensor(model, op, *, input=None, output=None):  # noqa: A002
    """A tensor of the schema, by its place in an operator."""
    operator = model.subgraphs[0].operators[op]
    index = operator.inputs[input] if input is not None else operator.outputs[output]
    return model.subgraphs[0].tensors[index]


def rules_of(model):
    return [verdict.rule for verdict in edge_tpu.predict(model).verdicts]


class PredictTest(parameterized.TestCase):
    @parameterized.product(int8=[True, False])
    def test_an_extractor_is_mapped_completely(self, int8):
        model = parsed(testing.small(int8=int8).extractor)
        found = edge_tpu.predict(model)
        self.assertEqual(found.num_mapped, len(model.subgraphs[0].operators))
        self.assertEqual(found.unmapped, [])
        self.assertEqual(found.refusal, "")
        self.assertEqual(found.runtime, 13 if int8 else 0)
        self.assertFalse(found.hides_embedding)
        constants = [t for t in model_graph.graph(model).tensors if t.constant]
        sizes = {"INT32": 4}
        expected = sum(int(np.prod(t.shape)) * sizes.get(t.type, 1) for t in constants)
        # Equal constants are stored once.
        self.assertBetween(found.parameter_bytes, expected / 2, expected)
        self.assertTrue(found.fits)

    def test_the_complete_model_hides_its_embedding(self):
        found = edge_tpu.predict(parsed(testing.small().model))
        self.assertTrue(found.hides_embedding)
        (reshape,) = (v for v in found.verdicts if v.operator.name == "RESHAPE")
        self.assertTrue(reshape.mapped)
        self.assertIn("if its tensors are large", reshape.why)

    def test_nothing_is_mapped_after_the_first_operator_on_the_cpu(self):
        model = parsed(testing.small().extractor)
        tensor(model, 1, output=0).type = schema.TensorType.FLOAT32
        found = edge_tpu.predict(model)
        self.assertEqual(rules_of(model), ["", "type", "type", "position"])
        self.assertEqual((found.num_mapped, len(found.unmapped)), (1, 3))
        self.assertIn("float32 [1, 16, 16, 8]", found.verdicts[1].why)
        self.assertIn("first such operator", found.verdicts[3].why)
        self.assertLess(
            found.parameter_bytes,
            edge_tpu.predict(parsed(testing.small().extractor)).parameter_bytes,
        )

    def test_sizes_that_are_not_constant(self):
        model = parsed(testing.small().extractor)
        tensor(model, 2, output=0).shapeSignature = np.array([-1, 1, 1, 8], np.int32)
        found = edge_tpu.predict(model)
        self.assertEqual(rules_of(model), ["", "", "dynamic", "dynamic"])
        self.assertEndsWith(found.verdicts[2].why, "found uint8 [-1, 1, 1, 8]")

    def test_ranks(self):
        model = parsed(testing.small().extractor)
        tensor(model, 2, output=0).shape = np.array([2, 1, 1, 8], np.int32)
        self.assertEqual(rules_of(model), ["", "", "rank", "rank"])

    def test_parameters_that_are_computed(self):
        model = parsed(testing.small().extractor)
        model.subgraphs[0].operators[1].inputs[1] = model.subgraphs[0].operators[0].outputs[0]
        self.assertEqual(rules_of(model)[1], "constant")

    def test_operations_that_the_chip_lacks_and_their_limits(self):
        model = parsed(testing.small().extractor)
        codes = model.operatorCodes
        pool = model.subgraphs[0].operators[2]
        pool.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU
        found = edge_tpu.predict(model).verdicts[2]
        self.assertEqual(
            (found.rule, found.why), ("limit", "it needs no fused activation function")
        )
        code = codes[pool.opcodeIndex]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ABS
        self.assertEqual(edge_tpu.predict(model).verdicts[2].rule, "operation")
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = b"other"
        self.assertEqual(edge_tpu.predict(model).verdicts[2].rule, "operation")

    def test_float_models_are_refused(self):
        found = edge_tpu.predict(parsed(testing.small(quantise=False).extractor))
        self.assertRegex(found.refusal, "quantised to 8 bits, got .* float32; .*issues/213")
        self.assertEqual(found.num_mapped, 0)
        self.assertEqual({verdict.rule for verdict in found.verdicts}, {"type"})
        self.assertEqual((found.parameter_bytes, found.runtime), (0, 0))

    def test_a_float_input_does_not_end_what_is_mapped(self):
        model = parsed(testing.small(int8=True).extractor)
        image = tensor(model, 0, input=0)
        image.type, image.quantization = schema.TensorType.FLOAT32, None
        self.assertEqual(rules_of(model), ["float_input"] + [""] * 7)

    def test_memory(self):
        model = parsed(testing.small().extractor)
        kernel = tensor(model, 3, input=1)
        room = edge_tpu_rules.ON_CHIP_BYTES
        model.buffers[kernel.buffer].data = np.zeros([room + 1], np.uint8)
        self.assertFalse(edge_tpu.predict(model).fits)

    def test_command(self):
        self.assertEqual(
            edge_tpu.command("a_extractor.tflite"), "edgetpu_compiler a_extractor.tflite"
        )
        self.assertEqual(edge_tpu.command("my file"), "edgetpu_compiler 'my file'")


if __name__ == "__main__":
    absltest.main()
