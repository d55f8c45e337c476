"""Tests of checkpoint_network.py, as other programs use it."""

import pathlib

import numpy as np
from absl.testing import absltest

from classification.deployment import deployable
from classification.imprinting.checkpoint_network import CheckpointNetwork
from classification.nets import checkpoints, mobilenet_v1, model_config
from classification.nets.checkpoint import Checkpoint
from classification.testing.digits_networks import DIGITS, write_network
from imprinting.new_classes import photo_testing, photos
from imprinting.new_classes.photo_imprinting import Options
from tests import runfiles

NAMES = mobilenet_v1.NETWORK.names


class CheckpointNetworkTest(absltest.TestCase):
    def test_new_classes_become_a_folder_that_can_be_read(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        photo_testing.write(folder / "photos")
        # Not a random network: it computes hardly anything of some photos.
        trained = str(runfiles.path("classification/digits_network"))
        known = model_config.read(trained)
        network = CheckpointNetwork(checkpoints.find(trained), known, Options())
        imprinted = network.imprint(photos.find(str(folder / "photos")))
        self.assertEqual(imprinted.names, ("blue", "red"))
        self.assertEqual((imprinted.num_kept, imprinted.num_photos), (0, 6))
        imprinted.write(str(folder / "out"))
        model = model_config.read(str(folder / "out"))
        self.assertEqual(model.labels, ("blue", "red"))
        values = deployable.read_values(checkpoints.find(str(folder / "out")), model)
        np.testing.assert_array_equal(
            values[NAMES.class_vectors], imprinted.values[NAMES.class_vectors]
        )
        self.assertEqual(values[NAMES.class_vectors].shape[-1], 2)

    def test_refuses_a_folder_named_as_a_kept_class(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        photo_testing.write(folder / "photos")
        (folder / "photos" / "red").rename(folder / "photos" / "7")
        checkpoint = Checkpoint(write_network(str(folder / "net"), DIGITS))
        network = CheckpointNetwork(checkpoint, DIGITS, Options(keep_classes=True))
        with self.assertRaisesRegex(ValueError, "expected new classes, got 7"):
            network.imprint(photos.find(str(folder / "photos")))


if __name__ == "__main__":
    absltest.main()
