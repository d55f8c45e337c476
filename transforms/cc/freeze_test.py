"""Tests of freezing: the values, what is removed, and all errors."""

import os

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from transforms import graph_transforms, testing

_VALUE = np.arange(12, dtype=np.float32).reshape(3, 4)


class FreezeTestCase(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path

    def build(self, *, by_handle: bool = False, version: int = tf.train.SaverDef.V2):
        """Returns a graph of x w + b with variables, and the prefix of their checkpoint."""
        with tf.Graph().as_default() as graph, tf.Session() as session:
            x = tf.placeholder(tf.float32, [None, 3], name="x")
            with tf.variable_scope("layer", use_resource=by_handle), tf.device("/cpu:0"):
                w = tf.get_variable("w", initializer=_VALUE)
                b = tf.get_variable("b", initializer=np.float32(0.5))
                unused = tf.get_variable("unused", initializer=np.float32(1))
            tf.identity(tf.matmul(x, w) + b, name="y")
            tf.identity(unused, name="other")
            session.run(tf.global_variables_initializer())
            prefix = testing.save(self.folder, session, version=version)
            return graph.as_graph_def().SerializeToString(), prefix

    def assert_y(self, frozen: bytes):
        x = np.ones([2, 3], np.float32)
        np.testing.assert_array_equal(testing.run(frozen, "y:0", {"x:0": x}), x @ _VALUE + 0.5)


class FreezeTest(FreezeTestCase):
    @parameterized.product(
        by_handle=(False, True), version=(tf.train.SaverDef.V1, tf.train.SaverDef.V2)
    )
    def test_values_become_constants(self, by_handle, version):
        graph, prefix = self.build(by_handle=by_handle, version=version)
        frozen = graph_transforms.freeze(graph, checkpoint=prefix, outputs=["y"])
        self.assert_y(frozen)
        np.testing.assert_array_equal(testing.constant(frozen, "layer/w"), _VALUE)
        kept = testing.nodes(frozen)
        self.assertNotIn("other", kept)
        self.assertNotIn("layer/unused", kept)
        self.assertEqual({node.device for node in kept.values()}, {""})
        self.assertContainsSubset(testing.ops(frozen).keys(), {
            "Add", "AddV2", "Const", "Identity", "MatMul", "Placeholder",
        })  # fmt: skip
        order = [name for name in testing.nodes(graph) if name in kept]
        self.assertEqual(list(kept), order)

    def test_checkpoint_by_object(self):
        with tf.Graph().as_default() as graph:
            with tf.variable_scope("layer", use_resource=True):
                w = tf.get_variable("w", initializer=_VALUE)
                b = tf.get_variable("b", initializer=np.float32(0.5))
            x = tf.placeholder(tf.float32, [None, 3], name="x")
            tf.identity(tf.matmul(x, w) + b, name="y")
            checkpoint = tf.train.Checkpoint(one=w, two=b)
            with tf.Session() as session:
                session.run(tf.global_variables_initializer())
                prefix = checkpoint.save(os.path.join(self.folder, "objects"), session)
            data = graph.as_graph_def().SerializeToString()
        keys = dict(tf.train.list_variables(prefix))
        self.assertIn("one/.ATTRIBUTES/VARIABLE_VALUE", keys)
        self.assert_y(graph_transforms.freeze(data, checkpoint=prefix, outputs=["y"]))

    def test_partitioned_variable(self):
        with tf.Graph().as_default(), tf.Session() as session:
            parts = tf.get_variable(
                "w",
                [3, 4],
                initializer=tf.random_uniform_initializer(),
                partitioner=tf.fixed_size_partitioner(3, axis=0),
            )
            session.run([part.initializer for part in parts])
            expected = session.run(tf.concat(list(parts), 0))
            prefix = testing.save(self.folder, session)
        with tf.Graph().as_default() as graph:
            tf.identity(tf.get_variable("w", [3, 4]), name="y")
        data = graph.as_graph_def().SerializeToString()
        frozen = graph_transforms.freeze(data, checkpoint=prefix, outputs=["y"])
        np.testing.assert_array_equal(testing.constant(frozen, "w"), expected)

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

    def test_checkpoint_by_one_of_its_files(self):
        graph, prefix = self.build()
        for ending in (".index", ".data-00000-of-00001", ".meta"):
            self.assert_y(graph_transforms.freeze(graph, checkpoint=prefix + ending, outputs=["y"]))
        for name in os.listdir(self.folder):
            os.remove(os.path.join(self.folder, name))
        graph, prefix = self.build(version=tf.train.SaverDef.V1)
        self.assert_y(graph_transforms.freeze(graph, checkpoint=prefix + ".meta", outputs=["y"]))

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


class FreezeErrorsTest(FreezeTestCase):
    def assert_fails(self, kind, pattern, graph, prefix, outputs=("y",)):
        with self.assertRaisesRegex(kind, pattern):
            graph_transforms.freeze(graph, checkpoint=prefix, outputs=outputs)

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

    def test_missing_checkpoint(self):
        graph, _ = self.build()
        missing = os.path.join(self.folder, "missing")
        self.assert_fails(FileNotFoundError, f"expected a checkpoint, got {missing}: there is no "
                          f"file {missing}.index", graph, missing)  # fmt: skip
        self.assert_fails(FileNotFoundError, "expected a checkpoint", graph, self.folder)

    def test_missing_file_of_a_checkpoint(self):
        graph, prefix = self.build()
        os.remove(f"{prefix}.data-00000-of-00001")
        self.assert_fails(FileNotFoundError, "expected the file .*data-00000", graph, prefix)

    def test_truncated_checkpoint(self):
        graph, prefix = self.build()
        for ending in (".data-00000-of-00001", ".index"):
            path = prefix + ending
            with open(path, "rb") as file:
                data = file.read()
            for length in (0, 1, len(data) // 2, len(data) - 1):
                with open(path, "wb") as file:
                    file.write(data[:length])
                self.assert_fails(ValueError, "damaged or something else", graph, prefix)
            with open(path, "wb") as file:
                file.write(data)
        self.assert_y(graph_transforms.freeze(graph, checkpoint=prefix, outputs=["y"]))

    def test_corrupt_checkpoint(self):
        graph, prefix = self.build()
        path = f"{prefix}.data-00000-of-00001"
        with open(path, "r+b") as file:
            file.seek(20)
            file.write(b"\xaa\xbb")
        self.assert_fails(ValueError, "damaged.*layer/w.*[Cc]hecksum", graph, prefix)

    def test_corrupt_checkpoint_of_format_v1(self):
        graph, prefix = self.build(version=tf.train.SaverDef.V1)
        with open(prefix, "rb") as file:
            data = bytearray(file.read())
        for change in (data[: len(data) // 2], data[:40] + b"\xaa\xbb\xcc" + data[43:]):
            with open(prefix, "wb") as file:
                file.write(change)
            self.assert_fails(ValueError, "damaged or something else", graph, prefix)

    def test_file_that_is_not_a_checkpoint(self):
        graph, prefix = self.build()
        other = os.path.join(self.folder, "text")
        with open(other, "w") as file:
            file.write("no checkpoint at all, but longer than a footer of forty-eight bytes")
        self.assert_fails(ValueError, "text, which is damaged or something else", graph, other)

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
                w = tf.get_variable("w", initializer=_VALUE)
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

    def test_paths_with_special_characters(self):
        folder = os.path.join(self.folder, "a[1]* ?\\b")
        os.mkdir(folder)
        for version in (tf.train.SaverDef.V1, tf.train.SaverDef.V2):
            graph, prefix = self.build(version=version)
            for name in os.listdir(self.folder):
                if name.startswith("model.ckpt"):
                    os.replace(os.path.join(self.folder, name), os.path.join(folder, name))
            moved = os.path.join(folder, os.path.basename(prefix))
            frozen = graph_transforms.freeze(graph, checkpoint=moved, outputs=["y"])
            self.assert_y(frozen)
            for name in os.listdir(folder):
                os.remove(os.path.join(folder, name))
        self.assert_fails(ValueError, "got one that contains a NUL character", graph, moved + "\0x")
        self.assert_fails(FileNotFoundError, "expected a checkpoint", graph, "\udc80")

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
