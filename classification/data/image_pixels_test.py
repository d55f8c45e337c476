"""Reads image files, and compares them with what evaluation reads of a data set."""

import concurrent.futures
import os

import numpy as np
from absl.testing import absltest
from PIL import Image

from classification import image_conversion
from classification.data import sample
from classification.data import testing as data_testing
from classification.data.dataset import open_dataset
from classification.data.image_files import BadImageError
from classification.data.image_pixels import PixelReader


class PixelReaderTest(absltest.TestCase):
    def test_reads_what_evaluation_reads(self):
        root = self.create_tempdir().full_path
        images = np.random.default_rng(0).integers(0, 256, [4, 50, 70, 3], np.uint8)
        paths = []
        for index, pixels in enumerate(images):
            for split in ("train", "validation"):
                folder = os.path.join(root, "images", split, "ab"[index % 2])
                os.makedirs(folder, exist_ok=True)
                path = os.path.join(folder, f"{index}.{'png' if index < 2 else 'jpg'}")
                Image.fromarray(pixels).save(path)
            paths.append(path)
        image_conversion.convert(os.path.join(root, "images"), os.path.join(root, "records"))
        dataset = open_dataset(os.path.join(root, "records"), "validation")
        batches = dataset.batches(batch_size=4, image_size=32, is_training=False)
        (batch,) = data_testing.run_batches(batches)
        expected = sample.to_uint8(batch["image"])
        with PixelReader(32) as reader, concurrent.futures.ThreadPoolExecutor(2) as pool:
            found = list(pool.map(reader.read, paths))
        # Records are in the order of classes.
        np.testing.assert_array_equal(np.concatenate([found[i] for i in (0, 2, 1, 3)]), expected)

    def test_views_are_parts_of_the_image(self):
        path = os.path.join(self.create_tempdir().full_path, "a.png")
        # Red grows to the right, green downwards.
        ramp = np.linspace(0, 255, 64)
        image = np.stack(np.broadcast_arrays(ramp, ramp[:, np.newaxis], 99), axis=-1)
        Image.fromarray(image.astype(np.uint8)).save(path)
        with PixelReader(32) as reader:
            whole = reader.read(path)
            views = reader.read(path, views=4)
        self.assertEqual(views.shape, (4, 32, 32, 3))
        np.testing.assert_array_equal(views[:1], whole)
        for index, view in enumerate(views.astype(int)):
            mirrored = index % 2 == 1
            self.assertEqual(view[:, 0, 0].mean() > view[:, -1, 0].mean(), mirrored)
            self.assertLess(view[0, :, 1].mean(), view[-1, :, 1].mean())
        spans = [int(np.ptp(view[..., 1].astype(int))) for view in views]
        self.assertEqual(max(spans), spans[0])
        self.assertLen(set(spans), 4)

    def test_what_is_no_image(self):
        path = self.create_tempfile("a.jpg", "text").full_path
        with PixelReader(32) as reader, self.assertRaisesRegex(BadImageError, "it is no JPEG"):
            reader.read(path)


if __name__ == "__main__":
    absltest.main()
