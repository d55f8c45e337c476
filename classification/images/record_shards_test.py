"""Tests of record_shards.py: the division into files, their writing, and their rearrangement."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from classification.data import records
from classification.data.dataset_info import Shard
from classification.images import record_shards
from imprinting.photos import image_folder
from imprinting.photos.image_folder import ImageFile, ImageFolder


class RecordShardsTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.images = pathlib.Path(self.create_tempdir().full_path)
        for name in "ab":
            (self.images / name).mkdir()
            for index in range(20):
                pixels = np.random.default_rng(index).integers(0, 256, [9, 8, 3])
                Image.fromarray(pixels.astype(np.uint8)).save(self.images / name / f"{index}.png")

    def scan(self, without: Sequence[str] = ()) -> ImageFolder:
        return image_folder.scan(str(self.images), without=without)

    @parameterized.parameters((3, 10, 3), (8, 10, 8), (100, 10, 8), (100, 50 << 20, 50))
    def test_divides(self, images, size, expected):
        files = tuple(ImageFile(f"a/{index}.png", 0) for index in range(images))
        folder = ImageFolder("", ("a",), {"train": files, "test": files[:1]}, 0, None, {}, ())
        shards = record_shards.divide(folder, {file.name: size for file in files})
        *train, test = shards
        self.assertEqual(test, ("test-00000-of-00001", "test", files[:1]))
        names = [f"train-{index:05}-of-{expected:05}" for index in range(expected)]
        self.assertEqual([shard.name for shard in train], names)
        self.assertEqual(tuple(file for shard in train for file in shard.images), files)
        counts = [len(shard.images) for shard in train]
        self.assertLessEqual(max(counts) - min(counts), 1)

    def test_writes_some_of_the_files(self):
        (self.images / "a" / "3.png").write_bytes(b"no image")
        folder = self.scan()
        sizes = record_shards.image_sizes(folder)
        self.assertLen(sizes, 40)
        self.assertEqual(sizes["a/3.png"], 8)
        shards = record_shards.divide(folder, sizes)[1::2]
        output = self.create_tempdir().full_path
        seen = []
        found = record_shards.write(
            output, folder, shards, lambda done, total: seen.append((done, total))
        )
        for shard, written in zip(shards, found, strict=True):
            # Each is complete when it is yielded.
            path = os.path.join(output, shard.name)
            bad = [image.name for image in shard.images if image.name == "a/3.png"]
            count = len(shard.images) - len(bad)
            self.assertEqual(written.shard, Shard(shard.name, count, os.path.getsize(path)))
            self.assertEqual(records.count(path), count)
            self.assertEqual(list(written.bad), bad)
        total = sum(len(shard.images) for shard in shards)
        self.assertEqual(seen, [(done, total) for done in range(1, total + 1)])
        self.assertCountEqual(os.listdir(output), [shard.name for shard in shards])

    def test_rearranges_to_what_would_have_been_written(self):
        bad = ["a/0.png", "a/11.png", "b/7.png", "b/19.png", "b/12.png"]
        for name in bad:
            (self.images / name).write_bytes(b"no image")
        folders = [self.create_tempdir().full_path for _ in range(3)]
        results = []
        for output, folder in zip(folders, (self.scan(), self.scan(bad)), strict=False):
            shards = record_shards.divide(folder, record_shards.image_sizes(folder))
            written = [found.shard for found in record_shards.write(output, folder, shards)]
            results.append((shards, written))
        (first, _), (second, expected) = results
        # Some images belong to another split.
        self.assertNotEqual(
            {image.name for shard in first if shard.split == "train" for image in shard.images}
            - set(bad),
            {image.name for shard in second if shard.split == "train" for image in shard.images},
        )
        found = record_shards.rearrange(folders[0], first, folders[2], second)
        self.assertEqual(found, expected)
        for shard in expected:
            contents = [pathlib.Path(folder, shard.path).read_bytes() for folder in folders[1:]]
            self.assertEqual(*contents)
        path = pathlib.Path(folders[0], first[2].name)
        path.write_bytes(b"damaged " + path.read_bytes()[8:])
        with self.assertRaisesRegex(ValueError, f"offset 0 of {path}, got .* wrong checksum"):
            record_shards.rearrange(folders[0], first, folders[2], second)


if __name__ == "__main__":
    absltest.main()
