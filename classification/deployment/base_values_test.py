"""Tests of base_values.py."""

import dataclasses

import numpy as np
from absl.testing import absltest, parameterized

from classification.deployment import base_values, deployable
from classification.nets import networks
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from classification.testing.digits_networks import DIGITS, write_network


def names(model: ModelConfig) -> set[str]:
    head = networks.get(model.network).names.head
    found = (variable.op.name for variable in deployable.variables(model))
    return {name for name in found if not name.startswith(head)}


class BaseValuesTest(parameterized.TestCase):
    def write(self, model: ModelConfig) -> Checkpoint:
        return Checkpoint(write_network(self.create_tempdir().full_path, model))

    @parameterized.parameters(None, True)
    def test_reads_ranges_and_no_head(self, quantize):
        model = dataclasses.replace(DIGITS, quantize=True)
        checkpoint = self.write(model)
        # Another number of classes.
        wanted = dataclasses.replace(DIGITS, num_classes=7, labels=None)
        values, has_ranges = base_values.read(checkpoint, wanted, quantize=quantize)
        self.assertTrue(has_ranges)
        self.assertEqual(set(values), names(model))
        for name, value in checkpoint.read(values).items():
            np.testing.assert_array_equal(values[name], value)

    def test_float_of_a_quantised_network(self):
        checkpoint = self.write(dataclasses.replace(DIGITS, quantize=True))
        values, has_ranges = base_values.read(checkpoint, DIGITS, quantize=False)
        self.assertFalse(has_ranges)
        self.assertEqual(set(values), names(DIGITS))

    def test_without_ranges(self):
        checkpoint = self.write(DIGITS)
        values, has_ranges = base_values.read(checkpoint, DIGITS, quantize=None)
        self.assertFalse(has_ranges)
        self.assertEqual(set(values), names(DIGITS))
        with self.assertRaisesRegex(ValueError, "lacks .* for example .*; leave --quantize out"):
            base_values.read(checkpoint, DIGITS, quantize=True)

    def test_ranges_by_batch_norm(self):
        model = ModelConfig(network="efficientnet_lite0", image_size=32, num_classes=3)
        checkpoint = self.write(model)
        values, has_ranges = base_values.read(checkpoint, model, quantize=None)
        self.assertTrue(has_ranges)
        self.assertEqual(set(values), names(dataclasses.replace(model, quantize=True)))
        self.assertTrue(all(value.dtype == np.float32 for value in values.values()))

    def test_other_width(self):
        checkpoint = self.write(DIGITS)
        wanted = dataclasses.replace(DIGITS, depth_multiplier=0.5)
        with self.assertRaises(ValueError):
            base_values.read(checkpoint, wanted, quantize=None)


if __name__ == "__main__":
    absltest.main()
