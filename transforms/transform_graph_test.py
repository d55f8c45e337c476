"""Tests of the program transform_graph: what it reads, writes and says, and how it fails."""

import os

import tensorflow.compat.v1 as tf
from absl.testing import absltest

from transforms import testing, transform_graph
from transforms.base import program_testing

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

    def test_binary_and_text(self):
        for name in ("graph.pb", "graph.pbtxt"):
            status, out, err = self.run_program(
                f"--in_graph={name}", "--transforms=strip_unused_nodes"
            )
            self.assertEqual((status, err), (None, ""))
            self.assertStartsWith(out, "Applied strip_unused_nodes.\nWritten to out.pb (")
            self.assertGreater(self.ops()["MatMul"], 0)
            os.remove("out.pb")

    def test_fake_quant_nodes_are_kept_and_that_is_said(self):
        flags = ("--in_graph=graph.pb", "--transforms=fold_constants")
        said = "--fold_fake_quant folds them, as TensorFlow's own does."
        _, out, _ = self.run_program(*flags)
        self.assertIn(said, out)
        self.assertEqual(self.ops()["FakeQuantWithMinMaxVars"], 1)
        _, out, _ = self.run_program(*flags, "--fold_fake_quant")
        self.assertNotIn(said, out)
        self.assertEqual(self.ops()["FakeQuantWithMinMaxVars"], 0)

    def test_ops_that_tensorflow_does_not_know_are_said(self):
        rename = "--transforms=rename_op(old_op_name=MatMul, new_op_name=MyMatMul)"
        status, out, _ = self.run_program("--in_graph=graph.pb", rename)
        self.assertIsNone(status)
        self.assertStartsWith(out, "TensorFlow does not know MyMatMul, so that only a program")
        self.assertEqual(self.ops()["MyMatMul"], 1)

    def test_errors_leave_nothing(self):
        with open("typo.pbtxt", "w") as file:
            file.write('node { name: "x"\nopp: "Placeholder" }')
        with open("other.pb", "wb") as file:
            file.write(b"\xff" * 20)
        strip = "--transforms=strip_unused_nodes"
        for flags, said in (
            ((), "expected --in_graph, --transforms; --help explains"),
            (("--in_graph=graph.pb", "--transforms=nope"), 'there is no transform "nope"'),
            (("--in_graph=graph.pb", strip, "--outputs=z"), 'output "z" is not in the graph'),
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
            self.assertStartsWith(err, "prog: " + said)
        self.assertFalse(os.path.exists("out.pb"))


if __name__ == "__main__":
    absltest.main()
