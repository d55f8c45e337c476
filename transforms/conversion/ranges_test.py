"""Tests of ranges.py: lost ranges are found."""

import re

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from imprinting.tflite import model_file, model_graph
from transforms.conversion import convert, graph_file, ranges, testing


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
            found, "operators: expected the graph's 5 convolutions, multiplications and additions"
        )


class Int8Test(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.small = testing.small(int8=True)
        self.model = model_file.parse(self.small.model)

    def kernels(self):
        """The quantisation of the kernels, in order."""
        graph = model_graph.graph(self.model)
        operators = [op for op in graph.operators if op.name.endswith("CONV_2D")]
        tensors = self.model.subgraphs[0].tensors
        return [tensors[op.input(1).index].quantization for op in operators]

    def check(self):
        return ranges.check(self.small.frozen, self.model)

    def test_converted_model_has_the_graphs_ranges(self):
        self.assertEqual(self.check(), [])

    # The .tflite has a fixed range of the input and of the embedding, and takes the range of the
    # average pool's input for its output.
    _NOT_COMPARED = (0, 8, 11)

    @parameterized.parameters(*range(15))
    def test_each_wrong_range_is_found(self, index):
        nodes = [n for n in self.small.folded.node if n.op in graph_file.FAKE_QUANT]
        self.assertLen(nodes, 15)
        name = nodes[index].name
        changed = scaled_range(self.small.folded, name, 1.01)
        self.model = model_file.parse(convert.convert(changed))
        if index in self._NOT_COMPARED:
            self.assertEqual(self.check(), [])
        else:
            (found,) = self.check()
            self.assertRegex(
                found,
                "^(kernels|outputs): expected scale .* and zero point .*, the range of "
                f"{re.escape(name)} in the graph, got [^(]*$",
            )

    @parameterized.product(kernel=[0, 1, 2, 3], channel=[0, 3, 7])
    def test_one_channel(self, kernel, channel):
        quantization = self.kernels()[kernel]
        scales = np.array(quantization.scale)
        quantization.scale = np.where(np.arange(len(scales)) == channel, 1.001 * scales, scales)
        (found,) = self.check()
        expected, got = map(
            float,
            re.findall("^kernels: expected scale (.*) and zero .*, got (.*) and 0$", found)[0],
        )
        self.assertAlmostEqual(expected, scales[channel], places=6)
        self.assertAlmostEqual(got, 1.001 * scales[channel], places=6)
        quantization.scale = np.where(
            np.arange(len(scales)) == channel, (1 + 1e-6) * scales, scales
        )
        self.assertEqual(self.check(), [])

    def test_zero_points_of_channels(self):
        quantization = self.kernels()[1]
        quantization.zeroPoint = np.array([0, 0, 0, 0, 2, 0, 0, 0])
        (found,) = self.check()
        self.assertRegex(found, "^kernels: expected scale .* and zero point 0, .* and 2$")

    def test_one_scale_for_all_channels(self):
        for quantization in self.kernels()[1:3]:
            quantization.scale = np.array([max(quantization.scale)])
            quantization.zeroPoint = np.array([0])
        (found,) = self.check()
        self.assertRegex(
            found,
            "^kernels: expected 8 scales, as many as ranges of FakeQuantWithMinMaxVarsPerChannel_1 "
            r"in the graph, got 1 \(and 1 more\)$",
        )

    def test_range_of_the_addition(self):
        (add,) = model_graph.graph(self.model).named("ADD")
        quantization = self.model.subgraphs[0].tensors[add.outputs[0].index].quantization
        scale, zero_point = float(quantization.scale[0]), int(quantization.zeroPoint[0])
        quantization.scale = np.array([1.01 * scale])
        (found,) = self.check()
        self.assertStartsWith(found, "outputs: expected scale ")
        self.assertEndsWith(found, f"in the graph, got {1.01 * scale:.6g} and {zero_point}")
        quantization.scale = np.array([scale])
        quantization.zeroPoint = np.array([zero_point + 2])
        (found,) = self.check()
        self.assertEndsWith(found, f"in the graph, got {scale:.6g} and {zero_point + 2}")

    def test_a_model_without_the_addition(self):
        uint8 = model_file.parse(testing.small().model)
        (found,) = ranges.check(self.small.frozen, uint8)
        self.assertRegex(found, "^operators: expected the graph's 7 .* additions, .*, got 5; give")


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
