"""Tests of compare_with_reference.py with a recording of our own network."""

import contextlib
import io
import math
import os
import tempfile

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.base import program_testing
from tests.reference import compare_with_reference, reference_mutants
from tests.reference.compare_with_reference import GROUPS, Group, difference, worst_of_groups
from tests.reference.reference_setting import Setting

_CLASSES = 3
_HEAD = "MobilenetV1/Logits/"
# A variable for each group of gradients.
_GRADIENTS = [
    _HEAD + "scale_factor",
    "MobilenetV1/Conv2d_0/BatchNorm/gamma",
    "MobilenetV1/Conv2d_13_pointwise/BatchNorm/beta",
]
_STATISTICS = ("moving_mean", "moving_variance", "global_step")


class DifferenceTest(parameterized.TestCase):
    @parameterized.parameters(
        ([1.0, 2.0], [1.0, 2.0], False, 0.0),
        ([1.0, 2.5], [1.0, 2.0], False, 0.5),
        ([1.0, 2.5], [1.0, 2.0], True, 0.25),
        ([1.0, -3.0], [1.0, -4.0], True, 0.25),
        ([0.0, 0.0], [0.0, 0.0], True, 0.0),
        ([0.0, 1.0], [0.0, 0.0], True, math.inf),
        ([1.0, math.nan], [1.0, 2.0], False, math.inf),
        ([1.0, 2.0], [1.0, math.nan], True, math.inf),
        ([1.0, math.inf], [1.0, math.inf], False, math.inf),
        ([1.0], [1.0, 1.0], False, math.inf),
        ([], [], True, 0.0),
    )
    def test_difference(self, ours, recorded, relative, expected):
        with np.errstate(invalid="ignore"):
            actual = difference(np.array(ours), np.array(recorded), relative=relative)
        self.assertEqual(actual, expected)

    def test_a_share_of_the_numbers(self):
        recorded = np.full([100], 2.0)
        ours = recorded + np.arange(100) / 100
        ours[0] += 10
        for share, expected in ((1.0, 10.0), (0.99, 0.99), (0.985, 0.99), (0.5, 0.5)):
            actual = difference(ours, recorded, relative=False, share=share)
            self.assertAlmostEqual(actual, expected)
        self.assertAlmostEqual(difference(ours, recorded, relative=True, share=0.5), 0.25)
        ours[0] = math.nan
        self.assertEqual(difference(ours, recorded, relative=False, share=0.5), math.inf)

    def test_small_unsigned_numbers_do_not_wrap_round(self):
        ours, recorded = np.array([1], np.uint8), np.array([2], np.uint8)
        self.assertEqual(difference(ours, recorded, relative=False), 1.0)


class WorstOfGroupsTest(absltest.TestCase):
    _GROUPS = (Group("first", ("a/x",), 0.1, False), Group("rest", ("a/", "b/"), 0.1, False))

    def test_worst_of_each(self):
        recorded = {name: np.zeros(2) for name in ("a/x1", "a/x2", "a/y", "b/z")}
        ours = {name: value.copy() for name, value in recorded.items()}
        ours["a/x2"][1], ours["a/y"][0], ours["b/z"][0] = 0.5, 0.25, -2.0
        ours["other"] = np.ones(1)
        self.assertEqual(
            worst_of_groups(ours, recorded, self._GROUPS),
            [(self._GROUPS[0], 0.5, "a/x2", 2), (self._GROUPS[1], 2.0, "b/z", 2)],
        )

    def test_two_bounds_on_the_same_numbers(self):
        whole = Group("whole", ("a/",), 0.1, False)
        most = Group("most", ("a/",), 0.1, False, share=0.9)
        recorded = {"a/x": np.zeros(10)}
        ours = {"a/x": np.eye(10)[0]}
        self.assertEqual(
            worst_of_groups(ours, recorded, (whole, most)),
            [(whole, 1.0, "a/x", 1), (most, 0.0, "a/x", 1)],
        )

    def test_missing_tensors_differ_by_infinity(self):
        rows = worst_of_groups({}, {"b/z": np.zeros(1)}, self._GROUPS)
        self.assertEqual(
            rows,
            [
                (self._GROUPS[0], math.inf, "nothing recorded", 0),
                (self._GROUPS[1], math.inf, "b/z", 1),
            ],
        )

    def test_no_group(self):
        with self.assertRaisesRegex(ValueError, "group for each recorded tensor, got none for c/d"):
            worst_of_groups({}, {"c/d": np.zeros(1)}, self._GROUPS)


