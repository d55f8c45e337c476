"""Tests of tflite_embedder.py: compares it with running the embedder on pixels."""

import os
from unittest import mock

import numpy as np
from absl.testing import absltest
from PIL import Image

from imprinting.base import large_arrays
from imprinting.new_classes import tflite_embedder
from imprinting.photos.pixel_reader import PixelReader
from imprinting.tflite import inference, model_file, model_graph, split
from imprinting.tflite.inference import Kernels
from transforms.conversion import testing


class ComputeTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.paths = []
        for index, pixels in enumerate(testing.images(9, 48)):
            self.paths.append(os.path.join(self.folder, f"{index}.png"))
            Image.fromarray(pixels).save(self.paths[-1])
        self.model = model_file.parse(testing.small().model)
        self.place = split.at_embedding(self.model).place

    def embed(self, paths=None, **options):
        (embeddings,), bad = tflite_embedder.compute(
            self.model, [self.place], self.paths if paths is None else paths, **options
        )
        return embeddings, bad

    def test_are_those_of_the_embedder_in_order(self):
        embedder = model_file.parse(testing.small().embedder)
        reader = PixelReader(testing.SIZE)
        pixels = np.concatenate([reader.read(path, views=2) for path in self.paths])
        (quanta,) = inference.run(embedder, pixels, kernels=Kernels.DEFAULT)
        (output,) = model_graph.graph(embedder).outputs
        expected = output.dequantise(quanta).reshape(9, 2, -1)
        for threads in (1, 4):
            on_progress = mock.Mock()
            with mock.patch.object(os, "cpu_count", return_value=threads):
                found, bad = self.embed(views=2, on_progress=on_progress)
            np.testing.assert_array_equal(found, expected)
            self.assertEqual(bad, {})
            self.assertEqual(on_progress.mock_calls, [mock.call(done, 9) for done in range(1, 10)])
        # For images in another order, the embeddings would be different.
        self.assertTrue(np.any(expected[0] != expected[1]))
        self.assertTrue(np.any(expected[:, 0] != expected[:, 1]))
        alone, _ = self.embed()
        np.testing.assert_array_equal(alone, expected[:, :1])

    def test_unreadable_images_are_reported(self):
        with open(self.paths[4], "wb") as file:
            file.write(b"none")
        found, bad = self.embed([*self.paths, os.path.join(self.folder, "gone")])
        self.assertEqual(
            bad,
            {
                4: "it is not a JPEG, PNG, BMP, WebP or GIF image",
                9: "it cannot be opened: No such file or directory",
            },
        )
        np.testing.assert_array_equal(found[[4, 9]], 0)
        lengths = np.linalg.norm(np.delete(found, [4, 9], axis=0), axis=2)
        np.testing.assert_allclose(lengths, 1, atol=0.03)

    def test_many_are_in_a_file(self):
        expected, _ = self.embed()
        with mock.patch.object(large_arrays, "_MOST_IN_MEMORY", 100):
            found, _ = self.embed()
        np.testing.assert_array_equal(found, expected)
        # What is in memory can be changed.
        self.assertTrue(expected.flags.writeable)
        self.assertFalse(found.flags.writeable)

    def test_no_files(self):
        found, bad = self.embed([], views=2)
        self.assertEqual((found.shape, bad), ((0, 2, testing.EMBEDDING), {}))

    def test_can_be_broken_off(self):
        stop = mock.Mock(side_effect=KeyboardInterrupt)
        with self.assertRaises(KeyboardInterrupt):
            self.embed(on_progress=stop)


if __name__ == "__main__":
    absltest.main()
