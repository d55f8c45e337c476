"""Tests of model_flags.py."""

import os
from typing import Any

import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import checkpoints, fake_quant, model_flags
from classification.nets.model_config import ModelConfig

_RANGE = "MobilenetV1/Logits/Normalize_1a/activation_Mul_quant"


class ResolveTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path

    def save(self, variables: dict[str, float], *, quantised: bool = True) -> str:
        """Writes a checkpoint, and returns its prefix."""
        if quantised:
            variables = {"MobilenetV1/MobilenetV1/Conv2d_0/act_quant/max": 6.0, **variables}
        with tf.Graph().as_default(), tf.Session() as session:
            for name, value in {"scale_factor": 10.0, **variables}.items():
                tf.get_variable(name, initializer=value)
            session.run(tf.global_variables_initializer())
            return tf.train.Saver().save(session, os.path.join(self.folder, "model.ckpt"))

    def resolve(self, path: str, **values: Any) -> tuple[ModelConfig, str]:
        """Returns the network and the messages."""
        lines: list[str] = []
        model = model_flags.resolve(checkpoints.find(path), values, say=lines.append)
        return model, "\n".join(lines)

    @parameterized.parameters(
        ((-0.25, 0.5), True),
        ((-1.0, 1.0), True),
        (fake_quant.TFLITE_L2_NORM_RANGE, False),
        (None, False),
    )
    def test_embedding_range_without_model_json(self, limits, learned):
        names = (f"{_RANGE}/min", f"{_RANGE}/max")
        prefix = self.save(dict(zip(names, limits, strict=True)) if limits else {})
        for path in (self.folder, prefix):
            model, out = self.resolve(path, quantize=True, num_classes=7)
            self.assertEqual(
                model, ModelConfig(num_classes=7, quantize=True, learned_embedding_range=learned)
            )
            if learned:
                self.assertStartsWith(out, f"No model.json in {self.folder}: ")
                self.assertIn(f"{limits[0]:g}..{limits[1]:g}, as --learned_embedding_range", out)
                self.assertLen(out.splitlines(), 1)
            else:
                self.assertEqual(out, "")

    def test_flags_and_file_override_the_checkpoint(self):
        self.save({f"{_RANGE}/min": -0.25, f"{_RANGE}/max": 0.5})
        for value in (False, True):
            model, out = self.resolve(self.folder, quantize=True, learned_embedding_range=value)
            self.assertEqual((model.learned_embedding_range, out), (value, ""))
        known = ModelConfig(quantize=True)
        known.write(self.folder)
        self.assertEqual(self.resolve(self.folder, quantize=True), (known, ""))
        with self.assertRaisesRegex(ValueError, "--learned_embedding_range=True contradicts"):
            self.resolve(self.folder, learned_embedding_range=True)

    @parameterized.parameters("weights_quant", "act_quant", "activation_Mul_quant")
    def test_reads_quantisation_from_the_checkpoint(self, scope):
        prefix = self.save({f"MobilenetV1/a/{scope}/min": -1.0}, quantised=False)
        model, out = self.resolve(prefix)
        self.assertTrue(model.quantize)
        self.assertStartsWith(out, f"No model.json in {self.folder}: the network is quantised, ")
        self.assertEqual(self.resolve(prefix, quantize=True), (model, ""))
        with self.assertRaisesRegex(ValueError, "holds quantisation ranges; leave --quantize out"):
            self.resolve(prefix, quantize=False)
        ModelConfig().write(self.folder)
        with self.assertRaisesRegex(ValueError, "float network's checkpoint, as model.json says"):
            self.resolve(prefix)

    def test_float_checkpoint(self):
        prefix = self.save({"MobilenetV1/a/quantity/min": -1.0}, quantised=False)
        self.assertEqual(self.resolve(prefix), (ModelConfig(), ""))
        # Inference will need the ranges, but training does not.
        self.assertTrue(self.resolve(prefix, quantize=True)[0].quantize)

    @parameterized.parameters(
        ("efficientnet-lite1", {"network": "efficientnet_lite1", "image_size": 240}, 1000),
        ("efficientnet-lite2", {"network": "efficientnet_lite2", "image_size": 260}, 1000),
        ("MobilenetV1", {}, 1001),
        # That of an unknown network is taken for the default.
        ("other", {}, 1001),
    )
    def test_finds_the_network_by_its_variables(self, scope, expected, num_classes):
        prefix = self.save({f"{scope}/a/weights": 1.0}, quantised=False)
        model, out = self.resolve(prefix)
        self.assertEqual(model, ModelConfig(num_classes=num_classes, **expected))
        if expected:
            name = expected["network"]
            self.assertEqual(
                out, f"No model.json in {self.folder}: by its variables, it is {name}."
            )
        else:
            self.assertEqual(out, "")
        # The user's sizes have precedence.
        model, _ = self.resolve(prefix, image_size=64, num_classes=7)
        self.assertEqual((model.image_size, model.num_classes), (64, 7))
        self.assertEqual(self.resolve(prefix, network=model.network), (self.resolve(prefix)[0], ""))

    def test_finds_network_quantisation_and_embedding_range(self):
        limits = "efficientnet-lite0/Logits/Normalize_1a/activation_Mul_quant"
        variables = {f"{limits}/min": -0.25, f"{limits}/max": 0.5}
        model, out = self.resolve(self.save(variables, quantised=False))
        expected = ModelConfig(
            network="efficientnet_lite0",
            num_classes=1000,
            quantize=True,
            learned_embedding_range=True,
        )
        self.assertEqual(model, expected)
        lines = out.splitlines()
        self.assertLen(lines, 3)
        self.assertIn("it is efficientnet_lite0.", lines[0])
        self.assertIn("the network is quantised", lines[1])
        self.assertIn("-0.25..0.5", lines[2])

    def test_network_that_is_not_the_checkpoints(self):
        prefix = self.save({"efficientnet-lite1/a/weights": 1.0}, quantised=False)
        for name in ("mobilenet_v1", "efficientnet_lite0"):
            with self.assertRaisesRegex(
                ValueError,
                f"expected a checkpoint of {name}, as --network={name} says, got {prefix}, which "
                "is one of efficientnet_lite1; leave --network out",
            ):
                self.resolve(prefix, network=name)
            ModelConfig(network=name).write(self.folder)
            with self.assertRaisesRegex(
                ValueError,
                f"a checkpoint of {name}, as model.json says, .* is one of efficientnet_lite1; "
                "name another checkpoint",
            ):
                self.resolve(prefix)
            with self.assertRaisesRegex(
                ValueError, f"--network=efficientnet_lite1 contradicts .*, which says {name}"
            ):
                self.resolve(prefix, network="efficientnet_lite1")
            os.remove(os.path.join(self.folder, "model.json"))

    def test_sizes_of_published_networks(self):
        self.assertEqual(model_flags.with_defaults({}), {"image_size": 224, "num_classes": 1001})
        self.assertEqual(
            model_flags.with_defaults({"network": "efficientnet_lite4", "num_classes": 5}),
            {"network": "efficientnet_lite4", "image_size": 300, "num_classes": 5},
        )

    def test_refuses_missing_checkpoint(self):
        with self.assertRaisesRegex(FileNotFoundError, "expected a checkpoint in the folder"):
            self.resolve(self.folder)


if __name__ == "__main__":
    absltest.main()
