"""Tests of new_classes.py, with a small model and random photos."""

import os

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from imprinting.new_classes.embedding_fit import FitEmbedding
from imprinting.tflite import metadata, model_file
from tests.benchmarks import new_classes
from transforms.conversion import testing


class NewClassesTest(parameterized.TestCase):
    def write(self, folder: str) -> None:
        for number, name in enumerate(("a", "b")):
            os.makedirs(f"{folder}/{name}")
            for index, pixels in enumerate(testing.images(16)[8 * number : 8 * number + 8]):
                Image.fromarray(pixels).save(f"{folder}/{name}/{index}.png")

    def test_chooses_photos_of_each_class(self):
        root = self.create_tempdir().full_path
        self.write(f"{root}/train")
        found = []
        for draw in (0, 0, 1):
            folder = f"{root}/{len(found)}"
            new_classes.choose(f"{root}/train", folder, 3, draw)
            found.append([sorted(os.listdir(f"{folder}/{name}")) for name in ("a", "b")])
            self.assertEqual([len(names) for names in found[-1]], [3, 3])
        self.assertEqual(found[0], found[1])
        self.assertNotEqual(found[0], found[2])

    @parameterized.parameters(FitEmbedding.NEVER, FitEmbedding.AUTO)
    def test_measures_new_classes(self, fit):
        root = self.create_tempdir().full_path
        self.write(f"{root}/train")
        model = model_file.parse(testing.small(int8=True).model)
        data = metadata.attach(model, testing.LABELS)
        changed = new_classes.imprint(data, f"{root}/train", fit)
        images = testing.images(16)
        labels = np.repeat([0, 1], 8)
        base = np.repeat(images[:1], 500, axis=0)
        found = new_classes.measure(changed, base, images, labels)
        self.assertCountEqual(found, new_classes._NAMES)
        for value in found.values():
            self.assertBetween(value, 0, 1)
        self.assertGreater(found["new"], 0.4)


if __name__ == "__main__":
    absltest.main()
