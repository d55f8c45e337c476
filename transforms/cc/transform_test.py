"""Tests of applying transforms: TensorFlow's own, their parameters, and all errors."""

import os

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from transforms import testing
from transforms.testing import quantised_layer, transform


class TransformTest(parameterized.TestCase):
    def test_strip_unused_nodes(self):
        graph = quantised_layer()
        self.assertIn("unused", testing.nodes(graph))
        self.assertNotIn("unused", testing.nodes(transform(graph, "strip_unused_nodes")))

    def test_fold_constants_keeps_fake_quant_nodes(self):
        graph = quantised_layer()
        x = np.array([[1, 2, 3]], np.float32)
        expected = testing.run(graph, "y:0", {"x:0": x})
        kept = transform(graph, "strip_unused_nodes fold_constants")
        self.assertEqual(testing.ops(kept)["FakeQuantWithMinMaxVars"], 1)
        self.assertEqual(testing.ops(kept)["Rsqrt"], 0)
        self.assertEqual(testing.ops(kept)["Mul"], 0)
        quant = testing.nodes(kept)["quant"]
        limits = [testing.constant(kept, name) for name in quant.input[1:]]
        np.testing.assert_array_equal(limits, np.float32([-0.6, 0.6]))
        np.testing.assert_array_equal(testing.run(kept, "y:0", {"x:0": x}), expected)

    def test_fold_constants_with_fold_fake_quant(self):
        folded = transform(quantised_layer(), "fold_constants", fold_fake_quant=True)
        self.assertEqual(testing.ops(folded)["FakeQuantWithMinMaxVars"], 0)

    def test_fold_constants_with_exclude_op(self):
        folded = transform(quantised_layer(), "fold_constants(exclude_op=Rsqrt)")
        self.assertEqual(testing.ops(folded)["Rsqrt"], 1)
        self.assertEqual(testing.ops(folded)["FakeQuantWithMinMaxVars"], 1)

    def test_fold_constants_with_large_constants(self):
        graph = quantised_layer(size=1 << 20)  # 12 MiB
        self.assertEqual(testing.ops(transform(graph, "fold_constants"))["Mul"], 0)
        as_tensorflow = transform(graph, "fold_constants", fold_fake_quant=True)
        self.assertEqual(testing.ops(as_tensorflow)["Mul"], 1)
        limited = transform(graph, "fold_constants(max_constant_size_in_bytes=1000)")
        self.assertEqual(testing.ops(limited)["Mul"], 1)

    def test_equal_graphs_give_equal_bytes(self):
        results = {transform(quantised_layer(), "strip_unused_nodes fold_constants")
                   for _ in range(5)}  # fmt: skip
        self.assertLen(results, 1)

    def test_names_with_index_zero(self):
        graph = quantised_layer()
        self.assertEqual(
            transform(graph, "strip_unused_nodes", inputs=["x:0"], outputs=["y:0"]),
            transform(graph, "strip_unused_nodes"),
        )


