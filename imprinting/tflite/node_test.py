"""Tests of what the rules of operators share."""

import dataclasses

import numpy as np
from absl.testing import absltest

from imprinting.tflite import model_graph, node, node_testing


class NodeTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.model = node_testing.classifier("MEAN", "UINT8")
        self.nodes = node.nodes(self.model, model_graph.graph(self.model))

    def test_inputs(self):
        self.assertEqual(self.nodes[0].input(0).shape, (1, 8, 8, 3))
        with self.assertRaisesRegex(
            ValueError,
            r"^damaged .tflite: expected at least 3 inputs of MEAN \(operator 0\), got no input 2; "
            "create or download it again$",
        ):
            self.nodes[0].input(2)

    def test_constants(self):
        mean = self.nodes[0]
        self.assertEqual(mean.constants(mean.input(1)), [1, 2])
        with self.assertRaisesRegex(
            ValueError, "constant integers in t0 of MEAN .*, got computed ones"
        ):
            mean.constants(mean.input(0))

    def test_axis(self):
        self.assertEqual([self.nodes[0].axis(a, 3) for a in (0, 2, -1, -3)], [0, 2, 2, 0])
        for axis in (3, -4):
            with self.assertRaisesRegex(ValueError, f"an axis of 3 dimensions .*, got {axis};"):
                self.nodes[0].axis(axis, 3)

    def test_converted_constants_are_static(self):
        model = node_testing.classifier("DEQUANTIZE", "FLOAT32")
        convert, multiply, *_ = node.nodes(model, model_graph.graph(model))
        multiply.require_static(convert.output)
        with self.assertRaisesRegex(ValueError, "constant values of t0"):
            multiply.require_static(multiply.input(0))

    def test_types(self):
        mean = self.nodes[0]
        mean.require_activations(mean.input(0), mean.output)
        with self.assertRaisesRegex(ValueError, "FLOAT32 or UINT8 or INT8 for t1"):
            mean.require_activations(mean.input(1))
        real = dataclasses.replace(mean.output, type="FLOAT32")
        mean.require_activations(mean.input(0), real, same=False)
        with self.assertRaisesRegex(ValueError, "UINT8 for t2"):
            mean.require_activations(mean.input(0), real)

    def test_elements(self):
        self.assertEqual(node.elements(*self.nodes[0].operator.inputs, None), 194)

    def test_text_of_a_file_is_harmless(self):
        error = str(node.damaged("x\x1b[31m\ny", "z" * 1000))
        self.assertIn("expected x?[31m?y, got zzz", error)
        self.assertLess(len(error), 500)
        self.assertTrue(error.isprintable())

    def test_values(self):
        graph = self.model.subgraphs[0]
        data = self.model.buffers[graph.tensors[self.nodes[0].input(1).index].buffer].data
        np.testing.assert_array_equal(data.view(np.int32), [1, 2])


if __name__ == "__main__":
    absltest.main()
