"""Tests that the flags of train agree with what they set."""

import dataclasses

from absl import flags
from absl.testing import absltest

from classification.nets.model_config import ModelConfig
from classification.training import train_flags
from classification.training.training_config import TrainingConfig


class TrainFlagsTest(absltest.TestCase):
    def test_defaults_are_those_of_the_configuration(self):
        for field in dataclasses.fields(TrainingConfig):
            if field.name in train_flags.CONFIG and field.name != "quant_delay":
                with self.subTest(field.name):
                    # A path flag has no value for ''.
                    self.assertEqual(
                        flags.FLAGS[field.name].default or field.default, field.default
                    )

    def test_flags_of_the_network_are_fields(self):
        fields = {field.name for field in dataclasses.fields(ModelConfig)}
        self.assertContainsSubset(train_flags.MODEL, fields)

    def test_all_have_a_flag(self):
        names = {*train_flags.MODEL, *train_flags.CONFIG, *train_flags.CLUSTER}
        defined = flags.FLAGS.flags_by_module_dict()[train_flags.__name__]
        self.assertContainsSubset(names, {flag.name for flag in defined})


if __name__ == "__main__":
    absltest.main()