def _write_checkpoint(folder):
    """Writes a checkpoint of a base with random weights and depth multiplier 1/4."""
    depths = (8, 16, 32, 32, 64, 64, *(6 * (128,)), 256, 256)
    random = np.random.default_rng(1)
    kernels = {"Conv2d_0/weights": (3, 3, 3, 8)}
    for i in range(1, 14):
        before, after = depths[i - 1 : i + 1]
        kernels[f"Conv2d_{i}_depthwise/depthwise_weights"] = (3, 3, before, 1)
        kernels[f"Conv2d_{i}_pointwise/weights"] = (1, 1, before, after)
    values = {}
    for name, shape in kernels.items():
        layer, kernel = name.split("/")
        depthwise = kernel == "depthwise_weights"
        channels = shape[2] if depthwise else shape[3]
        fan_in = np.prod(shape[:2]) * (1 if depthwise else shape[2])
        values[name] = random.normal(size=shape) * np.sqrt(2 / fan_in)
        values[f"{layer}/BatchNorm/gamma"] = np.ones(channels)
        values[f"{layer}/BatchNorm/beta"] = random.normal(0.5, 0.2, channels)
        values[f"{layer}/BatchNorm/moving_mean"] = random.normal(0, 0.1, channels)
        values[f"{layer}/BatchNorm/moving_variance"] = np.ones(channels)
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [
            tf.get_variable("MobilenetV1/" + name, initializer=value.astype(np.float32))
            for name, value in values.items()
        ]
        session.run(tf.global_variables_initializer())
        return tf.train.Saver(variables).save(session, os.path.join(folder, "base.ckpt"))


def _record(checkpoint):
    """Returns a recording of the current network, in the form of the reference's."""
    random = np.random.default_rng(2)
    colours = random.integers(40, 216, [2, 8, 1, 1, 3])
    noise = random.integers(-40, 40, [2, 8, 32, 32, 3])
    recording = {
        "images": (colours + noise).astype(np.uint8),
        "labels": random.integers(0, _CLASSES, [2, 8]).astype(np.int32),
        f"head/{_HEAD}Conv2d_1c_1x1_negative/weights": random.normal(0, 0.05, [1, 1, 256, 1024]),
        f"head/{_HEAD}Conv2d_1c_1x1_negative/biases": random.normal(0, 0.05, [1024]),
        f"head/{_HEAD}Conv2d_1d_1x1_normalize/weights": random.normal(size=[1, 1, 1024, _CLASSES]),
        f"head/{_HEAD}Conv2d_1d_1x1_normalize/biases": np.zeros(_CLASSES),
        f"head/{_HEAD}scale_factor": np.array(10.0),
    }
    for tag in ("float", "quant"):
        setting = Setting(recording, checkpoint, quantize=tag == "quant")
        # Different numbers: the program must use that of the recording.
        results = setting.run(_GRADIENTS, eval_batches=1 if tag == "float" else 2)
        for name, value in results.items():
            if not name.startswith("after/") or "quant" in name or name.endswith(_STATISTICS):
                recording[f"{tag}/{name}"] = value
    return recording


