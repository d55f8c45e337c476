"""Runs train, eval and export one after the other in a new folder."""

import os
import pathlib
import re
import subprocess
import tempfile
from collections import Counter

import tensorflow.compat.v1 as tf
from absl.testing import absltest

from tests import runfiles

_PROGRAMS = runfiles.path("classification")
_NETWORK = _PROGRAMS / "digits_network"

# Kernels: Conv2d_0, thirteen depthwise and thirteen pointwise ones, and two of the head.
_KERNELS = 1 + 2 * 13 + 2
# Activations: the outputs of the base's layers, of the average pool and of the head's first
# convolution, the embedding, the cosines and the logits. The reference has one fewer: it does not
# quantise the average pool's output, as a .tflite does.
_ACTIVATIONS = (1 + 2 * 13) + 5


class EndToEndTest(absltest.TestCase):
    outputs: dict[str, str]
    folder: str

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        # Too few steps to learn anything. Another test checks the network that the build trains.
        steps = ("--number_of_steps=20", "--quant_delay=10", "--save_summaries_secs=0")
        cls.outputs = {
            name: cls.run_program(name, *flags)
            for name, flags in (("train", steps), ("eval", ()), ("export", ()))
        }

    @classmethod
    def run_program(cls, name: str, *flags: str) -> str:
        """Returns what a program printed on stdout."""
        done = subprocess.run(
            [_PROGRAMS / f"mobilenet_v1_l2norm_{name}", *flags],
            cwd=cls.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{name} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def path(self, name: str, pattern: str) -> str:
        """Returns a path that a program printed, in the folder where it ran."""
        match = re.search(pattern, self.outputs[name])
        assert match is not None, self.outputs[name]
        return os.path.join(self.folder, match[1])

    def accuracy(self, printed: str) -> float:
        """Returns the accuracy on the held-out images in percent."""
        match = re.search(r"Accuracy: (\S+) % \(\d+ of 360 images\)", printed)
        assert match is not None, printed
        return float(match[1])

    def test_eval_finds_the_network(self):
        trained = self.path("train", r"The network is in (\S+)\.\n")
        evaluated = self.path("eval", r"^Evaluating (\S+) \(step 20\), mobilenet_v1, on digits: ")
        self.assertEqual(os.path.dirname(evaluated), trained)
        self.accuracy(self.outputs["eval"])

    def test_accuracy_of_the_network_that_the_build_trains(self):
        printed = self.run_program("eval", f"--checkpoint_dir={_NETWORK}")
        # It is 98 % or 99 %, depending on the processor.
        self.assertGreaterEqual(self.accuracy(printed), 90.0)

    def test_export_writes_the_quantised_graph(self):
        path = self.path("export", r"Written to (\S+)\n")
        self.assertEqual(os.path.dirname(path), self.path("train", r"network is in (\S+)\.\n"))
        graph = tf.GraphDef.FromString(pathlib.Path(path).read_bytes())
        names = {node.name for node in graph.node}
        self.assertContainsSubset({"input", "MobilenetV1/Predictions/Reshape_1"}, names)
        ops = Counter(node.op for node in graph.node)
        self.assertEqual(ops["FakeQuantWithMinMaxVars"], _KERNELS + _ACTIVATIONS)


if __name__ == "__main__":
    absltest.main()
