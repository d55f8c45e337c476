"""Tests of dataset.py with a `dataset.json`."""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf
from absl.testing import absltest

from classification.data import dataset, dataset_info, testing
from classification.data.dataset_info import Shard


class DescribedDatasetTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.elsewhere = self.create_tempdir("elsewhere").full_path
        self.folder = self.create_tempdir("folder").full_path
        testing.write_grey_images(self.elsewhere, "x", [3, 0])
        testing.write_grey_images(self.folder, "y", [2])
        # The labels are 0, 1, 2, 0, 1.
        self.shards = [
            self.shard(f"{self.elsewhere}/x-00000-of-00002", 3),
            self.shard(f"{self.elsewhere}/x-00001-of-00002", 0),
            self.shard("y-00000-of-00001", 2),
        ]

    def shard(self, path: str, num_examples: int) -> Shard:
        return Shard(path, num_examples, os.path.getsize(os.path.join(self.folder, path)))

    def write(self, **changed: Any) -> None:
        values: dict[str, Any] = {
            "splits": {"train": tuple(self.shards)},
            "class_counts": {"train": (2, 2, 1)},
        }
        text = dataset_info.DatasetInfo(**values | changed).to_json()
        pathlib.Path(self.folder, "dataset.json").write_text(text)

    def test_reads_shards_and_classes(self):
        self.write()
        data = dataset.open_dataset(self.folder, "train")
        self.assertEqual((data.num_examples, data.num_classes, data.labels), (5, 3, None))
        self.assertEqual(data.source, self.folder)
        self.assertEqual(
            data.files, (self.shards[0].path, os.path.join(self.folder, self.shards[2].path))
        )
        batches = testing.run_batches(data.batches(batch_size=9, image_size=8, is_training=False))
        np.testing.assert_array_equal(batches[0]["label"], [0, 1, 2, 0, 1])

    def test_counts_no_records(self):
        self.shards[0] = dataclasses.replace(self.shards[0], num_examples=2)
        self.write(class_counts={})
        data = dataset.open_dataset(self.folder, "train")
        self.assertEqual((data.num_examples, data.num_classes), (4, 1001))

    def test_labels_file(self):
        self.write()
        labels = pathlib.Path(self.folder, "labels.txt")
        labels.write_text("0:a\n1:b\n2:c\n")
        data = dataset.open_dataset(self.folder, "train")
        self.assertEqual((data.num_classes, data.labels), (3, ("a", "b", "c")))
        labels.write_text("0:a\n1:b\n")
        with self.assertRaisesRegex(
            ValueError, f"dataset.json and labels.txt in {self.folder}, got 3 and 2"
        ):
            dataset.open_dataset(self.folder, "train")

    def test_another_file_system(self):
        path = "ram://dataset_info_test/x"
        tf.io.gfile.copy(self.shards[0].path, path, overwrite=True)
        self.write(
            splits={"train": (dataclasses.replace(self.shards[0], path=path),)}, class_counts={}
        )
        data = dataset.open_dataset(self.folder, "train")
        self.assertEqual((data.num_examples, data.files), (3, (path,)))

    def test_refuses_truncated_file(self):
        self.write()
        path = self.shards[0].path
        os.truncate(path, 100)
        with self.assertRaisesRegex(
            ValueError, f"{self.shards[0].num_bytes} bytes in {path}, as .*json says, got 100 bytes"
        ):
            dataset.open_dataset(self.folder, "train")

    def test_refuses_missing_file(self):
        self.write()
        os.remove(self.shards[0].path)
        with self.assertRaisesRegex(
            FileNotFoundError,
            f"dataset.json names, got an error: {self.shards[0].path} does not exist;",
        ):
            dataset.open_dataset(self.folder, "train")

    def test_refuses_missing_split(self):
        self.write()
        with self.assertRaisesRegex(
            FileNotFoundError, f"split test in {self.folder}/dataset.json, got only train;"
        ):
            dataset.open_dataset(self.folder, "test")

    def test_refuses_empty_files(self):
        self.write(splits={"train": (self.shards[1],)}, class_counts={})
        with self.assertRaisesRegex(ValueError, "files of train in .*, got 1 empty files"):
            dataset.open_dataset(self.folder, "train")

    def test_refuses_other_json(self):
        pathlib.Path(self.folder, "dataset.json").write_text("[]")
        with self.assertRaisesRegex(ValueError, "dataset.json"):
            dataset.open_dataset(self.folder, "train")


if __name__ == "__main__":
    absltest.main()
