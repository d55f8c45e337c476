"""Tests of the program freeze_graph: what it writes, and how it fails."""

import os

import tensorflow.compat.v1 as tf
from absl.testing import absltest
from google.protobuf import text_format

from transforms import freeze_graph, program_testing, testing


class FreezeGraphTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)
        with tf.Graph().as_default() as graph, tf.Session() as session:
            x = tf.placeholder(tf.float32, [1, 2], name="x")
            w = tf.get_variable("w", initializer=[[1.0, 2.0], [3.0, 4.0]])
            tf.identity(tf.matmul(x, w), name="y")
            session.run(tf.global_variables_initializer())
            testing.save(".", session)
        graph_def = graph.as_graph_def()
        with open("graph.pb", "wb") as file:
            file.write(graph_def.SerializeToString())
        with open("graph.pbtxt", "w") as file:
            file.write(text_format.MessageToString(graph_def))
        self.flags = (
            "--input_checkpoint=model.ckpt",
            "--output_node_names=y",
            "--output_graph=frozen.pb",
        )

    def run_program(self, *flags):
        return program_testing.run(freeze_graph.main, *flags)

    def test_binary_and_text(self):
        for flags in (
            ("--input_graph=graph.pb", "--input_binary"),
            ("--input_graph=graph.pbtxt",),
            # As people give it to TensorFlow's tool.
            ("--input_graph=graph.pbtxt", "--clear_devices=true"),
        ):
            status, out, err = self.run_program(*flags, *self.flags)
            self.assertEqual((status, err), (None, ""))
            self.assertRegex(
                out, r"^Frozen with model.ckpt up to y.\nWritten to frozen.pb \(\d+ bytes\)\n$"
            )
            with open("frozen.pb", "rb") as file:
                frozen = file.read()
            self.assertEqual(testing.constant(frozen, "w").tolist(), [[1, 2], [3, 4]])
            os.remove("frozen.pb")

    def test_errors_leave_nothing(self):
        binary = ("--input_graph=graph.pb", "--input_binary", *self.flags)
        for flags, said in (
            ((), "expected --input_graph, --input_checkpoint, --output_graph, --output_node_n"),
            (("--input_graph=graph.pb", *self.flags), "graph.pb: expected a GraphDef in text form"),
            (("--input_graph=none.pb", *self.flags), "none.pb: No such file or directory"),
            ((*binary, "--input_checkpoint=none"), "expected a checkpoint, got none: "),
            ((*binary, "--output_node_names=z"), 'output "z" is not in the graph'),
            ((*binary, "--output_graph=none/frozen.pb"), "expected a folder none to write"),
            ((*binary, "--noclear_devices"), "expected --clear_devices"),
        ):
            status, out, err = self.run_program(*flags)
            self.assertEqual((status, out), (1, ""))
            self.assertStartsWith(err, "prog: " + said)
        self.assertFalse(os.path.exists("frozen.pb"))


if __name__ == "__main__":
    absltest.main()
