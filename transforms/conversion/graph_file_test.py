"""Tests of reading graphs and of finding a classifier's tensors in them."""

import os

import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized
from google.protobuf import text_format
from tensorflow.core.framework import attr_value_pb2

from imprinting.base.photo_crop import Crop
from imprinting.tflite import metadata
from transforms import graph_input
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


class Int8BodyTest(absltest.TestCase):
    def test_has_int8_body(self):
        for folded in (False, True):
            for options, expected in (
                ({}, False),
                ({"quantise": False}, False),
                ({"int8": True}, True),
                # Nothing is quantised.
                ({"int8": True, "quantise": False}, False),
            ):
                small = testing.small(**options)
                graph_def = small.folded if folded else small.frozen
                self.assertEqual(graph_file.has_int8_body(graph_def), expected, options)

    def test_before_normalisation(self):
        for options in ({}, {"int8": True}):
            small = testing.small(**options)
            for graph_def in (small.frozen, small.folded):
                found = graph_file.before_normalisation(graph_def)
                nodes = {node.name: node for node in graph_def.node}
                # The fake-quant node of the embedding before it is normalised.
                node = nodes[found.removesuffix(":0")]
                self.assertIn(node.op, graph_file.FAKE_QUANT)
                self.assertEqual(node.input[0], "act3")

    def test_graphs_that_do_not_normalise_one_tensor(self):
        for count in (0, 2):
            with tf.Graph().as_default() as graph:
                net = tf.placeholder(tf.float32, [1, 4])
                tf.square(tf.constant([1.0]))
                for _ in range(count):
                    net = tf.nn.l2_normalize(net, axis=1)
                graph_def = graph.as_graph_def()
            with self.assertRaisesRegex(ValueError, f"normalises one tensor, .*, got {count}; exp"):
                graph_file.before_normalisation(graph_def)


class AboutTest(absltest.TestCase):
    def graph_def(self, **attributes):
        """A graph whose placeholder has attributes."""
        with tf.Graph().as_default() as graph:
            images = tf.placeholder(tf.float32, [1, 8, 8, 3])
            for name, text in attributes.items():
                images.op._set_attr(name, attr_value_pb2.AttrValue(s=text.encode()))
            tf.square(images)
            return graph.as_graph_def()

    def test_without_attributes(self):
        expected = metadata.About("MobileNet V1", Crop.STRETCHED)
        for graph_def in (self.graph_def(), testing.small(int8=True).frozen):
            self.assertEqual(graph_file.about(graph_def), expected)

    def test_attributes_of_the_input(self):
        for title, crop in (("Some Nät", Crop.SQUARE), ("MobileNet V1", Crop.STRETCHED)):
            graph_def = self.graph_def(**{graph_input.TITLE: title, graph_input.CROP: crop.value})
            graph_def = graph_file.parse(graph_def.SerializeToString())
            self.assertEqual(graph_file.about(graph_def), metadata.About(title, crop))


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
