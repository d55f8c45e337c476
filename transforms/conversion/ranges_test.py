"""Tests of ranges.py: lost ranges are found."""

import re

import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from transforms.conversion import convert, ranges, testing
from transforms.tflite import model_file


def fake_quant_nodes(graph: tf.GraphDef) -> list[tf.NodeDef]:
    """The fake-quant nodes of kernels and outputs, in order."""
    return [node for node in graph.node if node.op == "FakeQuantWithMinMaxVars"]


def scaled_range(graph: tf.GraphDef, name: str, factor: float) -> tf.GraphDef:
    """The graph with the range of one fake-quant node multiplied by a factor."""
    changed = tf.GraphDef()
    changed.CopyFrom(graph)
    (quant,) = (node for node in changed.node if node.name == name)
    for node in changed.node:
        if node.name in quant.input[1:3]:
            limit = tf.make_ndarray(node.attr["value"].tensor) * factor
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(limit))
    return changed


class RangesTest(parameterized.TestCase):
    def test_converted_model_has_the_graphs_ranges(self):
        small = testing.small()
        self.assertEqual(ranges.check(small.frozen, model_file.parse(small.model)), [])

    @parameterized.parameters(*range(11))
    def test_each_wrong_range_is_found(self, index):
        small = testing.small()
        nodes = fake_quant_nodes(small.folded)
        self.assertLen(nodes, 11)
        model = model_file.parse(
            convert.convert(scaled_range(small.folded, nodes[index].name, 1.01))
        )
        found = ranges.check(small.frozen, model)
        # The .tflite uses the range of the average pool's input for its output, and a fixed range
        # for the embedding.
        if index in (4, 7):
            self.assertEqual(found, [])
        else:
            self.assertLen(found, 1)
            self.assertRegex(
                found[0],
                f"^(kernels|outputs): expected scale .* the range of {re.escape(nodes[index].name)}"
                " in the graph, got [^(]*$",
            )

    def test_lost_ranges_of_kernels(self):
        small = testing.small()
        model = model_file.parse(small.model)
        tensors = model.subgraphs[0].tensors
        for operator in model.subgraphs[0].operators[:2]:
            quantization = tensors[operator.inputs[1]].quantization
            quantization.scale = [quantization.scale[0] * 1.001]
        (found,) = ranges.check(small.frozen, model)
        self.assertStartsWith(found, "kernels: expected scale ")
        self.assertEndsWith(found, "(and 1 more)")

    def test_a_model_of_another_graph(self):
        small = testing.small()
        model = model_file.parse(small.model)
        del model.subgraphs[0].operators[0]
        (found,) = ranges.check(small.frozen, model)
        self.assertStartsWith(
            found, "operators: expected the graph's 5 convolutions and multiplications"
        )


class QuantaTest(parameterized.TestCase):
    @parameterized.parameters(
        (0.0, 6.0, False, 6 / 255, 0),
        (-1.0, 127 / 128, False, 1 / 128, 128),
        (-0.5, 0.5, True, 1 / 254, 128),
        (-1.0, 0.0, True, 1 / 254, 255),
        (0.0, 1.0, True, 1 / 254, 1),
    )
    def test_zero_is_one_of_the_quanta(self, low, high, narrow, scale, zero_point):
        got = ranges.quanta(low, high, narrow=narrow)
        self.assertAlmostEqual(got[0], scale, places=12)
        self.assertEqual(got[1], zero_point)


if __name__ == "__main__":
    absltest.main()
