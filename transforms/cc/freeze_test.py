"""Tests of freezing: the values, what is removed, and errors."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from transforms import graph_transforms, testing
from transforms.cc import freeze_testing


class FreezeTest(freeze_testing.FreezeTestCase):
    @parameterized.product(
        by_handle=(False, True), version=(tf.train.SaverDef.V1, tf.train.SaverDef.V2)
    )
    def test_values_become_constants(self, by_handle, version):
        graph, prefix = self.build(by_handle=by_handle, version=version)
        frozen = graph_transforms.freeze(graph, checkpoint=prefix, outputs=["y"])
        self.assert_y(frozen)
        np.testing.assert_array_equal(testing.constant(frozen, "layer/w"), freeze_testing.W)
        kept = testing.nodes(frozen)
        self.assertNotIn("other", kept)
        self.assertNotIn("layer/unused", kept)
        self.assertEqual({node.device for node in kept.values()}, {""})
        self.assertContainsSubset(testing.ops(frozen).keys(), {
            "Add", "AddV2", "Const", "Identity", "MatMul", "Placeholder",
        })  # fmt: skip
        order = [name for name in testing.nodes(graph) if name in kept]
        self.assertEqual(list(kept), order)

    def test_partly_frozen_graph(self):
        data, prefix = self.build()
        frozen = testing.nodes(graph_transforms.freeze(data, checkpoint=prefix, outputs=["y"]))
        constant = tf.GraphDef(node=[frozen["layer/w"]])
        with tf.Graph().as_default() as other:
            (w,) = tf.import_graph_def(constant, name="", return_elements=["layer/w:0"])
            with tf.variable_scope("layer"):
                b = tf.get_variable("b", initializer=np.float32(0.5))
            x = tf.placeholder(tf.float32, [None, 3], name="x")
            tf.identity(tf.matmul(x, w) + b, name="y")
        partly = other.as_graph_def().SerializeToString()
        self.assert_y(graph_transforms.freeze(partly, checkpoint=prefix, outputs=["y"]))

    def test_output_names(self):
        graph, prefix = self.build()
        expected = graph_transforms.freeze(graph, checkpoint=prefix, outputs=["y"])
        again = graph_transforms.freeze(graph, checkpoint=prefix, outputs=["y:0"])
        self.assertEqual(expected, again)
        both = graph_transforms.freeze(graph, checkpoint=prefix, outputs=["y", "other"])
        self.assertIn("layer/unused", testing.nodes(both))

    def test_equal_graphs_give_equal_bytes(self):
        graph, prefix = self.build()
        parsed = tf.GraphDef.FromString(graph)
        for node in parsed.node:
            attributes = sorted(node.attr.items(), reverse=True)
            values = [(name, value.SerializeToString()) for name, value in attributes]
            node.attr.clear()
            for name, value in values:
                node.attr[name].MergeFromString(value)
        results = {
            graph_transforms.freeze(data, checkpoint=prefix, outputs=["y"])
            for data in (graph, graph, parsed.SerializeToString())
        }
        self.assertLen(results, 1)


class FreezeErrorsTest(freeze_testing.FreezeTestCase):
    def changed(self, change) -> tuple[bytes, str]:
        """Returns a changed graph, and the prefix of the checkpoint."""
        data, prefix = self.build()
        graph = tf.GraphDef.FromString(data)
        change(graph, {node.name: node for node in graph.node})
        return graph.SerializeToString(), prefix

    def test_bytes_that_are_not_a_graph(self):
        _, prefix = self.build()
        for data in (b"", b"\xff" * 20, b"node { name: 'x' }"):
            self.assert_fails(ValueError, "expected a serialised GraphDef", data, prefix)

    def test_wrong_outputs(self):
        graph, prefix = self.build()
        self.assert_fails(ValueError, "names of outputs, got none", graph, prefix, [])
        self.assert_fails(
            ValueError, 'as output, got "z"; there is no node z', graph, prefix, ["z"]
        )
        self.assert_fails(
            ValueError, 'got "y:1"; node y, of op Identity, has 1 output', graph, prefix, ["y:1"]
        )
        self.assert_fails(ValueError, "name of an output, got", graph, prefix, ["^y"])

    def test_nothing_to_freeze(self):
        graph, prefix = self.build()
        frozen = graph_transforms.freeze(graph, checkpoint=prefix, outputs=["y"])
        self.assert_fails(
            ValueError, r"\(y\); the graph has no variables, so it is frozen", frozen, prefix
        )
        self.assert_fails(
            ValueError, r"\(x\); the graph has variables .*, layer/b, ", graph, prefix, ["x"]
        )
        with tf.Graph().as_default() as without:
            tf.identity(tf.placeholder(tf.float32, [2], name="x") * 2.0, name="y")
        data = without.as_graph_def().SerializeToString()
        self.assert_fails(ValueError, "or needs no checkpoint", data, prefix)

    def test_missing_variable(self):
        def rename(graph, _):
            for node in graph.node:
                for i, name in enumerate(node.input):
                    node.input[i] = name.replace("layer/w", "layer/v")
                node.name = node.name.replace("layer/w", "layer/v")

        self.assert_fails(ValueError, "which does not have layer/v; ", *self.changed(rename))

    def test_variable_with_another_shape_or_type(self):
        def reshape(_, by_name):
            by_name["layer/w"].attr["shape"].shape.dim[1].size = 5

        def retype(_, by_name):
            by_name["layer/w"].attr["dtype"].type = tf.float64.as_datatype_enum

        self.assert_fails(
            ValueError, r"variable layer/w with shape \[3,5\].*got \[3,4\]", *self.changed(reshape)
        )
        self.assert_fails(
            ValueError, "variable layer/w with type double.*got float", *self.changed(retype)
        )

    @parameterized.parameters(False, True)
    def test_operation_that_changes_a_variable(self, by_handle):
        with tf.Graph().as_default() as graph, tf.Session() as session:
            with tf.variable_scope("layer", use_resource=by_handle):
                w = tf.get_variable("w", initializer=freeze_testing.W)
            loss = tf.reduce_sum(w * w)
            step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
            with tf.control_dependencies([step]):
                tf.identity(loss, name="y")
            session.run(tf.global_variables_initializer())
            prefix = testing.save(self.folder, session)
        data = graph.as_graph_def().SerializeToString()
        self.assert_fails(
            ValueError, r"ApplyGradientDescent\), which may change variable layer/w",
            data, prefix,
        )  # fmt: skip

    def test_operations_of_training(self):
        _, prefix = self.build()
        with tf.Graph().as_default() as temporary:
            variable = tf.raw_ops.TemporaryVariable(shape=[2], dtype=tf.float32, var_name="t")
            tf.identity(tf.raw_ops.Assign(ref=variable, value=[1.0, 2.0]), name="y")
        with tf.Graph().as_default() as restoring:
            (value,) = tf.raw_ops.RestoreV2(
                prefix=prefix, tensor_names=["layer/w"], shape_and_slices=[""], dtypes=[tf.float32]
            )
            tf.identity(value, name="y")
        with tf.Graph().as_default() as calling:

            @tf.function
            def changing():
                handle = tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[], shared_name="v")
                tf.raw_ops.AssignVariableOp(resource=handle, value=1.0)
                return tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32)

            tf.identity(changing(), name="y")
        for graph, op in (
            (temporary, "TemporaryVariable|Assign"),
            (restoring, "RestoreV2"),
            (calling, "function .*VarHandleOp|AssignVariableOp"),
        ):
            data = graph.as_graph_def().SerializeToString()
            self.assert_fails(ValueError, f"only read variables, got .*({op})", data, prefix)

    def test_invalid_graph(self):
        def repeat(graph, by_name):
            graph.node.add().CopyFrom(by_name["y"])

        def cycle(_, by_name):
            by_name["MatMul"].input[0] = "y"

        def dangle(_, by_name):
            by_name["MatMul"].input[0] = "nowhere"

        def index(_, by_name):
            by_name["MatMul"].input[0] = f"x:{2**31}"

        def grow(_, by_name):
            tensor = by_name["layer/b/initial_value"].attr["value"].tensor
            tensor.tensor_shape.dim.add().size = 2**40

        def mistype(_, by_name):
            by_name["layer/b/initial_value"].attr["dtype"].type = tf.int32.as_datatype_enum

        for change, pattern in (
            (mistype, "a value of type int32 in node layer/b/initial_value, .*, got float"),
            (repeat, "nodes with different names, got several named y"),
            (cycle, "without cycles"),
            (dangle, "there is no node nowhere"),
            (index, "node x, of op Placeholder, has 1 output"),
            (grow, "at most 2147483648 bytes in attribute value of node layer/b/initial_value"),
        ):
            self.assert_fails(ValueError, pattern, *self.changed(change))


if __name__ == "__main__":
    absltest.main()
