"""Tests of tflite_network.py, as other programs use it."""

import os
import pathlib

from absl.testing import absltest

from imprinting.new_classes import photo_testing, photos
from imprinting.new_classes.photo_imprinting import Options
from imprinting.new_classes.tflite_network import TfliteNetwork
from imprinting.tflite import metadata, model_file
from transforms.conversion import testing


class TfliteNetworkTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        photo_testing.write(self.folder)
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


if __name__ == "__main__":
    absltest.main()
