"""Tests of converting graphs."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from imprinting.tflite import model_file, model_graph, product_rules
from transforms.conversion import convert, testing


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

    def test_same_bytes_for_an_equal_graph_with_an_int8_body(self):
        folded = testing.small(int8=True).folded
        again = tf.GraphDef.FromString(folded.SerializeToString(deterministic=True))
        self.assertEqual(convert.convert(again), testing.small(int8=True).model)

    def test_batch_sizes(self):
        for batch_size in (None, 8):
            graph_def = testing.graph_def(folded=True, ranges=None, batch_size=batch_size)
            with self.assertRaisesRegex(
                ValueError, f"one with the batch size {batch_size}; export it with --batch_size=1"
            ):
                convert.convert(graph_def)

    def test_not_folded(self):
        for options in ({}, {"quantise": False}, {"int8": True}):
            with self.assertRaisesRegex(
                ValueError, "expected a folded graph, .*Square l2_normalize_1/Square.*fold it"
            ):
                convert.convert(testing.small(**options).frozen)

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


class Int8Test(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.model = model_file.parse(testing.small(int8=True).model)
        self.graph = model_graph.graph(self.model)

    def test_keeps_the_rules_of_the_products(self):
        found = product_rules.check(self.model, quantised=True, body=product_rules.INT8_BODY)
        self.assertEqual(found, [])
        self.assertEqual(self.model.description, b"")
        names = {m.name for m in self.model.metadata or ()}
        self.assertContainsSubset(names, {b"min_runtime_version"})

    def test_body_is_int8_and_tail_uint8(self):
        names = [op.name for op in self.graph.operators]
        body = ["CONV_2D", "CONV_2D", "ADD", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "CONV_2D"]
        tail = ["L2_NORMALIZATION", "CONV_2D", "MUL", "RESHAPE", "SOFTMAX"]
        self.assertEqual(names, ["QUANTIZE", *body, "QUANTIZE", *tail])
        types = [op.outputs[0].type for op in self.graph.operators]
        self.assertEqual(types, 7 * ["INT8"] + 6 * ["UINT8"])
        ((image,), (output,)) = self.graph.inputs, self.graph.outputs
        self.assertEqual((image.name, image.type, output.type), ("input", "UINT8", "UINT8"))
        self.assertEqual((image.scales, image.zero_points), ((1 / 128,), (128,)))

    def test_quantize_changes_only_the_type(self):
        first, second = self.graph.named("QUANTIZE")
        for signed, unsigned in (
            (first.outputs[0], first.inputs[0]),
            (second.inputs[0], second.outputs[0]),
        ):
            self.assertEqual((signed.type, unsigned.type), ("INT8", "UINT8"))
            self.assertEqual((signed.shape, signed.scales), (unsigned.shape, unsigned.scales))
            self.assertEqual(signed.zero_points[0] + 128, unsigned.zero_points[0])

    def test_kernels_have_the_graphs_scales(self):
        magnitudes = []
        with tf.Graph().as_default(), tf.Session() as session:
            tf.import_graph_def(testing.small(int8=True).folded, name="")
            for op in session.graph.get_operations():
                if op.type == "FakeQuantWithMinMaxVarsPerChannel":
                    magnitudes.append(session.run(op.inputs[2]))
        kernels = [
            op.input(1)
            for op in self.graph.operators
            if op.name.endswith("CONV_2D") and op.input(1).type == "INT8"
        ]
        self.assertEqual([len(kernel.scales) for kernel in kernels], [8, 8, 8, testing.EMBEDDING])
        for kernel, magnitude in zip(kernels, magnitudes, strict=True):
            np.testing.assert_allclose(kernel.scales, magnitude / 127, rtol=1e-6)
            self.assertEqual({*kernel.zero_points}, {0})
        (last,) = (op.input(1) for op in self.graph.named("CONV_2D") if op.index > 7)
        self.assertLen(last.scales, 1)

    def test_addition_has_a_range_of_its_own(self):
        (add,) = self.graph.named("ADD")
        scales = {tensor.scales for tensor in add.inputs + add.outputs}
        self.assertLen(scales, 3)
        convolutions = self.graph.named("CONV_2D")
        self.assertEqual(add.inputs, (convolutions[1].outputs[0], convolutions[0].outputs[0]))

    def test_two_normalisations(self):
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(testing.small(int8=True).folded, name="")
            tf.square(graph.get_tensor_by_name("input:0"))
            graph_def = graph.as_graph_def()
        with self.assertRaisesRegex(ValueError, "normalises one tensor, the embedding, got 2; ex"):
            convert.convert(graph_def)


if __name__ == "__main__":
    absltest.main()
