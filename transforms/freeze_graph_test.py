"""Tests of the program freeze_graph: its input, output, messages and errors."""

import os

import tensorflow.compat.v1 as tf
from absl.testing import absltest
from google.protobuf import text_format

from imprinting.base import program_testing
from transforms import freeze_graph, testing


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

    def test_binary_and_text_input(self):
        for flags in (
            ("--input_graph=graph.pb", "--input_binary"),
            ("--input_graph=graph.pbtxt",),
            # A common way to call TensorFlow's tool.
            ("--input_graph=graph.pbtxt", "--clear_devices=true"),
        ):
            status, out, err = self.run_program(*flags, *self.flags)
            self.assertEqual((status, err), (None, ""))
            self.assertRegex(
                out,
                r"^Frozen with model.ckpt, for outputs y.\nWritten to frozen.pb \(\d+ bytes\)\n$",
            )
            with open("frozen.pb", "rb") as file:
                frozen = file.read()
            self.assertEqual(testing.constant(frozen, "w").tolist(), [[1, 2], [3, 4]])
            os.remove("frozen.pb")

    def test_flags_of_tensorflow(self):
        binary = ("--input_graph=graph.pb", "--input_binary", *self.flags)
        names = "values are read from the checkpoint by their variables' names"
        for flags, message in (
            (("--restore_op_name=save/restore_all",), f"Ignored --restore_op_name: {names}.\n"),
            (
                # As in a command line of TensorFlow 1's own scripts.
                ("--restore_op_name", "save/restore_all", "--filename_tensor_name", "save/Const:0",
                 "--initializer_nodes=", "--input_saver=", "--variable_names_blacklist="),
                f"Ignored --restore_op_name and --filename_tensor_name: {names}.\n",
            ),
            (
                ("--checkpoint_version=2", "--saved_model_tags=serve"),
                "Ignored --checkpoint_version: the format is recognised from the checkpoint's "
                "files.\n"
                "Ignored --saved_model_tags: a graph has no tags.\n",
            ),
        ):  # fmt: skip
            status, out, err = self.run_program(*binary, *flags)
            self.assertEqual((status, err), (None, ""))
            self.assertStartsWith(out, message + "Frozen with model.ckpt, for outputs y.\n")
        os.remove("frozen.pb")
        for flag, instead in (
            ("input_saver", "a saver that uses other names is not supported"),
            ("initializer_nodes", "run them before the checkpoint is saved"),
            ("variable_names_whitelist", "omit it: all variables that the outputs depend on"),
            ("variable_names_denylist", "omit it: all variables that the outputs depend on"),
            ("input_meta_graph", "give that as --input_graph"),
            ("input_saved_model_dir", "give that as --input_graph"),
        ):
            # This error comes before that for missing flags: some of these flags replace others.
            for others in (binary, ()):
                status, out, err = self.run_program(*others, f"--{flag}=a/b")
                self.assertEqual((status, out), (1, ""))
                self.assertStartsWith(err, f"prog: expected no --{flag}, got a/b; ")
                self.assertIn(instead, err)
        self.assertFalse(os.path.exists("frozen.pb"))

    def test_frozen_graph(self):
        self.run_program("--input_graph=graph.pb", "--input_binary", *self.flags)
        os.replace("frozen.pb", "again.pb")
        # The checkpoint need not exist.
        for checkpoint in ("model.ckpt", "none"):
            status, out, err = self.run_program(
                "--input_graph=again.pb", "--input_binary", *self.flags,
                f"--input_checkpoint={checkpoint}",
            )  # fmt: skip
            self.assertEqual((status, out), (1, ""))
            self.assertStartsWith(
                err, "prog: expected outputs that depend on variables, got outputs that do not (y)"
            )
            self.assertIn("the graph has no variables, so it is frozen already", err)
        self.assertFalse(os.path.exists("frozen.pb"))

    def test_errors_write_no_file(self):
        binary = ("--input_graph=graph.pb", "--input_binary", *self.flags)
        for flags, message in (
            ((), "expected --input_graph, --input_checkpoint, --output_graph, --output_node_n"),
            (("--input_graph=graph.pb", *self.flags), "graph.pb: expected a GraphDef in text form"),
            (("--input_graph=none.pb", *self.flags), "none.pb: No such file or directory"),
            ((*binary, "--input_checkpoint=none"), "expected a checkpoint, got none: "),
            ((*binary, "--output_node_names=z"), "expected a tensor of the graph as output"),
            ((*binary, "--output_graph=none/frozen.pb"), "expected a folder none to write"),
            ((*binary, "--noclear_devices"), "expected --clear_devices"),
        ):
            status, out, err = self.run_program(*flags)
            self.assertEqual((status, out), (1, ""))
            self.assertStartsWith(err, "prog: " + message)
        self.assertFalse(os.path.exists("frozen.pb"))


if __name__ == "__main__":
    absltest.main()
