"""Tests of the program that makes a .tflite."""

import os
import subprocess

import tensorflow.compat.v1 as tf
from absl.testing import absltest

from imprinting.base import program_testing
from tests import runfiles
from transforms.conversion import make_tflite, testing

_PROGRAM = runfiles.path("transforms/conversion/make_tflite")
_OUTPUTS = ("frozen", "folded", "model", "extractor", "head")


class MakeTfliteTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.graph = self.path("graph.pb")
        self.flags = {
            "graph": self.graph,
            "checkpoint": self.path("model.ckpt"),
            "input_name": "input",
            "output_name": "probabilities",
        } | {name: self.path(name) for name in _OUTPUTS}

    def path(self, name):
        return os.path.join(self.folder, name)

    def arguments(self):
        return [f"--{name}={value}" for name, value in self.flags.items()]

    def write_network(self, *, quantise=True):
        """Writes the small network, its last kernel in a checkpoint."""
        frozen = testing.small(quantise=quantise).frozen
        shape = [1, 1, testing.EMBEDDING, testing.CLASSES]
        (kernel,) = (
            node
            for node in frozen.node
            if node.op == "Const" and tf.make_ndarray(node.attr["value"].tensor).shape == (*shape,)
        )
        with tf.Graph().as_default() as graph, tf.Session() as session:
            variable = tf.Variable(tf.make_ndarray(kernel.attr["value"].tensor), name="kernel")
            tf.import_graph_def(frozen, {kernel.name + ":0": variable.value()}, name="")
            session.run(variable.initializer)
            tf.train.Saver().save(session, self.flags["checkpoint"], write_meta_graph=False)
            with open(self.graph, "wb") as file:
                file.write(graph.as_graph_def().SerializeToString())

    def read(self, name):
        with open(self.flags[name], "rb") as file:
            return file.read()

    def assert_fails(self, expected):
        status, out, err = program_testing.run(make_tflite.main, *self.arguments())
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, f"(?m)^prog: .*{expected}")
        for name in _OUTPUTS:
            self.assertFalse(os.path.exists(self.flags[name]), name)

    def test_program_writes_the_same_bytes_and_no_warnings(self):
        self.write_network()
        # Without a home folder, as in an action of the build.
        done = subprocess.run(
            [_PROGRAM, *self.arguments()], capture_output=True, text=True, env={"PATH": "/bin"}
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertStartsWith(done.stdout, "Quantised. Written:\n")
        small = testing.small()
        for name, expected in (
            ("model", small.model),
            ("extractor", small.extractor),
            ("head", small.head),
        ):
            self.assertEqual(self.read(name), expected, name)
            self.assertIn(f"{len(expected):,} bytes  {self.flags[name]}\n", done.stdout)
        for name in ("frozen", "folded"):
            self.assertNotIn(
                "VariableV2", {node.op for node in tf.GraphDef.FromString(self.read(name)).node}
            )

    def test_float(self):
        self.write_network(quantise=False)
        status, out, _ = program_testing.run(make_tflite.main, *self.arguments())
        self.assertIsNone(status)
        self.assertStartsWith(out, "Float. ")

    def test_missing_flags(self):
        status, _, err = program_testing.run(make_tflite.main, "--graph=a")
        self.assertEqual(status, 1)
        self.assertStartsWith(err, "prog: expected --checkpoint; ")

    def test_missing_graph(self):
        self.assert_fails(f"{self.graph}: No such file")

    def test_missing_checkpoint(self):
        self.write_network()
        self.flags["checkpoint"] += "-gone"
        self.assert_fails("model.ckpt-gone")

    def test_output_that_the_graph_lacks(self):
        self.write_network()
        self.flags["output_name"] = "nothing"
        self.assert_fails(f"{self.graph}: .*nothing")

    def test_graph_that_is_not_a_classifier(self):
        self.write_network()
        self.flags["output_name"] = "classes"
        self.assert_fails(f"{self.graph}: .*Softmax")

    def test_missing_folder(self):
        self.write_network()
        self.flags["head"] = self.path("no/head.tflite")
        self.assert_fails("expected a folder ")


if __name__ == "__main__":
    absltest.main()
