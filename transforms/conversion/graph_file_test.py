"""Tests of reading graphs and of finding a classifier's tensors in them."""

import os

import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized
from google.protobuf import text_format

from transforms.conversion import graph_file, testing


class ReadTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.create_tempdir().full_path, "graph.pb")

    def write(self, data):
        with open(self.path, "wb") as file:
            file.write(data)

    def test_reads_a_graph(self):
        graph_def = testing.graph_def(folded=True, ranges=None)
        self.write(graph_def.SerializeToString())
        self.assertEqual(graph_file.read(self.path), graph_def)

    @parameterized.parameters(
        (b"", "got 0 bytes without a node"),
        (b"\x07noise", "got 6 bytes of something else"),
    )
    def test_bytes_of_something_else(self, data, expected):
        self.write(data)
        with self.assertRaisesRegex(
            ValueError, f"{self.path}: expected a binary GraphDef, .*, {expected}"
        ):
            graph_file.read(self.path)

    def test_text_and_truncated_files(self):
        graph_def = testing.graph_def(folded=True, ranges=None)
        self.write(text_format.MessageToString(graph_def).encode())
        with self.assertRaisesRegex(ValueError, "got [0-9]+ bytes of a graph as text"):
            graph_file.read(self.path)
        self.write(graph_def.SerializeToString()[:-1])
        with self.assertRaisesRegex(ValueError, "bytes of something else"):
            graph_file.read(self.path)

    def test_no_file(self):
        with self.assertRaises(FileNotFoundError):
            graph_file.read(self.path)


class FindTest(absltest.TestCase):
    def test_a_classifier(self):
        for folded in (False, True):
            found = graph_file.find(testing.small(quantise=False).frozen)
            self.assertEqual(
                (found.input, found.output, found.scale),
                ("input:0", "probabilities:0", "scale_factor:0"),
                msg=folded,
            )
            self.assertStartsWith(found.embedding, "l2_normalize")
            self.assertStartsWith(found.logits, "Reshape")

    def test_fake_quantised(self):
        small = testing.small()
        found = graph_file.find(small.frozen)
        self.assertIn("FakeQuant", found.embedding)
        self.assertTrue(graph_file.is_quantised(small.frozen))
        self.assertFalse(graph_file.is_quantised(testing.small(quantise=False).frozen))

    def test_the_scale_may_be_the_first_input_or_missing(self):
        def logits(make):
            with tf.Graph().as_default() as graph:
                images = tf.placeholder(tf.float32, [1, 2, 2, 3])
                net = tf.nn.conv2d(images, tf.ones([2, 2, 3, 4]), 1, "VALID")
                tf.nn.softmax(tf.squeeze(make(net), [1, 2]))
                return graph_file.find(graph.as_graph_def())

        self.assertEqual(logits(lambda net: tf.constant(3.0, name="s") * net).scale, "s:0")
        found = logits(lambda net: net)
        self.assertIsNone(found.scale)
        self.assertEqual((found.embedding, found.output), ("Placeholder:0", "Softmax:0"))

    def test_graphs_of_something_else(self):
        def fails(make, expected):
            with tf.Graph().as_default() as graph:
                make()
                graph_def = graph.as_graph_def()
            with self.assertRaisesRegex(ValueError, expected):
                graph_file.find(graph_def)

        def two_inputs():
            a, b = tf.placeholder(tf.float32, name="a"), tf.placeholder(tf.float32, name="b")
            tf.nn.softmax(tf.nn.conv2d(a, b, 1, "SAME"))

        fails(lambda: tf.constant(1.0), "one Softmax, got 0; export the network for inference")
        fails(two_inputs, "one Placeholder, got 2: a, b")
        fails(
            lambda: tf.nn.softmax(tf.placeholder(tf.float32)), "expected a graph with a convolution"
        )


class RequireFrozenTest(absltest.TestCase):
    def test_variables(self):
        with tf.Graph().as_default() as graph:
            tf.Variable(1.0, name="weights", use_resource=False)
            graph_def = graph.as_graph_def()
        with self.assertRaisesRegex(ValueError, r"such as weights \(VariableV2\); freeze it"):
            graph_file.require_frozen(graph_def)
        graph_file.require_frozen(testing.small().frozen)


class ConstantNodesTest(absltest.TestCase):
    def test_order_of_nodes_does_not_matter(self):
        with tf.Graph().as_default() as graph:
            a = tf.identity(tf.constant(1.0, name="a"), name="b")
            tf.add(tf.square(a, name="c"), tf.placeholder(tf.float32, name="x"), name="d")
            with tf.control_dependencies([a]):
                tf.no_op("e")
            graph_def = graph.as_graph_def()
        names = {"a", "b", "c", "e"}
        self.assertEqual({n.name for n in graph_file.constant_nodes(graph_def)}, names)
        nodes = list(reversed(graph_def.node))
        del graph_def.node[:]
        graph_def.node.extend(nodes)
        self.assertEqual({n.name for n in graph_file.constant_nodes(graph_def)}, names)


if __name__ == "__main__":
    absltest.main()
