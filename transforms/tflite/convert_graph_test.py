"""Tests of the conversion program."""

import os
import subprocess

from absl.testing import absltest

from tests import runfiles
from transforms.base import program_testing
from transforms.tflite import convert_graph, testing

_PROGRAM = runfiles.path("transforms/tflite/convert_graph")


class ConvertGraphTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        folder = self.create_tempdir().full_path
        self.graph, self.output = (os.path.join(folder, n) for n in ("a.pb", "a.tflite"))
        self.arguments = [f"--graph={self.graph}", f"--output={self.output}"]

    def write(self, graph_def):
        with open(self.graph, "wb") as file:
            file.write(graph_def.SerializeToString())

    def test_another_process_writes_the_same_bytes_and_is_quiet(self):
        self.write(testing.small().folded)
        # As a build's action is run: without a home.
        done = subprocess.run(
            [_PROGRAM, *self.arguments], capture_output=True, text=True, env={"PATH": "/bin"}
        )
        size = f"{len(testing.small().model):,}"
        said = f"Converted: quantised, {size} bytes, {self.output}\n"
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, said, ""))
        with open(self.output, "rb") as file:
            self.assertEqual(file.read(), testing.small().model)

    def test_float(self):
        self.write(testing.small(quantise=False).folded)
        status, out, _ = program_testing.run(convert_graph.main, *self.arguments)
        self.assertIsNone(status)
        self.assertStartsWith(out, "Converted: float, ")

    def test_errors(self):
        def fails(expected):
            status, out, err = program_testing.run(convert_graph.main, *self.arguments)
            self.assertEqual((status, out), (1, ""))
            self.assertRegex(err, f"(?m)^prog: .*{expected}")
            self.assertFalse(os.path.exists(self.output))

        fails(f"{self.graph}: No such file")
        self.write(testing.small().frozen)
        fails(f"{self.graph}: expected a folded graph")
        self.write(testing.small().folded)
        self.arguments[1] += "/no/b.tflite"
        fails("expected a folder ")


if __name__ == "__main__":
    absltest.main()
