"""Tests of the parts of the benchmark on a small network, without their times."""

import os
import re
import stat
import tempfile

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.nets import model_config
from classification.nets.model_config import ModelConfig
from tests.benchmarks import freeze_to_tflite, measuring, networks, steps, target_build
from tests.benchmarks.measuring import Measured
from tests.benchmarks.target_build import Build

_CONFIG = ModelConfig(image_size=96, depth_multiplier=0.25, num_classes=100, quantize=True)
_BAZELW = """#!/bin/sh
echo "$PYTHONPATH $*" >> commands
cp "$CHECKPOINT.index" "$CHECKPOINT".data-* "$(dirname "$CHECKPOINT")/model.json" .
cat model.ckpt.data-* | cksum >> sums
echo "INFO: 7 processes: 2 internal, 5 linux-sandbox."
test ! -e fail
"""


class NetworkTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        scratch = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.folder = os.path.join(scratch, "network")
        networks.prepare(cls.folder, "", _CONFIG)
        cls.checkpoint = os.path.join(cls.folder, steps.CHECKPOINT)

    def nodes(self, name):
        with open(os.path.join(self.folder, name), "rb") as file:
            graph = tf.GraphDef.FromString(file.read())
        # Names of folded nodes contain a number.
        return {(re.sub(r"/_\d+__cf__\d+$", "", node.name), node.op) for node in graph.node}

    def test_our_steps_and_tensorflows_give_the_same_graphs(self):
        for name in steps.STEPS:
            times = steps.run(name, self.folder, 1)
            self.assertGreater(times.first, 0)
            self.assertLen(times.others, 1)
        for name in ("model", "extractor", "head", "checked"):
            self.assertGreater(os.path.getsize(os.path.join(self.folder, f"{name}.tflite")), 1000)
        frozen, folded = self.nodes("frozen.pb"), self.nodes("folded.pb")
        self.assertNotIn("VariableV2", {op for _, op in frozen})
        self.assertEqual(self.nodes("freeze_graph.pb"), frozen)
        self.assertEqual(self.nodes("convert_variables.pb"), frozen)
        self.assertLess(len(folded), len(frozen))
        self.assertEqual(self.nodes("transform_graph.pb"), folded)
        self.assertNotEmpty(self.nodes("optimize_for_inference.pb"))

    def test_a_given_checkpoint(self):
        folder = os.path.join(self.create_tempdir().full_path, "network")
        networks.prepare(folder, self.checkpoint, ModelConfig())
        self.assertEqual(model_config.read(folder), model_config.read(self.folder))
        images = np.load(os.path.join(folder, steps.IMAGES))
        self.assertEqual(images.shape, (steps.NUM_IMAGES, 96, 96, 3))

    def test_a_step_in_another_process(self):
        measured = measuring.step("imports", self.folder, 2)
        self.assertGreater(measured.first, measured.median)
        self.assertBetween(measured.peak, 50e6, 5e9)

    def test_a_step_that_fails(self):
        with self.assertRaisesRegex(RuntimeError, "exit status 0 .*--step=freeze.*, got 1"):
            measuring.step("freeze", self.create_tempdir().full_path, 1)

    def test_a_changed_copy(self):
        prefix = os.path.join(self.create_tempdir().full_path, "copy")
        networks.change(self.checkpoint, prefix, 3)
        old, new = tf.train.load_checkpoint(self.checkpoint), tf.train.load_checkpoint(prefix)
        names = old.get_variable_to_shape_map()
        self.assertCountEqual(new.get_variable_to_shape_map(), names)
        changed = [np.sum(old.get_tensor(name) != new.get_tensor(name)) for name in names]
        self.assertEqual(sum(changed), 1)

    def test_builds(self):
        workspace, folder = (self.create_tempdir(name).full_path for name in ("bazel", "copies"))
        path = os.path.join(workspace, "bazelw")
        with open(path, "w") as file:
            file.write(_BAZELW)
        os.chmod(path, stat.S_IRWXU)
        builds = target_build.measure(workspace, self.checkpoint, folder, ["--//:quantize"])
        self.assertEqual(list(builds), ["all cold", "checkpoint changed", "nothing changed"])
        self.assertEqual(builds["all cold"].processes, "7 processes: 2 internal, 5 linux-sandbox")
        with open(os.path.join(workspace, "commands")) as file:
            self.assertRegex(
                file.read(),
                r"^( build frozen_tflite --action_env=FREEZE_TO_TFLITE=(\d+) --//:quantize\n)\1\1$",
            )
        with open(os.path.join(workspace, "sums")) as file:
            cold, changed, unchanged = file.read().splitlines()
        self.assertNotEqual(cold, changed)
        self.assertEqual(changed, unchanged)
        self.create_tempfile("bazel/fail")
        with self.assertRaisesRegex(RuntimeError, "to build, got:\nINFO: 7"):
            target_build.measure(workspace, self.checkpoint, folder, [])


class TextTest(absltest.TestCase):
    def test_steps(self):
        measured = {
            name: Measured(first=0.2, median=0.06, peak=200 << 20) for name in steps.STEPS
        } | {"freeze_graph": Measured(first=0.5, median=0.24, peak=300 << 20)}
        text = "\n".join(freeze_to_tflite.step_lines(measured, 5))
        self.assertRegex(text, r"\nimports +0\.200 s +200 MiB\n")
        self.assertRegex(text, r"\nfreeze_graph +0\.500 s +0\.240 s +300 MiB\n")
        self.assertIn("freeze / freeze_graph: 0.25 and 0.40 (", text)
        self.assertIn("freeze + fold, medians: 0.12 s, at most 0.15 s: met", text)
        self.assertIn("freeze + fold, first runs: 0.4 s, at most 0.15 s: missed", text)
        self.assertIn("freeze_graph + transform_graph: 0.4, at most 1: met", text)

    def test_builds(self):
        build = Build(1.5, "3 processes")
        lines = freeze_to_tflite.build_lines(
            dict.fromkeys(("all cold", "checkpoint changed", "nothing changed"), build)
        )
        self.assertEqual(
            lines[1:],
            [
                "frozen_tflite, checkpoint changed: 1.5 s, at most 60 s: met (3 processes)",
                "frozen_tflite, nothing changed: 1.5 s, at most 1 s: missed (3 processes)",
            ],
        )


if __name__ == "__main__":
    absltest.main()
