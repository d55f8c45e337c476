"""Looks up embeddings of small photos, and changes what they depend on."""

import functools
import os
import pathlib
import shutil
from unittest import mock

import numpy as np
from absl.testing import absltest
from PIL import Image

from classification.low_shot import embedding_cache
from imprinting.new_classes import tflite_embedder
from imprinting.tflite import model_file
from transforms.conversion import testing


class EmbeddingCacheTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.store = os.path.join(self.folder, "kept")
        self.paths = []
        for index, pixels in enumerate(testing.images(4, 40)):
            self.paths.append(os.path.join(self.folder, f"{index}.png"))
            Image.fromarray(pixels).save(self.paths[-1])
        self.model = model_file.parse(testing.small().model)

    def embed(self, paths=None, *, key=b"small"):
        """Embeddings, what is wrong, and how many images were computed."""
        progress = mock.Mock()
        found, bad = embedding_cache.embed(
            functools.partial(tflite_embedder.embed, self.model, on_progress=progress),
            self.paths if paths is None else paths,
            key=key,
            folder=self.store,
        )
        return found, bad, len(progress.mock_calls)

    def test_each_image_is_computed_once(self):
        expected, _ = tflite_embedder.embed(self.model, self.paths)
        found, _, computed = self.embed(self.paths[:2])
        self.assertEqual(computed, 2)
        # Others are new; equal contents are the same by any name.
        twin = os.path.join(self.folder, "twin.png")
        shutil.copyfile(self.paths[1], twin)
        found, bad, computed = self.embed([self.paths[3], twin, *self.paths])
        self.assertEqual((bad, computed), ({}, 2))
        np.testing.assert_array_equal(found, expected[[3, 1, 0, 1, 2, 3]])
        found, _, computed = self.embed()
        self.assertEqual(computed, 0)
        np.testing.assert_array_equal(found, expected)

    def test_what_they_depend_on(self):
        self.embed()
        self.assertEqual(self.embed(key=b"other")[2], 4)
        self.assertEqual(self.embed(key=b"other")[2], 0)
        pathlib.Path(self.paths[0]).write_bytes(pathlib.Path(self.paths[1]).read_bytes())
        self.assertEqual(self.embed()[2], 0)

    def test_nothing_is_kept_without_a_folder(self):
        self.store = ""
        self.assertEqual(self.embed()[2], 4)
        self.assertEqual(self.embed()[2], 4)

    def test_unreadable_images_are_reported_and_not_kept(self):
        pathlib.Path(self.paths[1]).write_bytes(b"bad")
        for computed in (4, 1):
            found, bad, count = self.embed()
            self.assertEqual(bad, {1: "it is not a JPEG, PNG, BMP, WebP or GIF image"})
            self.assertEqual(count, computed)
            np.testing.assert_array_equal(found[1], 0)
        _, bad, _ = self.embed([os.path.join(self.folder, "gone")])
        self.assertEqual(bad, {0: "it cannot be opened: No such file or directory"})

    def test_damaged(self):
        self.embed()
        (name,) = os.listdir(self.store)
        path = pathlib.Path(self.store, name)
        path.write_bytes(path.read_bytes()[:100])
        with self.assertRaisesRegex(ValueError, f"{name}.*remove it"):
            self.embed()


if __name__ == "__main__":
    absltest.main()
