"""Tests of view_features.py."""

import os
import pathlib
from unittest import mock

import numpy as np
from absl.testing import absltest

from classification.data import testing
from classification.data.dataset import open_dataset
from classification.deployment import base_values, features
from classification.fitting import view_features
from classification.nets.checkpoint import Checkpoint
from classification.testing.digits_networks import DIGITS
from tests import runfiles


class ViewFeaturesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.data = pathlib.Path(self.create_tempdir().full_path)
        (self.data / "labels.txt").write_text("".join(f"{name}\n" for name in range(40)))
        random = np.random.default_rng(0)
        self.images = [
            testing.encode_png(random.integers(0, 256, [40, 60, 3], np.uint8)) for _ in range(37)
        ]
        self.write(self.images)
        # Of a network with random values, all features are nearly 0.
        checkpoint = Checkpoint(str(runfiles.path("classification/digits_network") / "model.ckpt"))
        self.values, _ = base_values.read(checkpoint, DIGITS, quantize=False)

    def write(self, images: list[bytes], *, label: int = 0) -> None:
        for shard in range(2):
            testing.write_records(
                self.data / f"train-{shard:05d}-of-00002",
                [
                    testing.make_image_example(image, label + number)
                    for number, image in enumerate(images)
                    if number % 2 == shard
                ],
            )

    def computed(self, views: int, **more):
        dataset = open_dataset(str(self.data), "train")
        folder = self.create_tempdir().full_path
        with view_features.computed(
            self.values, DIGITS, dataset, views=views, folder=folder, **more
        ) as found:
            self.assertEqual(os.listdir(folder), [])
            return np.array(found.features), found.labels

    def test_views_of_each_photo_in_the_order_of_the_records(self):
        found, labels = self.computed(3)
        self.assertEqual(found.shape, (37, 3, 256))
        np.testing.assert_array_equal(labels, [*range(0, 37, 2), *range(1, 37, 2)])
        single, _ = self.computed(1)
        np.testing.assert_allclose(found[:, 0], single[:, 0], atol=1e-5)
        self.assertGreater(np.abs(found[:, 1] - found[:, 0]).max(), 1e-3)

    def test_more_views_for_few_photos(self):
        for name, expected in ((40, 6), (1, 4)):
            (self.data / "labels.txt").write_text("".join(f"{n}\n" for n in range(name)))
            dataset = open_dataset(str(self.data), "train")
            self.assertEqual(view_features.number_of_views(dataset), expected)

    def test_reports_progress(self):
        seen = []
        self.computed(4, on_progress=lambda done, total: seen.append((done, total)))
        self.assertEqual(seen[-1], (37, 37))
        self.assertGreater(len(seen), 2)

    def test_damaged_image(self):
        self.write([*self.images[:4], b"no image", *self.images[4:]])
        with self.assertRaisesRegex(
            ValueError, "record 2 of .*train-00000-of-00002: it is not a JPEG"
        ):
            self.computed(2)

    def test_label_out_of_range(self):
        self.write(self.images, label=10)
        with self.assertRaisesRegex(ValueError, "record 15 of .*label in 0..39, got 40"):
            self.computed(2)

    def test_network_that_has_diverged(self):
        # The network's Relu6 would hide it.
        with (
            mock.patch.object(
                features, "of_images", lambda *_: (x for x in [np.array([[np.nan]])])
            ),
            self.assertRaisesRegex(ValueError, "finite features of photos"),
        ):
            self.computed(1)


if __name__ == "__main__":
    absltest.main()
