"""Tests of photo_imprinting.py, as other programs use it."""

import os
import pathlib

import numpy as np
from absl.testing import absltest
from PIL import Image

from classification.imprinting import photo_imprinting, photos
from classification.imprinting.photo_imprinting import Options, TfliteNetwork
from transforms.conversion import testing
from transforms.tflite import metadata, model_file


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
        random = np.random.default_rng(1)
        for name, colour in (("blue", (20, 30, 220)), ("red", (230, 20, 20))):
            (self.folder / name).mkdir()
            for index in range(3):
                noise = random.integers(-20, 20, [testing.SIZE, testing.SIZE, 3])
                pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(self.folder / name / f"{index}.png")
        model = model_file.parse(testing.small().model)
        self.data = metadata.attach(model, testing.LABELS)

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
        names = self.folder / "names.txt"
        names.write_text("one\ntwo\n")
        with self.assertRaisesRegex(ValueError, "each of the network's 7 classes, got 2 names"):
            TfliteNetwork(self.data, Options(keep_classes=True), labels_file=str(names))

    def test_docstring_shows_the_names_that_exist(self):
        for name in ("TfliteNetwork", "Options", "photos.find"):
            self.assertIn(name, photo_imprinting.__doc__)


if __name__ == "__main__":
    absltest.main()
