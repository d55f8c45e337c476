"""Tests of the program transform_graph: its input, output, messages and errors."""

import os

import tensorflow.compat.v1 as tf
from absl.testing import absltest

from imprinting.base import program_testing
from transforms import testing, transform_graph

_FLAGS = ("--out_graph=out.pb", "--inputs=x", "--outputs=y")


class TransformGraphTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)
        graph = testing.quantised_layer()
        with open("graph.pb", "wb") as file:
            file.write(graph)
        with open("graph.pbtxt", "w") as file:
            file.write(str(tf.GraphDef.FromString(graph)))

    def run_program(self, *flags):
        return program_testing.run(transform_graph.main, *_FLAGS, *flags)

    def ops(self):
        with open("out.pb", "rb") as file:
            return testing.ops(file.read())

    def test_binary_and_text_input(self):
        for name in ("graph.pb", "graph.pbtxt"):
            status, out, err = self.run_program(
                f"--in_graph={name}", "--transforms=strip_unused_nodes"
            )
            self.assertEqual((status, err), (None, ""))
            self.assertStartsWith(out, "Applied strip_unused_nodes.\nWritten to out.pb (")
            self.assertGreater(self.ops()["MatMul"], 0)
            os.remove("out.pb")

    def test_fake_quant_nodes_are_kept_by_default(self):
        flags = ("--in_graph=graph.pb", "--transforms=fold_constants")
        message = "--fold_fake_quant folds them, as TensorFlow does."
        _, out, _ = self.run_program(*flags)
        self.assertIn(message, out)
        self.assertEqual(self.ops()["FakeQuantWithMinMaxVars"], 1)
        _, out, _ = self.run_program(*flags, "--fold_fake_quant")
        self.assertNotIn(message, out)
        self.assertEqual(self.ops()["FakeQuantWithMinMaxVars"], 0)

    def test_unknown_ops_are_reported(self):
        rename = "--transforms=rename_op(old_op_name=MatMul, new_op_name=MyMatMul)"
        status, out, _ = self.run_program("--in_graph=graph.pb", rename)
        self.assertIsNone(status)
        self.assertStartsWith(out, "TensorFlow does not know the ops MyMatMul, so ")
        self.assertEqual(self.ops()["MyMatMul"], 1)

    def test_errors_write_no_file(self):
        with open("typo.pbtxt", "w") as file:
            file.write('node { name: "x"\nopp: "Placeholder" }')
        with open("other.pb", "wb") as file:
            file.write(b"\xff" * 20)
        strip = "--transforms=strip_unused_nodes"
        for flags, message in (
            ((), "expected --in_graph, --transforms; "),
            (("--in_graph=graph.pb", "--transforms=nope"), 'expected the name of a transform'),
            (("--in_graph=graph.pb", strip, "--outputs=z"), 'expected a tensor of the graph as '),
            (("--in_graph=none.pb", strip), "none.pb: No such file or directory"),
            (
                ("--in_graph=graph.pb", "--transforms=remove_attribute(attribute_name=T)"),
                "expected a graph that TensorFlow can import, got one that it cannot: NodeDef miss",
            ),
            (("--in_graph=other.pb", strip), "expected a serialised GraphDef"),
            (("--in_graph=typo.pbtxt", strip), "expected a GraphDef in text form, got something "
             "else (line 2: "),
        ):  # fmt: skip
            status, out, err = self.run_program(*flags)
            self.assertEqual((status, out), (1, ""))
            self.assertStartsWith(err, "prog: " + message)
        self.assertFalse(os.path.exists("out.pb"))


if __name__ == "__main__":
    absltest.main()
