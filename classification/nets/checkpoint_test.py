"""Tests of checkpoint.py: its contents, and the comparison with a graph's variables."""

import os

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import variable_values
from classification.nets.checkpoint import Checkpoint
from classification.nets.checkpoint_testing import save

_AVERAGE = "/ExponentialMovingAverage"


def variables(shapes):
    return [tf.get_variable(name, shape) for name, shape in shapes.items()]


class CompareTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.prefix = os.path.join(self.create_tempdir().full_path, "model.ckpt")
        self.enter_context(tf.Graph().as_default())

    def test_compares_restored_missing_and_mismatched(self):
        save(self.prefix, {"a": [2, 3], "b": [4], "unused": [1]})
        with tf.Session() as session:
            a, *_ = variables({"a": [2, 3], "b": [5], "c": []})
            comparison = Checkpoint(self.prefix).compare(tf.global_variables())
            variable_values.load(session, comparison.read())
            np.testing.assert_array_equal(session.run(a), [[0, 1, 2], [3, 4, 5]])
        self.assertEqual(comparison.names, ("a",))
        self.assertEqual(comparison.fitting, (a,))
        self.assertEqual(comparison.missing, ("c",))
        self.assertEqual(comparison.mismatched, ("b [4], not [5]",))
        self.assertEqual(
            comparison.summary(),
            f"{self.prefix}: 1 of 3 variables restored\n"
            "  1 are not in it: c\n"
            "  1 have another shape in it: b [4], not [5]",
        )

    def test_many_names_are_cut_short(self):
        save(self.prefix, {"x": []})
        comparison = Checkpoint(self.prefix).compare(variables({f"v{i}": [] for i in range(8)}))
        self.assertIn("8 are not in it: v0, v1, v2, v3, v4 and 3 more", comparison.summary())

    @parameterized.parameters("", ".index")
    def test_noise(self, ending):
        with open(self.prefix + ending, "wb") as file:
            file.write(b"noise" * 50)
        prefix = self.prefix
        with self.assertRaisesRegex(
            ValueError, f"{prefix} cannot be read as a checkpoint: .*not an sst"
        ):
            Checkpoint(prefix).compare([])

    def test_cut_short(self):
        prefix = save(os.path.join(self.create_tempdir().full_path, "cut"), {"v": [1000]})
        os.truncate(f"{prefix}.data-00000-of-00001", 3000)
        with self.assertRaisesRegex(
            ValueError, "cannot be read as a checkpoint: .+; copy it again"
        ):
            Checkpoint(prefix).read_all(variables({"v": [1000]}))
        self.assertIsNotNone(Checkpoint(prefix).damage)

    def test_read_all(self):
        save(self.prefix, {"a": [2], "b": [3]})
        (a,) = variables({"a": [2]})
        (value,) = Checkpoint(self.prefix).read_all([a]).values()
        np.testing.assert_array_equal(value, [0, 1])
        self.assertIsNone(Checkpoint(self.prefix).damage)
        with self.assertRaisesRegex(ValueError, "does not hold all of it"):
            Checkpoint(self.prefix).read_all([a, *variables({"c": []})])

    def test_require_all(self):
        save(self.prefix, {"a": [2], "b": [3]})
        complete = Checkpoint(self.prefix).compare(variables({"a": [2]}))
        complete.require_all()
        cases: list[tuple[dict[str, list[int]], str]] = [
            ({"a": [2], "c": []}, "number of classes .*\n.*\n  1 are not in it: c"),
            ({"a": [2], "b": [4]}, "number of classes .*\n.*\n  1 have another .*: b "),
            ({"a": [2], "x/weights_quant/min": []}, "float network's: leave --quantize out"),
            ({"b": [4], "x/act_quant/max": []}, "float network's: leave --quantize out"),
            ({"c": [], "x/act_quant/max": []}, "number of classes and quantisation right"),
        ]
        for shapes, expected in cases:
            with self.subTest(shapes=shapes), tf.Graph().as_default():
                comparison = Checkpoint(self.prefix).compare(variables(shapes))
                with self.assertRaisesRegex(ValueError, expected):
                    comparison.require_all()

    @parameterized.parameters(
        ("MobilenetV1/Conv2d_0/weights", [3, 3, 3, 8], True),
        ("MobilenetV1/Conv2d_13_depthwise/depthwise_weights", [3, 3, 8, 1], True),
        ("MobilenetV1/Conv2d_0/BatchNorm/beta", [8], False),
        ("MobilenetV1/MobilenetV1/Conv2d_0/weights_quant/min", [], False),
        ("MobilenetV1/Logits/Conv2d_1c_1x1_negative/weights", [1, 1, 8, 4], False),
        ("MobilenetV1/Logits/scale_factor", [], False),
        ("efficientnet-lite0/blocks_0/conv2d/kernel", [1, 1, 8, 4], True),
        ("efficientnet-lite0/blocks_0/conv2d/weights_quant/max", [4], False),
        ("efficientnet-lite0/Logits/Conv2d_1d_1x1_normalize/weights", [1, 1, 4, 3], False),
    )
    def test_require_base(self, name, shape, is_of_the_base):
        save(self.prefix, {name: shape})
        comparison = Checkpoint(self.prefix).compare(variables({name: shape, "else": [1]}))
        head = name.partition("/")[0] + "/Logits/"
        own = "mobilenet_v1" if name.startswith("Mobile") else "efficientnet_lite0"
        if is_of_the_base:
            comparison.require_base(own, head=head)
            return
        with self.assertRaisesRegex(
            ValueError, f"of {own} to .* nothing of its base; is it one of this network, and is the"
        ):
            comparison.require_base(own, head=head)
        with self.assertRaisesRegex(ValueError, f"of toy to .*; it is one of {own}: train that"):
            comparison.require_base("toy", head=head)


class ReadTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.prefix = save(self.create_tempdir().full_path + "/c", {"v": [2, 3], "w": []})

    def test_values_and_shapes(self):
        values = Checkpoint(self.prefix).read(["v", "w"])
        np.testing.assert_array_equal(values["v"], [[0, 1, 2], [3, 4, 5]])
        self.assertEqual(values["w"].shape, ())
        self.assertEqual(values["w"].dtype, np.float32)
        self.assertEqual(Checkpoint(self.prefix).shapes, {"v": [2, 3], "w": []})
        self.assertEqual(Checkpoint(self.prefix).read([]), {})

    @parameterized.parameters(
        # A published classifier with averages, and one without that of its last layer.
        ("efficientnet-lite0", ["head/dense/kernel" + _AVERAGE], True),
        ("MobilenetV1", ["Logits/Conv2d_1c_1x1/weights" + _AVERAGE], True),
        ("efficientnet-lite0", ["head/dense/kernel"], False),
        # Checkpoints of this project hold averages under the names of the variables.
        (
            "efficientnet-lite0",
            ["head/dense/kernel" + _AVERAGE, "Logits/Conv2d_1d_1x1_normalize/weights"],
            False,
        ),
        ("efficientnet-lite0", ["Logits/Conv2d_1d_1x1_normalize/weights" + _AVERAGE], False),
        ("other", ["head/dense/kernel" + _AVERAGE], False),
    )
    def test_averages_of_a_published_classifier(self, scope, others, is_read):
        # All values count from 0, so the average has another shape to tell it from its variable.
        shapes = {f"{scope}/a": [2], f"{scope}/a{_AVERAGE}": [3], f"{scope}/b": [4]}
        shapes |= {f"{scope}/{name}": [5] for name in others} | {"global_step": []}
        checkpoint = Checkpoint(save(self.prefix, shapes))
        values = checkpoint.read([f"{scope}/a", f"{scope}/b"])
        self.assertEqual(list(values), [f"{scope}/a", f"{scope}/b"])
        np.testing.assert_array_equal(values[f"{scope}/a"], np.arange(3 if is_read else 2))
        # It has no average.
        np.testing.assert_array_equal(values[f"{scope}/b"], np.arange(4))
        self.assertEqual(checkpoint.global_step, 0)

    def test_averages_are_read_into_a_graph(self):
        name = "efficientnet-lite0/head/dense/kernel"
        random = np.random.default_rng(1)
        kernel, average = random.normal(size=[2, 3, 2]).astype(np.float32)
        with tf.Graph().as_default(), tf.Session() as session:
            for path, value in ((name, kernel), (name + _AVERAGE, average)):
                tf.get_variable(path, initializer=value)
            session.run(tf.global_variables_initializer())
            tf.train.Saver().save(session, self.prefix, write_meta_graph=False)
        with tf.Graph().as_default():
            (value,) = Checkpoint(self.prefix).read_all(variables({name: [3, 2]})).values()
        np.testing.assert_array_equal(value, average)

    def test_missing_variable(self):
        with self.assertRaisesRegex(ValueError, "cannot be read as a checkpoint: .*gone"):
            Checkpoint(self.prefix).read(["v", "gone"])

    def test_damaged_data(self):
        path = self.prefix + ".data-00000-of-00001"
        with open(path, "r+b") as file:
            file.write(b"\xff")
        with self.assertRaisesRegex(ValueError, f"{self.prefix} cannot be read as a checkpoint: "):
            Checkpoint(self.prefix).read(["v", "w"])
        os.truncate(path, 10)
        with self.assertRaisesRegex(ValueError, f"{self.prefix} cannot be read as a checkpoint: "):
            Checkpoint(self.prefix).read(["v", "w"])


if __name__ == "__main__":
    absltest.main()