class TransformErrorsTest(parameterized.TestCase):
    @parameterized.parameters(
        ("no_such_transform", 'a transform, got "no_such_transform"; there are add_default_attr'),
        ("fold_constants(exclude_ops=Mul)", 'a parameter of fold_constants, got "exclude_ops"'),
        ("fold_l2_norm(axis=1)", 'fold_l2_norm, got "axis"; there is only ignore_errors'),
        ("", "expected a transform, got none"),
        ("fold_constants(", r"expected a \) at the end of transform fold_constants"),
        ("fold_constants(exclude_op=", r"expected a \) at the end of transform fold_constants"),
        ("fold_constants(exclude_op=Mul", r"expected a \) at the end"),
        ("fold_constants)", r"expected transforms as NAME\(PARAMETER=VALUE"),
        ("fold_constants(exclude_op)", "Looking for ="),
        ("strip_unused_nodes(ignore_errors=maybe)", "ignore_errors should be true or false"),
        ("rename_op(old_op_name=Mul)", "expects exactly one"),
        ("fold_constants(max_constant_size_in_bytes=much)", "much"),
        ('strip_unused_nodes(shape="-1,4")', 'expected shape of .* 0 or more, .* got "-1,4"'),
        ('strip_unused_nodes(name=x, shape_for_name="4,-5")', "expected shape_for_name of"),
        ('strip_unused_nodes(shape="4611686018427387904,4611686018427387904")', "sizes of 0"),
        ("strip_unused_nodes(shape=a)", "sizes of 0 or more"),
        ("round_weights(num_steps=0)", r"num_steps of round_weights in 2\.\."),
        ("round_weights(num_steps=few)", "num_steps of round_weights"),
        ("freeze_requantization_ranges(min_percentile=500)", r"min_percentile of .* in 0\.\.100"),
    )
    def test_wrong_transforms(self, text, pattern):
        with self.assertRaisesRegex(ValueError, pattern):
            transform(quantised_layer(), text)

    def test_wrong_transforms_in_a_list(self):
        for listed, pattern in (
            ([], "expected a transform, got none"),
            (["nope"], 'name of a transform, got "nope"'),
            ([("fold_constants", {"nope": "1"})], 'a parameter of fold_constants, got "nope"'),
        ):
            with self.assertRaisesRegex(ValueError, pattern):
                transform(quantised_layer(), listed)

    @parameterized.parameters(
        ({"inputs": ["z"]}, 'expected a tensor of the graph as input, got "z"; there is no node z'),
        ({"inputs": ["x:1"]}, "node x, of op Placeholder, has 1 output"),
        ({"outputs": ["z"]}, 'expected a tensor of the graph as output, got "z"'),
        ({"outputs": ["y:5"]}, "node y, of op Identity, has 1 output"),
        ({"outputs": []}, "names of outputs, got none"),
        ({"outputs": [""]}, "the name of an output, got"),
    )
    def test_wrong_inputs_and_outputs(self, options, pattern):
        with self.assertRaisesRegex(ValueError, pattern):
            transform(quantised_layer(), "strip_unused_nodes", **options)

    def test_unknown_op_is_not_a_missing_file(self):
        graph = tf.GraphDef.FromString(quantised_layer())
        next(n for n in graph.node if n.op == "Identity").op = "NoSuchOp"
        with self.assertRaisesRegex(ValueError, "NoSuchOp"):
            transform(graph.SerializeToString(), "fold_constants")

    def with_function(self, change) -> bytes:
        graph = tf.GraphDef.FromString(quantised_layer())
        function = graph.library.function.add()
        function.signature.name = "f"
        change(graph, function)
        return graph.SerializeToString()

    def test_invalid_functions(self):
        def call_itself(_, function):
            node = function.node_def.add(name="call", op="PartitionedCall")
            node.attr["f"].func.name = "f"

        def call_each_other(graph, function):
            other = graph.library.function.add()
            other.signature.name = "g"
            other.node_def.add(name="call", op="f")
            function.node_def.add(name="call", op="g")

        def repeat(graph, function):
            graph.library.function.add().CopyFrom(function)

        def misshape(_, function):
            function.attr["shape"].shape.dim.add().size = -7

        for change, pattern in (
            (call_itself, "functions that do not call themselves, got f"),
            (call_each_other, "functions that do not call themselves, got "),
            (repeat, "functions with different names, got several named f"),
            (misshape, "a valid shape in attribute shape of f"),
        ):
            for name in ("fold_constants", "strip_unused_nodes"):
                with self.assertRaisesRegex(ValueError, pattern):
                    transform(self.with_function(change), name)
        transform(self.with_function(lambda *_: None), "fold_constants")

    def test_strings_that_the_graph_does_not_list(self):
        graph = tf.GraphDef.FromString(quantised_layer())
        node = graph.node.add(name="strings", op="Const")
        node.attr["dtype"].type = tf.string.as_datatype_enum
        node.attr["value"].tensor.dtype = tf.string.as_datatype_enum
        node.attr["value"].tensor.tensor_shape.dim.add().size = 1 << 27
        with self.assertRaisesRegex(ValueError, "at most 1048576 elements in attribute value of"):
            transform(graph.SerializeToString(), "strip_unused_nodes")

    def test_bytes_that_are_not_a_graph(self):
        for data in (b"", b"graph", b"\0" * 100):
            with self.assertRaisesRegex(ValueError, "expected a serialised GraphDef"):
                transform(data, "strip_unused_nodes")

    @parameterized.parameters("fold_constants", "fold_l2_norm", "quantize_weights")
    def test_variables_instead_of_constants(self, name):
        with tf.Graph().as_default() as graph:
            x = tf.placeholder(tf.float32, [1, 3], name="x")
            tf.identity(tf.matmul(x, tf.get_variable("w", [3, 2])), name="y")
        data = graph.as_graph_def().SerializeToString()
        with self.assertRaisesRegex(
            ValueError, rf"for {name}, .* variables \(w\); freeze it first"
        ):
            transform(data, name)
        # Other transforms accept variables.
        self.assertIn("w", testing.nodes(transform(data, "strip_unused_nodes")))

    def test_node_that_does_not_match_its_op(self):
        graph = tf.GraphDef.FromString(quantised_layer())
        next(n for n in graph.node if n.op == "MatMul").attr["T"].type = 7
        with self.assertRaisesRegex(
            ValueError, "MatMul to match the declaration of its op, MatMul"
        ):
            transform(graph.SerializeToString(), "fold_constants")

    def test_graph_is_checked_before_each_transform(self):
        with self.assertRaisesRegex(ValueError, 'expected a tensor of the graph as input, got "x"'):
            transform(
                quantised_layer(),
                "rename_node(old_node_name=x, new_node_name=z) fold_constants",
            )

    def test_missing_file(self):
        missing = os.path.join(self.create_tempdir().full_path, "log")
        with self.assertRaises(FileNotFoundError):
            transform(
                quantised_layer(), f"freeze_requantization_ranges(min_max_log_file={missing})"
            )


if __name__ == "__main__":
    absltest.main()
