"""Tests of the view of TFLite models."""

import numpy as np
from absl.testing import absltest

import imprinting.schema.tflite as schema
from imprinting.tflite import model_file, model_graph, product_rules
from transforms.conversion import testing


def small_model():
    return model_file.parse(testing.small().model)


class GraphTest(absltest.TestCase):
    def test_custom_operators(self):
        model = small_model()
        code = model.operatorCodes[model.subgraphs[0].operators[-1].opcodeIndex]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = b"MySoftmax"
        self.assertEqual(model_graph.graph(model).operators[-1].name, "CUSTOM MySoftmax")
        (found,) = (v for v in product_rules.check(model) if v.rule == "output")
        self.assertIn("got the output of CUSTOM MySoftmax", str(found))

    def test_operators_and_tensors(self):
        graph = model_graph.graph(small_model())
        self.assertEqual(
            [op.name for op in graph.operators],
            ["CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "CONV_2D", "L2_NORMALIZATION"]
            + ["CONV_2D", "MUL", "RESHAPE", "SOFTMAX"],
        )
        self.assertEqual({op.version for op in graph.operators}, {1})
        (image,) = graph.inputs
        self.assertEqual((image.name, image.type), ("input", "UINT8"))
        self.assertEqual((image.shape, image.constant), ((1, 32, 32, 3), False))
        self.assertEqual((image.scales, image.zero_points), ((1 / 128,), (128,)))
        kernel, bias = graph.operators[0].inputs[1:]
        self.assertEqual((kernel.constant, kernel.shape), (True, (8, 3, 3, 3)))
        self.assertEqual((bias.type, bias.zero_points), ("INT32", (0,)))
        shape = graph.operators[7].input(1)
        self.assertEqual((shape.type, shape.scales, shape.zero_points), ("INT32", (), ()))
        self.assertIsNone(graph.operators[8].input(1))

    def test_producers(self):
        graph = model_graph.graph(small_model())
        self.assertEqual(graph.producer(graph.outputs[0]), graph.operators[-1])
        self.assertIsNone(graph.producer(graph.inputs[0]))
        self.assertIsNone(graph.producer(None))
        self.assertLen(graph.named("CONV_2D"), 3)

    def test_dequantise(self):
        tensor = model_graph.graph(small_model()).inputs[0]
        np.testing.assert_array_equal(
            tensor.dequantise(np.array([0, 128, 255], np.uint8)), [-1, 0, 127 / 128]
        )
        floats = model_graph.graph(model_file.parse(testing.small(quantise=False).model))
        np.testing.assert_array_equal(floats.inputs[0].dequantise(np.array([0.5])), [0.5])

    def test_values_of_constants(self):
        model = model_file.parse(testing.small().model)
        found = model_graph.graph(model)
        kernel = found.operators[0].input(1)
        values = model_graph.values(model, kernel)
        self.assertEqual((values.shape, values.dtype), (kernel.shape, np.uint8))
        shape = found.named("RESHAPE")[0].input(1)
        np.testing.assert_array_equal(model_graph.values(model, shape), [1, testing.CLASSES])
        model = model_file.parse(testing.small(quantise=False).model)
        kernel = model_graph.graph(model).operators[0].input(1)
        with self.assertRaisesRegex(ValueError, "of uint8, int8, int32, got float32"):
            model_graph.values(model, kernel)

    def test_tensors_as_text(self):
        graph = model_graph.graph(small_model())
        self.assertEqual(
            str(graph.inputs[0]), "uint8 [1, 32, 32, 3], scale 0.0078125, zero point 128"
        )
        self.assertEqual(str(graph.operators[7].input(1)), "int32 [2]")


if __name__ == "__main__":
    absltest.main()
