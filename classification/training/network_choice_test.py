"""Tests of network_choice.py."""

import os

from absl.testing import absltest

from classification.nets import checkpoint_testing
from classification.nets.model_config import ModelConfig
from classification.training import network_choice


class ChooseTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path

    def choose(self, *, checkpoint_dir="", fine_tune_checkpoint="", digits=False):
        return network_choice.choose(
            checkpoint_dir=checkpoint_dir, fine_tune_checkpoint=fine_tune_checkpoint, digits=digits
        )

    def test_default_depends_on_the_data(self):
        self.assertEqual(self.choose(), "efficientnet_lite0")
        self.assertEqual(self.choose(digits=True), "mobilenet_v1")

    def test_the_network_of_the_checkpoint_to_start_from(self):
        for variable, expected in (
            ("MobilenetV1/Conv2d_0/weights", "mobilenet_v1"),
            ("efficientnet-lite2/stem/conv2d/kernel", "efficientnet_lite2"),
            ("other/kernel", "efficientnet_lite0"),
        ):
            prefix = os.path.join(self.folder, expected)
            checkpoint_testing.save(prefix, {variable: [1]})
            self.assertEqual(self.choose(fine_tune_checkpoint=prefix), expected)

    def test_the_network_of_the_folder_comes_first(self):
        ModelConfig(network="efficientnet_lite1").write(self.folder)
        self.assertEqual(self.choose(checkpoint_dir=self.folder, digits=True), "efficientnet_lite1")
        new = os.path.join(self.folder, "new")
        self.assertEqual(self.choose(checkpoint_dir=new), "efficientnet_lite0")


if __name__ == "__main__":
    absltest.main()