class ProgramTest(parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.checkpoint = _write_checkpoint(cls.folder)
        cls.recording = _record(cls.checkpoint)

    def write(self, recording):
        path = os.path.join(self.create_tempdir().full_path, "recording.npz")
        np.savez(path, **recording)
        return path

    def run_program(self, reference, checkpoint=None):
        return program_testing.run_program(
            compare_with_reference.main,
            f"--reference={reference}",
            f"--checkpoint={checkpoint or self.checkpoint}",
        )

    def test_the_same_network_agrees(self):
        status, out, err = self.run_program(self.write(self.recording))
        self.assertIn(status, (None, 0), err)
        lines = out.splitlines()
        self.assertStartsWith(lines[0].lstrip(), "count")
        self.assertEqual(lines[-1], "All differences are within their bounds.")
        for tag, evaluated in (("float", 1), ("quant", 2)):
            (logits,) = (line.split() for line in lines if line.startswith(f"{tag:6}logits"))
            self.assertEqual(logits[2], str(evaluated))
        groups = sum(len(groups) for groups in GROUPS.values())
        self.assertLen([line for line in lines if "  ok  " in line], groups)

    def test_wrong_networks_exceed_bounds_by_far(self):
        with (
            reference_mutants.FLOAT["variance biased"](),
            reference_mutants.QUANT["kernels in 256 levels"](),
        ):
            status, out, err = self.run_program(self.write(self.recording))
        self.assertEqual(status, 1)
        self.assertStartsWith(err, "prog: expected all differences within their bounds, got larger")
        for tag, group in (
            ("float", "moving statistics"),
            ("quant", "ranges, statistics up to Conv2d_3"),
        ):
            (line,) = (line for line in out.splitlines() if line.startswith(f"{tag:6}{group} "))
            self.assertIn("EXCEEDED", line)
            worst, bound = line[46:].split()[:2]
            self.assertGreater(float(worst), 10 * float(bound))

    def test_numbers_outside_bounds_are_found(self):
        recording = dict(self.recording)
        logits = recording["quant/eval_logits/1"].copy()
        logits[3, 1] += 0.2
        recording["quant/eval_logits/1"] = logits
        recording["float/losses"] = recording["float/losses"] * np.float32(1.0001)
        for tag, name in (("float", "losses"), ("quant", "eval_logits/1")):
            ours, recorded = (
                compare_with_reference.recorded_of(r, tag) for r in (self.recording, recording)
            )
            rows = worst_of_groups(ours, recorded, GROUPS[tag])
            with contextlib.redirect_stdout(io.StringIO()) as out:
                self.assertFalse(compare_with_reference.show(tag, rows))
            exceeded = [line.split() for line in out.getvalue().splitlines() if "EXCEEDED" in line]
            self.assertEqual([(row[0], row[-1]) for row in exceeded], [(tag, name)])

    def check_error(self, result, *texts):
        status, _, err = result
        self.assertEqual(status, 1)
        self.assertLen(err.splitlines(), 1)
        self.assertStartsWith(err, "prog: ")
        for text in texts:
            self.assertIn(text, err)

    def test_missing_recording(self):
        self.check_error(self.run_program("missing.npz"), "missing.npz: No such file")

    @parameterized.parameters(b"", b"not numbers", b"PK\x03\x04 and nothing else")
    def test_not_an_npz(self, content):
        path = self.create_tempfile("other.npz", content, mode="wb").full_path
        self.check_error(self.run_program(path), f"expected an .npz file of numbers, got {path}")

    def test_a_single_array(self):
        path = os.path.join(self.create_tempdir().full_path, "array.npy")
        np.save(path, np.zeros(3))
        self.check_error(self.run_program(path), f"expected an .npz file of numbers, got {path}")

    def test_missing_checkpoint(self):
        path = self.write(self.recording)
        self.check_error(self.run_program(path, "missing.ckpt"), "expected a checkpoint", "missing")

    def test_checkpoint_of_another_network(self):
        folder = self.create_tempdir().full_path
        with tf.Graph().as_default(), tf.Session() as session:
            variable = tf.get_variable("other", initializer=1.0)
            session.run(variable.initializer)
            other = tf.train.Saver().save(session, os.path.join(folder, "other"))
        self.check_error(
            self.run_program(self.write(self.recording), other),
            "expected MobilenetV1/Conv2d_13_pointwise/weights",
        )

    @parameterized.parameters("images", "labels", f"head/{_HEAD}Conv2d_1d_1x1_normalize/weights")
    def test_incomplete_recording(self, key):
        recording = {name: value for name, value in self.recording.items() if name != key}
        self.check_error(self.run_program(self.write(recording)), key.split("/")[-1])

    def test_fewer_images_than_evaluated_batches(self):
        recording = self.recording | {f"float/eval_logits/{i}": np.zeros(1) for i in (1, 2)}
        self.check_error(
            self.run_program(self.write(recording)), "each of the 3 batches", "has 2 batches"
        )

    def test_gradient_of_an_unknown_variable(self):
        recording = self.recording | {"float/grad/other": np.zeros(1)}
        self.check_error(self.run_program(self.write(recording)), "variables of the network, got")

    def test_missing_flags(self):
        result = program_testing.run_program(compare_with_reference.main)
        self.check_error(result, "expected --reference, --checkpoint; ")


if __name__ == "__main__":
    absltest.main()
