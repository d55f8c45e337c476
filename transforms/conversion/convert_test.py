"""Tests of converting graphs."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from transforms.conversion import convert, testing
from transforms.tflite import model_file, model_graph, product_rules


class ConvertTest(parameterized.TestCase):
    @parameterized.parameters(True, False)
    def test_keeps_the_rules_of_the_products(self, quantise):
        model = model_file.parse(testing.small(quantise=quantise).model)
        self.assertEqual(product_rules.check(model, quantised=quantise), [])
        self.assertEqual(model.description, b"")

    def test_metadata_is_only_the_version_of_the_runtime(self):
        for quantise in (True, False):
            model = model_file.parse(testing.small(quantise=quantise).model)
            self.assertEqual([m.name for m in model.metadata], [b"min_runtime_version"])

    def test_ranges_are_those_of_the_graph(self):
        graph = model_graph.graph(model_file.parse(testing.small().model))
        logits = graph.operators[-3].outputs[0]
        nodes = {node.name: node for node in testing.small().folded.node}
        users = [n for n in nodes.values() if n.input and n.input[0] == "scaled"]
        low, high = (
            float(tf.make_ndarray(nodes[name].attr["value"].tensor)) for name in users[0].input[1:]
        )
        self.assertAlmostEqual(logits.scales[0], (high - low) / 255, places=6)

    def test_float_scale_factor_is_kept(self):
        model = model_file.parse(testing.small(quantise=False).model)
        scale = model_graph.graph(model).operators[-3].input(1)
        self.assertEqual((scale.name, scale.constant), ("scale_factor", True))
        data = model.buffers[model.subgraphs[0].tensors[scale.index].buffer].data
        self.assertEqual(np.frombuffer(data, np.float32).tolist(), [10.0])

    def test_same_bytes_for_an_equal_graph_with_another_layout(self):
        folded = testing.small().folded
        again = tf.GraphDef.FromString(folded.SerializeToString(deterministic=True))
        self.assertEqual(convert.convert(again), testing.small().model)

    def test_batch_sizes(self):
        for batch_size in (None, 8):
            graph_def = testing.graph_def(folded=True, ranges=None, batch_size=batch_size)
            with self.assertRaisesRegex(
                ValueError, f"one with the batch size {batch_size}; export it with --batch_size=1"
            ):
                convert.convert(graph_def)

    def test_not_folded(self):
        for quantise in (True, False):
            with self.assertRaisesRegex(
                ValueError, "expected a folded graph, .*Square l2_normalize_1/Square.*fold it"
            ):
                convert.convert(testing.small(quantise=quantise).frozen)

    def test_not_frozen(self):
        with tf.Graph().as_default() as graph:
            images = tf.placeholder(tf.float32, [1, 2, 2, 3])
            kernel = tf.Variable(tf.ones([2, 2, 3, 4]), name="kernel", use_resource=False)
            tf.nn.softmax(tf.nn.conv2d(images, kernel, 1, "VALID"))
            graph_def = graph.as_graph_def()
        with self.assertRaisesRegex(ValueError, "expected a frozen graph, .*kernel"):
            convert.convert(graph_def)

    def test_inputs_that_are_not_images(self):
        for shape, expected in (
            ([1, 4, 4, 1], r"to be \[1, s, s, 3\], got \[1, 4, 4, 1\]"),
            ([1, 4, 2, 3], r"to be \[1, s, s, 3\], got \[1, 4, 2, 3\]"),
            ([1, None, None, 3], r"\[1, s, s, 3\], got float32 \[1, None, None, 3\]"),
        ):
            with tf.Graph().as_default() as graph:
                images = tf.placeholder(tf.float32, shape)
                tf.nn.softmax(tf.nn.conv2d(images, tf.ones([2, 2, shape[3], 4]), 1, "VALID"))
                graph_def = graph.as_graph_def()
            with self.assertRaisesRegex(ValueError, expected):
                convert.convert(graph_def)

    def test_graph_that_the_converter_refuses(self):
        with tf.Graph().as_default() as graph:
            images = tf.placeholder(tf.float32, [1, 4, 4, 3])
            net = tf.nn.conv2d(images, tf.ones([2, 2, 3, 4]), 1, "VALID")
            tf.nn.softmax(tf.raw_ops.Betainc(a=net, b=net, x=net))
            graph_def = graph.as_graph_def()
        with self.assertRaisesRegex(ValueError, "converter accepts, got .*Betainc"):
            convert.convert(graph_def)

    def test_unknown_operation(self):
        graph_def = tf.GraphDef()
        graph_def.CopyFrom(testing.small().folded)
        graph_def.node.add(name="odd", op="NoSuchOperation")
        with self.assertRaisesRegex(ValueError, "that TensorFlow accepts, got .*NoSuchOperation"):
            convert.convert(graph_def)


if __name__ == "__main__":
    absltest.main()
