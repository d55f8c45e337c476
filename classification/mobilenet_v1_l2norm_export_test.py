"""Tests of the program `export`: its flags, what it prints, and how it fails."""

import dataclasses
import os
import subprocess

import tensorflow.compat.v1 as tf
from absl.testing import absltest
from google.protobuf import text_format

from classification import mobilenet_v1_l2norm_export
from classification.base import program_testing
from classification.testing import digits_networks
from tests import runfiles

_PROGRAM = runfiles.path("classification/mobilenet_v1_l2norm_export")
_SMALL = ("--image_size=32", "--depth_multiplier=0.25")


def run(*arguments: str) -> tuple[int | str | None, str, str]:
    return program_testing.run_program(mobilenet_v1_l2norm_export.main, *arguments)


def read(path: str) -> dict[str, tf.NodeDef]:
    with open(path, "rb") as file:
        return {node.name: node for node in tf.GraphDef.FromString(file.read()).node}


def kernel(nodes: dict[str, tf.NodeDef], name: str) -> list[int]:
    return [dim.size for dim in nodes[f"MobilenetV1/{name}/weights"].attr["shape"].shape.dim]


class ExportTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        # Models are looked for below the folder where the user stands.
        self.root = os.path.realpath(self.create_tempdir().full_path)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.root)

    def write_network(self, folder: str, *, quantize: bool = False) -> str:
        config = dataclasses.replace(digits_networks.DIGITS, quantize=quantize)
        config.write(os.path.dirname(digits_networks.write_network(folder, config)))
        return folder

    def assert_fails(self, expected: str, *arguments: str) -> None:
        status, out, err = run(*arguments)
        self.assertEqual((status, out), (1, ""), msg=err)
        self.assertRegex(err, "^prog: .*" + expected)
        self.assertNotIn("Traceback", err)

    def test_newest_network_beside_its_checkpoints(self):
        self.write_network("models/a", quantize=True)
        status, out, err = run()
        self.assertEqual((status, err), (None, ""))
        self.assertEqual(
            out,
            "Network of models/a: mobilenet_v1, quantised, 10 classes, 32 x 32 pixels, depth "
            "multiplier 0.25.\n"
            "Input: input\n"
            "Output: MobilenetV1/Predictions/Reshape_1\n"
            "Written to models/a/inference_graph.pb\n",
        )
        nodes = read("models/a/inference_graph.pb")
        self.assertEqual(kernel(nodes, "Conv2d_13_pointwise"), [1, 1, 256, 256])
        self.assertEqual(kernel(nodes, "Logits/Conv2d_1d_1x1_normalize"), [1, 1, 1024, 10])
        self.assertIn("FakeQuantWithMinMaxVars", {node.op for node in nodes.values()})

    def test_a_named_network_as_text(self):
        self.write_network("models/newer")
        self.write_network("here")
        for path in ("here", "here/model.ckpt-1234"):
            _, out, _ = run(f"--checkpoint_dir={path}", "--write_text_graphdef")
            self.assertIn("Written to here/inference_graph.pbtxt\n", out)
        with open("here/inference_graph.pbtxt") as file:
            graph = text_format.Parse(file.read(), tf.GraphDef())
        self.assertIn("input", [node.name for node in graph.node])

    def test_flags_alone(self):
        self.write_network("models/a")
        status, out, _ = run(*_SMALL, "--num_classes=3", "--output_file=g.pb", "--batch_size=1")
        self.assertIsNone(status)
        self.assertStartsWith(
            out, "Network described by flags: mobilenet_v1, float, 3 classes, 32 x 32 "
        )
        nodes = read("g.pb")
        self.assertEqual(kernel(nodes, "Logits/Conv2d_1d_1x1_normalize"), [1, 1, 1024, 3])
        self.assertEqual(
            [dim.size for dim in nodes["input"].attr["shape"].shape.dim], [1, 32, 32, 3]
        )
        self.assert_fails("expected --output_file with flags that describe a network", *_SMALL)

    def test_defaults_where_there_is_no_network_yet(self):
        _, out, _ = run("--output_file=g.pb")
        self.assertIn("mobilenet_v1, float, 1001 classes, 224 x 224 pixels.\n", out)
        self.assertEqual(kernel(read("g.pb"), "Conv2d_0"), [3, 3, 3, 32])

    def test_is_training(self):
        run(*_SMALL, "--num_classes=3", "--output_file=g.pb", "--is_training")
        norms = [n for n in read("g.pb").values() if n.op == "FusedBatchNormV3"]
        self.assertEqual({n.attr["is_training"].b for n in norms}, {True})

    def test_embedding(self):
        self.write_network("models/a", quantize=True)
        _, out, _ = run("--num_classes=0", "--checkpoint_dir=models/a")
        self.assertIn("quantised, up to the embedding, 32 x 32", out)
        self.assertIn(
            "\nOutput: MobilenetV1/Logits/Normalize_1a/activation_Mul_quant/"
            "FakeQuantWithMinMaxVars\n",
            out,
        )

    def test_checkpoint_without_model_json(self):
        config = dataclasses.replace(
            digits_networks.DIGITS, quantize=True, learned_embedding_range=True
        )
        digits_networks.write_network("bare", config)
        flags = ["--checkpoint_dir=bare", *_SMALL, "--quantize"]
        for wrong in (["--num_classes=9"], ["--num_classes=10", "--depth_multiplier=0.5"]):
            wrong.append("--learned_embedding_range")
            self.assert_fails("expected a checkpoint of this network", *flags, *wrong)
        self.assertFalse(os.path.exists("bare/inference_graph.pb"))
        status, out, _ = run(*flags, "--num_classes=10")
        self.assertIsNone(status)
        self.assertStartsWith(
            out, "No model.json in bare: the embedding's range is that of the checkpoint, -6..6, "
        )
        learned = "MobilenetV1/Logits/Normalize_1a/activation_Mul_quant/max"
        self.assertIn(learned, read("bare/inference_graph.pb"))
        # What is said by hand wins.
        _, out, _ = run(*flags, "--num_classes=10", "--learned_embedding_range=false")
        self.assertStartsWith(out, "Network of bare: mobilenet_v1, quantised, 10 classes")
        self.assertNotIn(learned, read("bare/inference_graph.pb"))

    def test_model_json_of_another_network(self):
        self.write_network("models/a")
        dataclasses.replace(digits_networks.DIGITS, quantize=True).write("models/a")
        self.assert_fails("expected a checkpoint of this network, .*leave --quantize out")
        # A graph for training may be for a checkpoint that has less.
        self.assertIsNone(run("--is_training")[0])

    def test_errors(self):
        self.assert_fails(f"a folder below {self.root}/models; .* train one first")
        self.assert_fails("got missing: there is no such folder", "--checkpoint_dir=missing")
        self.write_network("models/a")
        self.assert_fails(
            "--depth_multiplier=1.0 contradicts models/a/model.json, which says 0.25",
            "--checkpoint_dir=models/a",
            "--depth_multiplier=1",
        )
        self.assert_fails("expected a folder no to write g.pb in", "--output_file=no/g.pb")
        self.assert_fails("got the folder models", "--output_file=models")
        self.assert_fails("batch_size to be at least 1, got 0", "--batch_size=0")
        self.assert_fails(
            "at least 32 x 32 pixels, got 8 x 8", "--image_size=8", "--output_file=g.pb"
        )
        self.assert_fails("num_classes to be above 0", "--num_classes=-1", "--output_file=g.pb")
        self.assertFalse(os.path.exists("g.pb"))


class ProcessTest(absltest.TestCase):
    def test_same_bytes_from_another_process(self):
        folder = self.create_tempdir().full_path
        paths = [os.path.join(folder, name) for name in ("a.pb", "b.pb")]
        arguments = [*_SMALL, "--num_classes=3", "--quantize", "--is_training"]
        done = subprocess.run(
            [_PROGRAM, *arguments, f"--output_file={paths[0]}"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, msg=done.stderr)
        self.assertIn(f"Written to {paths[0]}\n", done.stdout)
        run(*arguments, f"--output_file={paths[1]}")
        contents = []
        for path in paths:
            with open(path, "rb") as file:
                contents.append(file.read())
        self.assertEqual(*contents)


if __name__ == "__main__":
    absltest.main()
