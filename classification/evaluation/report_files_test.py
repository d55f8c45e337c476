"""Tests the files that an evaluation leaves."""

import csv
import dataclasses
import json
import os
import pathlib

import numpy as np
import PIL.Image
from absl.testing import absltest

from classification.data import testing as data_testing
from classification.data.dataset import open_dataset
from classification.evaluation import report_files
from classification.evaluation.evaluator import Result
from classification.nets.checkpoint import Checkpoint

# Of the images of data_testing.write_grey_images.
_PREDICTIONS = np.array([0, 2, 2, 3, 1, 5, 5])
_RESULT = Result(
    np.arange(7),
    np.stack([_PREDICTIONS, (_PREDICTIONS + 1) % 8], axis=1),
    np.linspace(0.3, 0.9, 7).astype(np.float32),
    42,
)
_NAMES = ("grün", "=1+1", 'a "b", c', "犬", "-x", "five", "six", "seven")


class ReportTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.root = self.create_tempdir().full_path
        data = os.path.join(self.root, "grey")
        os.mkdir(data)
        data_testing.write_grey_images(data, "validation", [3, 4])
        self.dataset = open_dataset(data, "validation")

    def write(self, name: str, result: Result = _RESULT, **options) -> pathlib.Path:
        folder = pathlib.Path(self.root, name)
        folder.mkdir()
        defaults = {"names": _NAMES, "dataset": self.dataset, "image_size": 32, "batch_size": 2}
        report_files.write(
            str(folder),
            result,
            checkpoint=Checkpoint("/somewhere/else/model.ckpt-42"),
            **defaults | options,
        )
        self.assertCountEqual(os.listdir(folder), report_files.FILES)
        return folder

    def test_json(self):
        folder = self.write("report")
        text = (folder / "evaluation.json").read_text(encoding="utf-8")
        self.assertNotIn(self.root, text)
        self.assertNotIn("somewhere", text)
        values = json.loads(text)
        classes = values.pop("classes")
        expected = {
            "accuracy": 4 / 7,
            "recall_at_5": 5 / 7,
            "balanced_accuracy": 4 / 7,
            "num_examples": 7,
            "checkpoint": "model.ckpt-42",
            "global_step": 42,
            "dataset": "grey",
            "split": "validation",
        }
        self.assertEqual(values, expected)
        self.assertLen(classes, 8)
        self.assertEqual(
            classes[5],
            {
                "label": 5,
                "name": "five",
                "images": 1,
                "precision": 0.5,
                "recall": 1.0,
                "f1": 2 / 3,
                "most_often_taken_for": None,
                "times_taken": 0,
            },
        )
        self.assertEqual(classes[6]["most_often_taken_for"], "five")
        self.assertEqual([classes[6][key] for key in ("precision", "recall", "f1")], [None, 0, 0])
        self.assertEqual([classes[7][key] for key in ("precision", "recall", "f1")], [None] * 3)

    def test_csv(self):
        folder = self.write("report")
        with open(folder / "confusion_matrix.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        # A spreadsheet does not take what begins with an apostrophe for a formula.
        names = ["grün", "'=1+1", 'a "b", c', "犬", "'-x", "five", "six", "seven"]
        self.assertEqual(rows[0], ["", *names])
        self.assertEqual([row[0] for row in rows[1:]], names)
        counts = np.array([row[1:] for row in rows[1:]], int)
        expected = np.zeros([8, 8], int)
        expected[_RESULT.labels, _PREDICTIONS] = 1
        np.testing.assert_array_equal(counts, expected)
        with open(folder / "classes.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        self.assertEqual(
            rows[0],
            "label,name,images,precision,recall,f1,most_often_taken_for,times_taken".split(","),
        )
        self.assertEqual(rows[7], ["6", "six", "1", "", "0.0", "0.0", "five", "1"])
        self.assertEqual(rows[8], ["7", "seven", "0", "", "", "", "", "0"])

    def test_photos_in_the_picture(self):
        folder = self.write("report")
        with PIL.Image.open(folder / "confused_pairs.png") as image:
            picture = np.asarray(image.convert("RGB"))
        for label in (1, 4, 6):
            shown = (picture == 2 * label).all(axis=-1).sum()
            self.assertGreaterEqual(shown, 180**2, msg=label)

    def test_same_bytes_whatever_the_batch_size(self):
        folders = self.write("a"), self.write("b", batch_size=100)
        for name in report_files.FILES:
            self.assertEqual(*[(folder / name).read_bytes() for folder in folders], msg=name)

    def test_nothing_wrong(self):
        labels = np.arange(7)
        result = dataclasses.replace(_RESULT, top=labels[:, np.newaxis])
        calls = []
        folder = self.write("report", result, on_progress=lambda *numbers: calls.append(numbers))
        self.assertEqual(json.loads((folder / "evaluation.json").read_text())["accuracy"], 1)
        self.assertEqual(calls, [])

    def test_many_classes(self):
        rng = np.random.default_rng(0)
        labels, predictions = rng.integers(0, 1001, [2, 50_000])
        result = Result(labels, predictions[:, np.newaxis], np.ones(50_000, np.float32), 0)
        table = report_files.class_table(result, tuple(map(str, range(1001))))
        self.assertEqual(sum(row["images"] for row in table), 50_000)


class PhotosTest(absltest.TestCase):
    def test_those_wanted_alone_and_no_farther(self):
        folder = self.create_tempdir().full_path
        data_testing.write_grey_images(folder, "validation", [3, 4])
        dataset = open_dataset(folder, "validation")
        calls = []
        photos = report_files.read_photos(
            dataset,
            {4, 1},
            image_size=8,
            batch_size=2,
            on_progress=lambda *numbers: calls.append(numbers),
        )
        self.assertCountEqual(photos, [1, 4])
        for label, photo in photos.items():
            np.testing.assert_array_equal(photo, np.full([8, 8, 3], 2 * label, np.uint8))
        self.assertEqual(calls, [(2, 5), (4, 5), (5, 5)])
        with self.assertRaisesRegex(
            ValueError, "expected 9 images in .*, got 7: the data has changed"
        ):
            report_files.read_photos(dataset, [8], image_size=8, batch_size=4)


if __name__ == "__main__":
    absltest.main()
