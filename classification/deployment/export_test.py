"""Tests of export.py: the exported graph is the requested network, and its file is complete."""

import functools
import os
from collections import Counter

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized
from google.protobuf import text_format

from classification.deployment import export
from classification.nets.model_config import ModelConfig

_SMALL = ModelConfig(image_size=32, depth_multiplier=0.25, num_classes=7)
_QUANTISED = ModelConfig(image_size=32, depth_multiplier=0.25, num_classes=7, quantize=True)

# Tests that do not change the graph share it.
built = functools.cache(export.build)


def nodes(graph: export.InferenceGraph) -> dict[str, tf.NodeDef]:
    return {node.name: node for node in graph.graph_def.node}


def ops(graph: export.InferenceGraph) -> Counter[str]:
    return Counter(node.op for node in graph.graph_def.node)


def shape_of(graph: export.InferenceGraph, name: str) -> list[int | None]:
    """The static shape of a node's output, after the graph was read from the file."""
    with tf.Graph().as_default() as imported:
        tf.import_graph_def(graph.graph_def, name="")
        return imported.get_tensor_by_name(name + ":0").shape.as_list()


class GraphTest(parameterized.TestCase):
    @parameterized.parameters(None, 1, 8)
    def test_input_and_output(self, batch_size):
        graph = built(model=_SMALL, batch_size=batch_size)
        self.assertEqual(graph.input_name, "input")
        self.assertEqual(graph.output_name, "MobilenetV1/Predictions/Reshape_1")
        placeholder = nodes(graph)["input"]
        self.assertEqual(placeholder.op, "Placeholder")
        self.assertEqual(placeholder.attr["dtype"].type, tf.float32.as_datatype_enum)
        self.assertEqual(shape_of(graph, "input"), [batch_size, 32, 32, 3])
        self.assertEqual(shape_of(graph, graph.output_name), [batch_size, 7])
        self.assertEqual(ops(graph)["Placeholder"], 1)

    @parameterized.parameters((0.25, 32, 8, 256), (0.5, 64, 16, 512), (1.0, 96, 32, 1024))
    def test_depth_multiplier_and_image_size(self, multiplier, size, first, last):
        model = ModelConfig(image_size=size, depth_multiplier=multiplier, num_classes=7)
        graph = export.build(model=model)
        base = "MobilenetV1/Conv2d_{}/weights"
        self.assertEqual(shape_of(graph, base.format("0")), [3, 3, 3, first])
        self.assertEqual(shape_of(graph, base.format("13_pointwise")), [1, 1, last, last])
        self.assertEqual(shape_of(graph, "input"), [None, size, size, 3])

    def test_is_training(self):
        inference, training = (built(model=_SMALL, is_training=value) for value in (False, True))
        for graph, expected in ((inference, False), (training, True)):
            norms = [n for n in graph.graph_def.node if n.op == "FusedBatchNormV3"]
            self.assertLen(norms, 27)
            self.assertEqual({n.attr["is_training"].b for n in norms}, {expected})
            dropout = [name for name in nodes(graph) if "/Dropout_1b/" in name]
            self.assertEqual(bool(dropout), expected)
        moves = ops(training)["AssignSubVariableOp"] + ops(training)["AssignSub"]
        self.assertEqual(moves, 2 * 27)
        self.assertEqual(ops(inference)["AssignSub"], 0)

    def test_is_training_quantised(self):
        inference, training = (
            built(model=_QUANTISED, is_training=value) for value in (False, True)
        )
        # Ranges and statistics are given their first values by Assign, one each.
        for graph, moving in ((inference, False), (training, True)):
            moved = ops(graph)["Assign"] > ops(graph)["VariableV2"]
            self.assertEqual(moved, moving)
        # In each layer, one computes the batch's statistics, and one applies them.
        self.assertEqual(ops(training)["FusedBatchNormV3"], 2 * 27)
        self.assertEqual(ops(inference)["FusedBatchNormV3"], 0)

    def test_fake_quant_nodes(self):
        self.assertEqual(ops(export.build(model=_SMALL))["FakeQuantWithMinMaxVars"], 0)
        graph = built(model=_QUANTISED)
        # Kernels and results of 29 convolutions; pool, embedding and scaled logits.
        self.assertEqual(ops(graph)["FakeQuantWithMinMaxVars"], 2 * 29 + 3)
        narrow = [
            n.name
            for n in graph.graph_def.node
            if n.op == "FakeQuantWithMinMaxVars" and n.attr["narrow_range"].b
        ]
        self.assertLen(narrow, 29)

    @parameterized.parameters(_SMALL, _QUANTISED)
    def test_embedding_only(self, model):
        graph = built(model=model, embedding_only=True)
        self.assertStartsWith(graph.output_name, "MobilenetV1/Logits/Normalize_1a/")
        self.assertEqual(shape_of(graph, graph.output_name), [None, 1, 1, 1024])
        self.assertFalse([name for name in nodes(graph) if "Conv2d_1d" in name or "Pred" in name])

    def test_runs_where_nothing_of_ours_is_known(self):
        graph = export.build(model=_SMALL, batch_size=2)
        with tf.Graph().as_default(), tf.Session() as session:
            tf.import_graph_def(graph.graph_def, name="")
            # The variables' first values are in the graph; no collection comes with it.
            session.run([n.name for n in graph.graph_def.node if n.name.endswith("/Assign")])
            images = np.random.default_rng(0).uniform(-1, 1, [2, 32, 32, 3])
            result = session.run(graph.output_name + ":0", {graph.input_name + ":0": images})
        np.testing.assert_allclose(result.sum(axis=1), [1, 1], rtol=1e-5)
        self.assertTrue((result > 0).all())

    def test_training_graph_names_no_function_of_this_process(self):
        graph = built(model=_QUANTISED, is_training=True)
        self.assertFalse(
            [n.name for n in graph.graph_def.node if "_gradient_op_type" in n.attr],
        )

    @parameterized.parameters(0, -1)
    def test_bad_batch_size(self, batch_size):
        with self.assertRaisesRegex(ValueError, f"batch_size to be at least 1, got {batch_size}"):
            export.build(model=_SMALL, batch_size=batch_size)

    def test_image_too_small(self):
        model = ModelConfig(image_size=31, depth_multiplier=0.25, num_classes=7)
        with self.assertRaisesRegex(ValueError, "at least 32 x 32 pixels, got 31 x 31"):
            export.build(model=model)


class WriteTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.path = os.path.join(self.folder, "graph")

    def read(self) -> bytes:
        with open(self.path, "rb") as file:
            return file.read()

    def test_text_and_binary_are_the_same_graph(self):
        graph = built(model=_QUANTISED)
        graph.write(self.path)
        binary = tf.GraphDef.FromString(self.read())
        graph.write(self.path, text=True)
        text = text_format.Parse(self.read(), tf.GraphDef())
        self.assertEqual(binary, graph.graph_def)
        self.assertEqual(text, graph.graph_def)
        self.assertEqual(os.listdir(self.folder), ["graph"])

    def test_equal_graphs_give_equal_bytes(self):
        for model, is_training in ((_SMALL, False), (_QUANTISED, True)):
            graphs = [export.build(model=model, is_training=is_training) for _ in range(2)]
            for text in (False, True):
                contents = set()
                for graph in graphs:
                    graph.write(self.path, text=text)
                    contents.add(self.read())
                self.assertLen(contents, 1)

    def test_what_cannot_be_written_changes_nothing(self):
        graph = export.build(model=_SMALL)
        with self.assertRaises(FileNotFoundError):
            graph.write(os.path.join(self.folder, "missing", "graph"))
        with self.assertRaises(IsADirectoryError):
            graph.write(self.folder)
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    absltest.main()
