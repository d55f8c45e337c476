"""Tests of dataset_info.py."""

import json
import os

import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.data import dataset_info
from classification.data.dataset_info import DatasetInfo, Shard

_INFO = DatasetInfo(
    splits={
        "train": (Shard("train-00000-of-00002", 3, 400), Shard("gs://bucket/a", 2, 300)),
        "validation": (Shard("/elsewhere/validation", 1, 99),),
    },
    class_counts={"train": (2, 3), "validation": (1, 0)},
    seed=7,
    validation_fraction=0.25,
    skipped={"Äpfel/two words.jpg": "it is empty"},
    ignored=("LICENSE",),
)


def _text(**values) -> str:
    shard = {"path": "a", "num_examples": 2, "num_bytes": 9}
    return json.dumps({"splits": {"train": [shard]}} | values)


class DatasetInfoTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.path = os.path.join(self.folder, dataset_info.FILE_NAME)

    @parameterized.parameters(_INFO, DatasetInfo(splits={"test": ()}))
    def test_reads_what_it_writes(self, info):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(info.to_json())
        self.assertEqual(dataset_info.read(self.folder), info)

    def test_writes_readable_json(self):
        text = _INFO.to_json()
        self.assertIn("Äpfel", text)
        values = json.loads(text)
        self.assertEqual(values["class_counts"], {"train": [2, 3], "validation": [1, 0]})
        self.assertEqual(values["splits"]["train"][1]["path"], "gs://bucket/a")

    def test_another_file_system(self):
        tf.io.gfile.makedirs("ram://dataset_info_test/a")
        self.assertIsNone(dataset_info.read("ram://dataset_info_test/a"))
        with tf.io.gfile.GFile("ram://dataset_info_test/a/dataset.json", "wb") as file:
            file.write(_INFO.to_json().encode())
        self.assertEqual(dataset_info.read("ram://dataset_info_test/a"), _INFO)

    def test_missing_file(self):
        self.assertIsNone(dataset_info.read(self.folder))
        self.assertIsNone(dataset_info.read(os.path.join(self.folder, "missing")))

    def test_reports_unreadable_file(self):
        os.mkdir(self.path)
        with self.assertRaisesRegex(OSError, f"{self.path} cannot be read: .*directory"):
            dataset_info.read(self.folder)

    def test_needs_only_record_files(self):
        with open(self.path, "w") as file:
            file.write(_text())
        info = dataset_info.read(self.folder)
        self.assertEqual(info, DatasetInfo(splits={"train": (Shard("a", 2, 9),)}))
        self.assertEqual(info.num_examples("train"), 2)

    @parameterized.parameters(
        ("", "Expecting value"),
        ("[1]", 'expected a JSON object with an object "splits"'),
        ("{}", 'expected a JSON object with an object "splits"'),
        ('{"splits": {}}', "got none"),
        ('{"splits": {"trian": []}}', "expected splits named train, validation, test, got trian"),
        ('{"splits": {"train": ["a"]}}', "Shard"),
        ('{"splits": {"train": [{"path": "a"}]}}', "num_examples"),
        (_text(seeds=1), "seeds"),
        (_text(class_counts={"train": [1]}), "add up to 2, the images of train, got 1"),
        (_text(class_counts={"train": ["2"]}), "class_counts to be a whole number from 0, got '2'"),
        (_text(class_counts={"test": [2]}), "got some of test"),
        (_text(class_counts=[2]), "items"),
    )
    def test_refuses_damaged_file(self, text, expected):
        with open(self.path, "w") as file:
            file.write(text)
        with self.assertRaises(ValueError) as caught:
            dataset_info.read(self.folder)
        self.assertStartsWith(str(caught.exception), f"{self.path} does not describe a data set: ")
        self.assertIn(expected, str(caught.exception))

    def test_refuses_different_numbers_of_classes(self):
        shards = {"train": (Shard("a", 2, 9),), "test": (Shard("b", 2, 9),)}
        with self.assertRaisesRegex(ValueError, "same number of classes in each split"):
            DatasetInfo(splits=shards, class_counts={"train": (1, 1), "test": (2,)})

    @parameterized.parameters(("", 1, 1), ("a", -1, 1), ("a", 1, 1.0), ("a", True, 1), (7, 1, 1))
    def test_refuses_bad_shards(self, path, num_examples, num_bytes):
        with self.assertRaisesRegex(ValueError, "expected (path|num_examples|num_bytes) to be"):
            Shard(path, num_examples, num_bytes)


if __name__ == "__main__":
    absltest.main()
