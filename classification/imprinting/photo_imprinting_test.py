"""Tests of photo_imprinting.py, as other programs use it."""

import os
import pathlib

import numpy as np
from absl.testing import absltest
from PIL import Image

from classification.deployment import deployable
from classification.imprinting import photos
from classification.imprinting.photo_imprinting import CheckpointNetwork, Options, TfliteNetwork
from classification.nets import checkpoints, mobilenet_v1, model_config
from classification.nets.checkpoint import Checkpoint
from classification.testing.digits_networks import DIGITS, write_network
from tests import runfiles
from transforms.conversion import testing
from transforms.tflite import metadata, model_file

NAMES = mobilenet_v1.NETWORK.names


def _write_photos(folder: pathlib.Path) -> None:
    """Writes 3 photos of each of two classes, blue and red."""
    random = np.random.default_rng(1)
    for name, colour in (("blue", (20, 30, 220)), ("red", (230, 20, 20))):
        (folder / name).mkdir(parents=True)
        for index in range(3):
            noise = random.integers(-20, 20, [testing.SIZE, testing.SIZE, 3])
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")


class OptionsTest(absltest.TestCase):
    def test_refuses_views_below_1(self):
        with self.assertRaisesRegex(ValueError, "--views to be at least 1, got 0"):
            Options(views=0)

    def test_refuses_lost_classes_if_none_are_kept(self):
        with self.assertRaisesRegex(ValueError, "expected --keep_classes"):
            Options(allow_lost_classes=True)


class TfliteNetworkTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        _write_photos(self.folder)
        tflite_model = model_file.parse(testing.small().model)
        self.data = metadata.attach(tflite_model, testing.LABELS)

    def test_new_classes_alone(self):
        progress = []
        network = TfliteNetwork(self.data, Options())
        imprinted = network.imprint(
            photos.find(str(self.folder)), lambda *counts: progress.append(counts)
        )
        self.assertEqual(imprinted.names, ("blue", "red"))
        self.assertEqual((imprinted.num_kept, imprinted.num_photos), (0, 6))
        self.assertEqual((imprinted.unreadable, imprinted.comparison), ((), ""))
        self.assertEqual(progress[-1], (6, 6))
        self.assertEqual(metadata.labels_of(imprinted.tflite), ("blue", "red"))
        self.assertLen(imprinted.cosines, 2)
        path = os.path.join(self.folder, "out.tflite")
        imprinted.write(path)
        self.assertEqual(pathlib.Path(path).read_bytes(), imprinted.tflite)

    def test_kept_classes_are_compared(self):
        options = Options(keep_classes=True, allow_lost_classes=True)
        imprinted = TfliteNetwork(self.data, options).imprint(photos.find(str(self.folder)))
        self.assertEqual(imprinted.names, (*testing.LABELS, "blue", "red"))
        self.assertEqual(imprinted.num_kept, testing.CLASSES)
        self.assertIn("photos of new classes have a cosine of", imprinted.comparison)

    def test_names_of_another_number_of_classes(self):
        with self.assertRaisesRegex(
            ValueError, "each of the network's 7 classes, got 2 names in labels;"
        ):
            TfliteNetwork(self.data, Options(keep_classes=True), ["one", "two"])

    def test_imprints_again_from_the_same_network(self):
        network = TfliteNetwork(self.data, Options(keep_classes=True, allow_lost_classes=True))
        found = photos.find(str(self.folder))
        self.assertEqual(network.imprint(found).tflite, network.imprint(found).tflite)


class CheckpointNetworkTest(absltest.TestCase):
    def test_new_classes_become_a_folder_that_can_be_read(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        _write_photos(folder / "photos")
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
        _write_photos(folder / "photos")
        (folder / "photos" / "red").rename(folder / "photos" / "7")
        checkpoint = Checkpoint(write_network(str(folder / "net"), DIGITS))
        network = CheckpointNetwork(checkpoint, DIGITS, Options(keep_classes=True))
        with self.assertRaisesRegex(ValueError, "expected new classes, got 7"):
            network.imprint(photos.find(str(folder / "photos")))


if __name__ == "__main__":
    absltest.main()
