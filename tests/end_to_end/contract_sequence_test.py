"""Runs export, freeze_graph and transform_graph with the flags that users know from TensorFlow.

The programs run in a new folder, on a network that was trained on digits.
"""

import os
import pathlib
import subprocess
import tempfile
from collections import Counter

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from tests import runfiles

_EXPORT = "classification/mobilenet_v1_l2norm_export"
_FREEZE = "transforms/freeze_graph"
_TRANSFORM = "transforms/transform_graph"
_NETWORK = runfiles.path("classification/digits_network")
_OUTPUT = "MobilenetV1/Predictions/Reshape_1"
_FOLD = (
    "--in_graph=frozen.pb",
    "--out_graph=folded.pb",
    "--inputs=input",
    f"--outputs={_OUTPUT}",
    "--transforms=strip_unused_nodes fold_constants",
)
_FREEZE_FLAGS = (
    f"--input_checkpoint={_NETWORK}/model.ckpt",
    f"--output_node_names={_OUTPUT}",
    "--output_graph=frozen.pb",
)


class ContractSequenceTest(absltest.TestCase):
    folder: str

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.run_program(_EXPORT, f"--checkpoint_dir={_NETWORK}", "--output_file=graph.pb")
        cls.run_program(_FREEZE, "--input_graph=graph.pb", "--input_binary", *_FREEZE_FLAGS)
        cls.printed = cls.run_program(_TRANSFORM, *_FOLD)

    @classmethod
    def run_program(cls, name: str, *flags: str, fails: bool = False) -> str:
        """Returns what a program printed: stdout, or stderr if it is expected to fail."""
        done = subprocess.run(
            [runfiles.path(name), *flags],
            cwd=cls.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if bool(done.returncode) != fails:
            raise AssertionError(f"{name}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stderr if fails else done.stdout

    def graph(self, name: str) -> tf.GraphDef:
        return tf.GraphDef.FromString(pathlib.Path(self.folder, name).read_bytes())

    def ranges(self, name: str) -> dict[str, tuple[float, float]]:
        """Returns the range of every fake-quant node."""
        graph = self.graph(name)
        nodes = {node.name: node for node in graph.node}

        def value(node: str) -> float:
            while nodes[node].op == "Identity":
                node = nodes[node].input[0]
            return float(tf.make_ndarray(nodes[node].attr["value"].tensor))

        return {
            node.name: (value(node.input[1]), value(node.input[2]))
            for node in graph.node
            if node.op == "FakeQuantWithMinMaxVars"
        }

    def run_graph(self, graph: tf.GraphDef, images: np.ndarray) -> np.ndarray:
        with tf.Graph().as_default(), tf.Session() as session:
            tf.import_graph_def(graph, name="")
            return session.run(_OUTPUT + ":0", {"input:0": images})

    def test_no_range_is_lost(self):
        before, after = self.ranges("frozen.pb"), self.ranges("folded.pb")
        self.assertLen(before, 2 * 29 + 3)
        self.assertEqual(after, before)
        self.assertIn("fold_constants kept the fake-quant nodes", self.printed)
        self.assertIn("--fold_fake_quant folds them, as TensorFlow does", self.printed)

    def test_constants_are_folded(self):
        ops = Counter(node.op for node in self.graph("folded.pb").node)
        # One norm remains: that of the embedding.
        self.assertEqual([ops[op] for op in ("Square", "Sum", "Rsqrt")], [1, 1, 1])
        self.assertEqual([ops[op] for op in ("Identity", "VariableV2", "Sub")], [0, 0, 0])

    def test_outputs_are_exactly_the_same(self):
        images = np.random.default_rng(0).uniform(-1, 1, [16, 32, 32, 3])
        before, after = (self.run_graph(self.graph(n), images) for n in ("frozen.pb", "folded.pb"))
        np.testing.assert_array_equal(after, before)
        self.assertGreater(np.ptp(before, axis=0).min(), 0)

    def test_fold_fake_quant(self):
        self.run_program(_TRANSFORM, *_FOLD, "--out_graph=lost.pb", "--fold_fake_quant")
        # Only the ranges of activations remain.
        self.assertLen(self.ranges("lost.pb"), 29 + 3)

    def test_text_as_input(self):
        self.run_program(
            _EXPORT,
            f"--checkpoint_dir={_NETWORK}",
            "--write_text_graphdef",
            "--output_file=graph.pbtxt",
        )
        flags = (*_FREEZE_FLAGS, "--output_graph=from_text.pb")
        self.run_program(_FREEZE, "--input_graph=graph.pbtxt", *flags)
        self.assertEqual(self.graph("from_text.pb"), self.graph("frozen.pb"))

    def test_errors_are_one_sentence_and_write_no_file(self):
        out = "--output_graph=none.pb"
        for program, flags, expected in (
            (_FREEZE, (), "freeze_graph: expected --input_graph, --input_checkpoint, "),
            (
                _FREEZE,
                ("--input_graph=graph.pb", *_FREEZE_FLAGS, out),
                "freeze_graph: graph.pb: expected a GraphDef in text form, got ",
            ),
            (
                _FREEZE,
                ("--input_graph=nowhere.pb", *_FREEZE_FLAGS, out),
                "freeze_graph: nowhere.pb: No such file or directory",
            ),
            (
                _FREEZE,
                ("--input_graph=graph.pb", "--input_binary", *_FREEZE_FLAGS, out)
                + ("--input_checkpoint=nowhere",),
                "freeze_graph: expected a checkpoint, got nowhere: ",
            ),
            (
                _FREEZE,
                ("--input_graph=graph.pb", "--input_binary", *_FREEZE_FLAGS)
                + ("--output_graph=no/none.pb",),
                "freeze_graph: expected a folder no to write none.pb in",
            ),
            (_TRANSFORM, (), "transform_graph: expected --in_graph, --out_graph, "),
            (
                _TRANSFORM,
                (*_FOLD, "--out_graph=none.pb", "--transforms=fold_everything"),
                'transform_graph: expected the name of a transform, got "fold_everything"; ',
            ),
            (
                _TRANSFORM,
                (*_FOLD, "--out_graph=none.pb", "--in_graph=graph.pb"),
                "transform_graph: expected a frozen graph for fold_constants, got one with ",
            ),
            (
                _TRANSFORM,
                (*_FOLD, "--out_graph=none.pb", "--outputs=nothing"),
                'transform_graph: expected a tensor of the graph as output, got "nothing"',
            ),
        ):
            self.assertStartsWith(self.run_program(program, *flags, fails=True), expected)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "none.pb")))


if __name__ == "__main__":
    absltest.main()
