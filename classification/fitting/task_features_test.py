"""Tests of task_features.py: parts that have the same bits as those of a single run."""

import dataclasses
import pathlib
from typing import Any
from unittest import mock

import numpy as np
from absl.testing import absltest

from classification.base import task_folder
from classification.base.task_flags import Task
from classification.data import records, testing
from classification.data.dataset import Dataset, open_dataset
from classification.deployment import base_values
from classification.fitting import task_features, view_features
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from classification.testing.digits_networks import DIGITS
from imprinting.photos.pixel_reader import PixelReader
from tests import runfiles


class TaskFeaturesTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        checkpoint = Checkpoint(str(runfiles.path("classification/digits_network") / "model.ckpt"))
        cls.values, _ = base_values.read(checkpoint, DIGITS, quantize=False)

    def setUp(self):
        super().setUp()
        self.data = pathlib.Path(self.create_tempdir().full_path)
        (self.data / "labels.txt").write_text("".join(f"{name}\n" for name in range(70)))
        random = np.random.default_rng(0)
        images = [
            testing.encode_png(random.integers(0, 256, [40, 60, 3], np.uint8)) for _ in range(61)
        ]
        # Files that end inside batches; one has no record.
        borders = (0, 3, 30, 30, 61)
        for number, (start, stop) in enumerate(zip(borders[:-1], borders[1:], strict=True)):
            found = [testing.make_image_example(images[n], n) for n in range(start, stop)]
            testing.write_records(self.data / f"train-{number:05d}-of-00004", found)
        self.dataset = open_dataset(str(self.data), "train")
        self.folder = task_folder.opened(f"{self.create_tempdir().full_path}/out", {})

    def compute(self, task: Task, views: int, **more: Any) -> int:
        return task_features.compute(
            self.folder, self.values, DIGITS, self.dataset, views=views, task=task, **more
        )

    def test_same_bits_as_a_single_run(self):
        views, count, most_batches = 6, 2, 3
        folder = self.create_tempdir().full_path
        with view_features.computed(
            self.values, DIGITS, self.dataset, views=views, folder=folder
        ) as found:
            expected, labels = np.array(found.features), found.labels
        with mock.patch.object(task_features, "_MOST_BATCHES", most_batches):
            for index in reversed(range(count)):
                task = Task(index, count)
                with mock.patch.object(
                    PixelReader, "read", autospec=True, side_effect=PixelReader.read
                ) as read:
                    missing = self.compute(task, views)
                parts = task_features.divide(self.dataset, views=views, task=task)
                # Other records are not decoded.
                own = sum(map(len, parts[index::count]))
                self.assertEqual(read.call_count, own)
                self.assertEqual(missing, sum(len(parts[other::count]) for other in range(index)))
            with task_features.joined(self.folder, self.dataset, views=views, task=task) as found:
                self.assertEqual(found.features.tobytes(), expected.tobytes())
                self.assertEqual(found.features.shape, expected.shape)
                np.testing.assert_array_equal(found.labels, labels)
                self.assertGreater(found.seconds, 0)

    def test_parts_begin_with_batches(self):
        for views, count in ((4, 3), (6, 2), (1, 5), (4, 100), (40, 3)):
            parts = task_features.divide(self.dataset, views=views, task=Task(0, count))
            self.assertEqual([n for part in parts for n in part], [*range(61)])
            for part in parts:
                self.assertEqual(part.start % view_features.photos_per_batch(views), 0)
        millions = dataclasses.replace(self.dataset, num_examples=3_000_000)
        parts = task_features.divide(millions, views=4, task=Task(0, 10))
        self.assertEqual(parts[0], range(2048))

    def test_continues_after_the_last_complete_part(self):
        seen: list[int] = []

        def stop(done: int, total: int) -> None:
            self.assertEqual(total, 32)
            seen.append(done)
            if done == 16:
                raise KeyboardInterrupt

        # Parts of 8 photos, of which the task has four.
        with mock.patch.object(task_features, "_MOST_BATCHES", 1):
            with self.assertRaises(KeyboardInterrupt):
                self.compute(Task(0, 2), 4, on_progress=stop)
            self.assertEqual(seen, [8, 16])
            with mock.patch.object(
                PixelReader, "read", autospec=True, side_effect=PixelReader.read
            ) as read:
                self.compute(Task(0, 2), 4)
        self.assertEqual(read.call_count, 24)

    def test_plan(self):
        def plan(
            dataset: Dataset = self.dataset,
            more: float = 0,
            model: ModelConfig = DIGITS,
            views: int = 4,
        ) -> dict[str, Any]:
            values = {name: value + np.float32(more) for name, value in self.values.items()}
            return task_features.plan(values, model, dataset, views=views, task=Task(0, 2))

        self.assertEqual(plan(), plan())
        self.assertEqual(plan()["photos"], 61)
        fewer = dataclasses.replace(self.dataset, num_classes=69)
        other = dataclasses.replace(DIGITS, labels=("a",) * 10)
        for changed in (plan(fewer), plan(more=1), plan(model=other), plan(views=3)):
            different = [key for key, value in plan().items() if changed[key] != value]
            self.assertLen(different, 1)

    def test_data_that_changed(self):
        counts = {path: 61 for path in self.dataset.files}
        with (
            mock.patch.object(records, "count_each", return_value=counts),
            self.assertRaisesRegex(ValueError, "expected 61 images in .*, got fewer: it has ch"),
        ):
            self.compute(Task(0, 1), 4)

    def test_damaged_part(self):
        with self.folder.scratch() as scratch:
            path = pathlib.Path(scratch, "features-0-61")
            path.write_bytes(bytes(61 * 4 * 256 * 4))
            self.folder.leave(path.name, [str(path)], {"labels": [0] * 61, "seconds": 1})
        pathlib.Path(self.folder.files, path.name).write_bytes(bytes(9))
        with (
            self.assertRaisesRegex(OSError, "expected features-0-61 in .*, got another or none; "),
            task_features.joined(self.folder, self.dataset, views=4, task=Task(0, 1)),
        ):
            pass


if __name__ == "__main__":
    absltest.main()
