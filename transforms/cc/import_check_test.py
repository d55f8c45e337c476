"""Tests that TensorFlow can import the results of freezing and of every transform."""

import os

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from transforms import graph_transforms, testing

# Parameters for the transforms that do nothing without them.
_PARAMETERS = {
    "insert_logging": "(op=Relu6)",
    "quantize_nodes": "(fallback_min=-6, fallback_max=6)",
    "quantize_placeholders": "(input_min=0, input_max=1)",
    "remove_attribute": "(attribute_name=T)",
    "remove_nodes": "(op=Identity)",
    "rename_attribute": "(old_attribute_name=_class, new_attribute_name=_group)",
    "rename_node": "(old_node_name=layer/kernel, new_node_name=renamed)",
    "rename_op": "(old_op_name=Relu6, new_op_name=Relu)",
    "round_weights": "(num_steps=256)",
    "set_device": '(device="/cpu:0")',
}
_FEED = np.linspace(0, 1, 48, dtype=np.float32).reshape(1, 4, 4, 3)


def _colocations(graph: bytes) -> dict[str, list[str]]:
    """Returns the names in the attribute `_class` of each node."""
    return {
        name: [entry.decode().removeprefix("loc:@") for entry in node.attr["_class"].list.s]
        for name, node in testing.nodes(graph).items()
        if "_class" in node.attr
    }


class ImportTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path

    def frozen(self) -> bytes:
        """Returns a frozen graph with two quantised convolutions with batch norm.

        It has duplicate nodes, and attributes that list the nodes whose device a node shares.
        """
        with (
            tf.Graph().as_default() as graph,
            tf.Session() as session,
            tf.variable_scope(tf.get_variable_scope(), use_resource=False),
        ):
            net = tf.placeholder(tf.float32, [1, 4, 4, 3], name="x")
            for scope in ("layer", "other"):
                with tf.variable_scope(scope), tf.device("/cpu:0"):
                    kernel = tf.get_variable("kernel", initializer=np.full([3, 3, 3, 3], 0.1, "f"))
                    low, high = (
                        tf.get_variable(name, initializer=value)
                        for name, value in (("low", -1.0), ("high", 1.0))
                    )
                    kernel = tf.fake_quant_with_min_max_vars(kernel, low, high)
                    net = tf.nn.conv2d(net, kernel, 1, "SAME")
                    statistics = [tf.get_variable(f"s{i}", initializer=[1.0] * 3) for i in range(4)]
                    net, _, _ = tf.nn.fused_batch_norm(net, *statistics, is_training=False)
                    net = tf.nn.relu6(tf.nn.bias_add(net, statistics[0]))
            with tf.control_dependencies([tf.check_numerics(net, "no number"), tf.no_op("none")]):
                net = tf.identity(net)
            net = tf.reduce_mean(tf.concat([net, net], 3), [1, 2])
            w = tf.get_variable("w", initializer=np.linspace(-1, 1, 24, dtype="f").reshape(6, 4))
            tf.nn.softmax(tf.matmul(net, w), name="y")
            session.run(tf.global_variables_initializer())
            prefix = testing.save(self.folder, session)
        data = graph.as_graph_def().SerializeToString()
        return graph_transforms.freeze(data, checkpoint=prefix, outputs=["y"])

    def with_logged_ranges(self, frozen: bytes, name: str) -> str:
        """Returns a transform that reads logged ranges, after one that makes nodes for them."""
        quantised = testing.nodes(testing.transform(frozen, "quantize_nodes"))
        ranges = [node.name for node in quantised.values() if node.op == "RequantizationRange"]
        self.assertNotEmpty(ranges)
        log = os.path.join(self.folder, "log")
        with open(log, "w") as file:
            file.writelines(f";{node}__print__;__requant_min_max:[-6][6]\n" for node in ranges)
        return f'quantize_nodes {name}(min_max_log_file="{log}")'

    def assert_no_dangling_references(self, graph: bytes):
        nodes = testing.nodes(graph)
        for named in _colocations(graph).values():
            self.assertContainsSubset(named, nodes)
        self.assertNotEmpty(nodes)

    def test_every_transform(self):
        frozen = self.frozen()
        expected = testing.run(frozen, "y:0", {"x:0": _FEED})
        self.assertNotEmpty(_colocations(frozen))
        for name in graph_transforms.transform_names():
            with self.subTest(name):
                text = name + _PARAMETERS.get(name, "")
                if name == "remove_attribute":
                    # Without its types, TensorFlow cannot import the graph.
                    with self.assertRaisesRegex(ValueError, "graph that TensorFlow can import"):
                        testing.transform(frozen, text)
                    continue
                if name == "freeze_requantization_ranges":
                    text = self.with_logged_ranges(frozen, name)
                result = testing.transform(frozen, text)
                self.assert_no_dangling_references(result)
                actual = testing.run(result, "y:0", {"x:0": _FEED})
                np.testing.assert_allclose(actual, expected, atol=0.05)

    def test_transforms_that_remove_nodes_together(self):
        names = "merge_duplicate_nodes remove_nodes(op=Identity) strip_unused_nodes "
        names += "fold_constants merge_duplicate_nodes obfuscate_names sort_by_execution_order"
        frozen = self.frozen()
        result = testing.transform(frozen, names)
        np.testing.assert_allclose(
            testing.run(result, "y:0", {"x:0": _FEED}),
            testing.run(frozen, "y:0", {"x:0": _FEED}),
            atol=1e-6,
        )

    def test_references_to_removed_nodes_are_removed(self):
        merged = testing.transform(self.frozen(), "merge_duplicate_nodes")
        self.assert_no_dangling_references(merged)
        self.assertEqual(_colocations(merged)["w/read"], ["w"])
        self.assertLess(len(_colocations(merged)), len(_colocations(self.frozen())))

    def test_references_to_renamed_nodes(self):
        frozen = self.frozen()
        renamed = testing.transform(frozen, f"rename_node{_PARAMETERS['rename_node']}")
        self.assertEqual(_colocations(renamed)["layer/kernel/read"], ["renamed"])
        obfuscated = testing.transform(frozen, "obfuscate_names")
        names = dict(zip(testing.nodes(frozen), testing.nodes(obfuscated), strict=True))
        self.assertNotEqual(names["w"], "w")
        expected = {
            names[node]: [names[n] for n in named] for node, named in _colocations(frozen).items()
        }
        self.assertEqual(_colocations(obfuscated), expected)

    def test_references_that_dangle_in_the_input(self):
        def change(graph: bytes) -> bytes:
            parsed = tf.GraphDef.FromString(graph)
            by_name = {node.name: node for node in parsed.node}
            by_name["w/read"].attr["_class"].list.s[:] = [b"loc:@gone", b"loc:@w", b"group"]
            by_name["y"].attr["_class"].list.s[:] = [b"loc:@gone"]
            return parsed.SerializeToString()

        result = testing.transform(change(self.frozen()), "strip_unused_nodes")
        colocations = _colocations(result)
        self.assertEqual(colocations["w/read"], ["w", "group"])
        self.assertNotIn("y", colocations)

    def test_freezing_removes_references(self):
        with tf.Graph().as_default() as graph, tf.Session() as session:
            w = tf.get_variable("w", initializer=[[1.0, 2.0]], use_resource=False)
            unneeded = tf.constant(1.0, name="unneeded")
            with graph.colocate_with(unneeded.op):
                tf.identity(w + w, name="y")
            session.run(tf.global_variables_initializer())
            prefix = testing.save(self.folder, session)
        data = graph.as_graph_def().SerializeToString()
        self.assertEqual(_colocations(data)["y"], ["unneeded"])
        frozen = graph_transforms.freeze(data, checkpoint=prefix, outputs=["y"])
        self.assertNotIn("y", _colocations(frozen))
        self.assertEqual(testing.run(frozen, "y:0").tolist(), [[2, 4]])

    def test_control_inputs_from_removed_nodes(self):
        with tf.Graph().as_default() as graph:
            x = tf.placeholder(tf.float32, [2], name="x")
            with tf.control_dependencies([tf.check_numerics(x, "not a number")]):
                tf.identity(tf.nn.relu(x), name="y")
        data = graph.as_graph_def().SerializeToString()
        self.assertIn("^CheckNumerics", testing.nodes(data)["Relu"].input)
        removed = testing.transform(data, "remove_nodes(op=CheckNumerics)")
        self.assertEqual(testing.run(removed, "y:0", {"x:0": [-1, 2]}).tolist(), [0, 2])

    def test_unknown_ops(self):
        text = "rename_op(old_op_name=Relu6, new_op_name=MyRelu)"
        result = testing.transform(self.frozen(), text)
        self.assertEqual(graph_transforms.unknown_ops(result), ["MyRelu"])
        self.assert_no_dangling_references(result)
        self.assertEqual(graph_transforms.unknown_ops(self.frozen()), [])

    def test_large_values_are_restored(self):
        graph = testing.quantised_layer(size=1 << 15)
        result = testing.transform(graph, "sort_by_execution_order")
        for name, node in testing.nodes(graph).items():
            if node.op == "Const":
                np.testing.assert_array_equal(
                    testing.constant(result, name), testing.constant(graph, name)
                )


if __name__ == "__main__":
    absltest.main()
