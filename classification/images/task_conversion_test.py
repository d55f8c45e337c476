"""Tests of task_conversion.py: tasks make exactly the data set of a single run."""

import hashlib
import os
import pathlib
import shutil
from typing import Any
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from classification.base.task_flags import Task
from classification.data import dataset_info
from classification.data.dataset import open_dataset
from classification.data.dataset_info import DatasetInfo
from classification.images import image_conversion, image_files, record_shards, task_conversion

_TASKS = tuple(Task(index, 3) for index in range(3))


class TaskConversionTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        root = pathlib.Path(os.path.realpath(self.create_tempdir().full_path))
        self.images = root / "images"
        self.parent = root / "parent"
        self.parent.mkdir()
        self.output = self.parent / "out"
        self.add(*(f"{name}/{index:02}.png" for name in "abc" for index in range(11)))

    def add(self, *names: str) -> None:
        """Adds images that all differ."""
        for name in names:
            path = self.images / name
            path.parent.mkdir(parents=True, exist_ok=True)
            seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
            pixels = np.random.default_rng(seed).integers(0, 256, [9, 8, 3])
            Image.fromarray(pixels.astype(np.uint8)).save(path)

    def single(self, **options: Any) -> dict[str, bytes]:
        """What a single run writes."""
        folder = pathlib.Path(self.create_tempdir().full_path, "out")
        image_conversion.convert(str(self.images), str(folder), **options)
        return self.contents(folder)

    def contents(self, folder: pathlib.Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def convert(self, task: Task, **options: Any) -> task_conversion.Converted:
        return task_conversion.convert(str(self.images), str(self.output), task, **options)

    def json(self, done: task_conversion.Converted) -> bytes:
        assert done.info is not None
        return done.info.to_json().encode()

    def assert_complete(self, expected: dict[str, bytes], number: int = 1) -> None:
        self.assertEqual(self.contents(self.output), expected)
        self.assertCountEqual(os.listdir(self.parent), ["out", f"out.tasks-{number}"])
        self.assertCountEqual(
            os.listdir(f"{self.output}.tasks-{number}"), ["plan.json", "replaced", "result.json"]
        )

    @parameterized.parameters(
        {}, {"seed": 3, "validation_fraction": 0.4}, {"skip_bad_images": True}
    )
    def test_tasks_one_after_another(self, **options):
        expected = self.single(**options)
        # A file for each of eight train shards, and of six validation shards.
        for index, files, missing in ((2, 4, 10), (0, 5, 5), (1, 5, 0)):
            self.assertFalse(self.output.exists())
            with mock.patch.object(
                image_files.Reader, "read", autospec=True, side_effect=image_files.Reader.read
            ) as read:
                done = self.convert(_TASKS[index], **options)
            # Only the photos of its own record files.
            self.assertEqual(read.call_count, done.images)
            if "seed" not in options:
                self.assertEqual((done.files, done.missing), (files, missing))
            self.assertEqual(done.info is None, done.missing > 0)
        self.assert_complete(expected)
        self.assertEqual(self.json(done), expected["dataset.json"])

    def test_folder_with_splits(self):
        shutil.move(self.images, self.parent.parent / "train")
        shutil.move(self.parent.parent / "train", self.images / "train")
        self.add("test/a/1.png", "test/b/2.png", "test/b/bad.png")
        (self.images / "test/b/bad.png").write_bytes(b"")
        expected = self.single(skip_bad_images=True)
        for task in _TASKS:
            self.convert(task, skip_bad_images=True)
        self.assert_complete(expected)

    def test_more_tasks_than_files(self):
        expected = self.single()
        files = [self.convert(Task(index, 20)).files for index in range(20)]
        self.assertEqual(files, [1] * 14 + [0] * 6)
        self.assert_complete(expected)

    def test_a_task_that_is_run_again(self):
        expected = self.single()
        self.convert(_TASKS[0])
        # Its files are there.
        self.assertEqual(self.convert(_TASKS[0])[:3], (0, 0, 9))
        for task in _TASKS:
            self.convert(task)
        modified = os.stat(self.output / "dataset.json").st_mtime_ns
        for task in _TASKS:
            done = self.convert(task)
            self.assertEqual(done[:3], (0, 0, 0))
            self.assertEqual(self.json(done), expected["dataset.json"])
        self.assert_complete(expected)
        self.assertEqual(os.stat(self.output / "dataset.json").st_mtime_ns, modified)

    def test_continues_after_the_last_complete_file(self):
        expected = self.single()

        class Stop(Exception):
            pass

        def stop(done: int, total: int) -> None:
            del total
            if done == 10:
                raise Stop

        # Its five files have 3, 3, 3, 1 and 1 images.
        with self.assertRaises(Stop):
            self.convert(_TASKS[0], on_progress=stop)
        self.assertEqual(self.convert(_TASKS[0])[:2], (2, 2))
        for task in _TASKS[1:]:
            self.convert(task)
        self.assert_complete(expected)

    def test_replaces_an_earlier_data_set_when_all_is_complete(self):
        self.single()
        image_conversion.convert(str(self.images), str(self.output), seed=5)
        earlier = self.contents(self.output)
        expected = self.single(seed=6)
        for task in _TASKS:
            self.assertEqual(self.contents(self.output), earlier)
            self.convert(task, seed=6)
        self.assert_complete(expected)
        # The same again, with the data set of tasks and fewer photos.
        os.remove(self.images / "a" / "01.png")
        expected = self.single()
        for task in _TASKS:
            self.convert(task)
        self.assert_complete(expected, number=2)

    def test_an_incomplete_data_set_cannot_be_read(self):
        for task in _TASKS[:2]:
            self.convert(task)
        with self.assertRaisesRegex(FileNotFoundError, "does not exist"):
            open_dataset(str(self.output), "train")
        with self.assertRaisesRegex(FileNotFoundError, "named train-"):
            open_dataset(f"{self.output}.tasks-1", "train")
        # The folder with the files has neither names of classes nor counts.
        files = os.listdir(f"{self.output}.tasks-1/files")
        self.assertNotIn("dataset.json", files)
        self.assertNotIn("labels.txt", files)

    def test_bad_images_without_the_flag(self):
        self.add("a/x.png", "c/z.png")
        for name in ("a/x.png", "c/z.png"):
            (self.images / name).write_bytes(b"no image")
        text = "got 1 that cannot be read .*among 35; repair or remove them, or leave them out"
        failed = []
        for task in _TASKS:
            try:
                self.convert(task)
            except ValueError as error:
                self.assertRegex(str(error), text)
                failed.append(task)
        self.assertLen(failed, 2)
        self.assertFalse(self.output.exists())
        # The flag is no other conversion: what is complete is used.
        expected = self.single(skip_bad_images=True)
        for task in failed:
            done = self.convert(task, skip_bad_images=True)
            self.assertEqual(done.files, 1)
        self.assert_complete(expected)

    def test_last_task_without_the_flag(self):
        (self.images / "a" / "00.png").write_bytes(b"no image")
        for task in _TASKS[:2]:
            self.convert(task, skip_bad_images=True)
        with self.assertRaisesRegex(ValueError, "a/00.png: it is not .*leave them out by --skip"):
            self.convert(_TASKS[2])

    def test_bad_images_are_left_out_as_if_they_did_not_exist(self):
        bad = ("a/00.png", "a/05.png", "b/03.png", "c/aa.png", "c/bb.png")
        self.add(*bad)
        for name in bad:
            (self.images / name).write_bytes(b"no image")
        expected = self.single(skip_bad_images=True)
        folders = [os.path.join(self.images, name) for name in bad]
        for task in _TASKS:
            done = self.convert(task, skip_bad_images=True)
        assert done.info is not None
        self.assertLen(done.info.skipped, 5)
        self.assert_complete(expected)
        for path in folders:
            os.remove(path)
        without = self.single()
        del expected["dataset.json"], without["dataset.json"]
        self.assertEqual(without, expected)

    def test_images_that_change_while_tasks_run(self):
        (self.images / "a" / "00.png").write_bytes(b"no image")
        for task in _TASKS[:2]:
            self.convert(task, skip_bad_images=True)

        def add(done: int, total: int) -> None:
            if done == total:
                self.add("c/new.png")

        with self.assertRaisesRegex(ValueError, "expected the same images in .* got others; rest"):
            self.convert(_TASKS[2], skip_bad_images=True, on_progress=add)
        (self.images / "c" / "new.png").unlink()
        self.convert(_TASKS[2], skip_bad_images=True)
        self.assert_complete(self.single(skip_bad_images=True))

    def test_too_few_images_left(self):
        for index in range(1, 11):
            (self.images / "b" / f"{index:02}.png").write_bytes(b"")
        for task in _TASKS[:2]:
            self.convert(task, skip_bad_images=True)
        with self.assertRaisesRegex(ValueError, "^with 10 that .* left out, .* got one of b;"):
            self.convert(_TASKS[2], skip_bad_images=True)
        self.assertFalse(self.output.exists())

    def test_warns_of_damaged_images_once(self):
        image = Image.open(self.images / "a" / "00.png")
        image.save(self.images / "a" / "damaged.jpg")
        data = (self.images / "a" / "damaged.jpg").read_bytes()
        (self.images / "a" / "damaged.jpg").write_bytes(data[:-2])
        expected = self.single()
        with self.assertWarnsRegex(UserWarning, "damaged.jpg is damaged") as caught:
            for task in _TASKS:
                self.convert(task)
        self.assertLen(caught.warnings, 1)
        self.assert_complete(expected)

    @parameterized.parameters(
        ("a photo more", r"images 34 instead of 33, bytes \d+ instead of \d+, hash of names"),
        ("a photo of another size", r"got bytes \d+ instead of \d+, hash of names"),
        ("another name", "got hash of names and sizes .* instead of [0-9a-f]{16};"),
        ("another seed", "got seed 1 instead of 0; give all tasks the same"),
        ("another fraction", "got validation_fraction 0.5 instead of 0.2"),
        ("another number of tasks", "got num_tasks 2 instead of 3"),
    )
    def test_refuses_to_mix(self, what, pattern):
        expected = self.single()
        self.convert(_TASKS[0])
        task, options = _TASKS[1], dict[str, Any]()
        images = self.images
        if what.startswith("a"):
            # This task sees another folder.
            self.images = images.with_name("others")
            shutil.copytree(images, self.images)
        if what == "a photo more":
            self.add("a/99.png")
        elif what == "a photo of another size":
            with open(self.images / "a" / "00.png", "ab") as file:
                file.write(b"\0")
        elif what == "another name":
            os.rename(self.images / "a" / "00.png", self.images / "a" / "x.png")
        elif what == "another seed":
            options = {"seed": 1}
        elif what == "another fraction":
            options = {"validation_fraction": 0.5}
        else:
            task = Task(1, 2)
        with self.assertRaisesRegex(ValueError, f"began {self.output}.tasks-1, .*{pattern}"):
            self.convert(task, **options)
        self.images = images
        for task in _TASKS[1:]:
            self.convert(task)
        self.assert_complete(expected)

    def test_bad_folders(self):
        self.output.mkdir()
        (self.output / "mine").touch()
        with self.assertRaisesRegex(FileExistsError, "which holds mine;"):
            self.convert(_TASKS[0])
        self.assertEqual(os.listdir(self.parent), ["out"])
        (self.output / "mine").unlink()
        for task in _TASKS[:2]:
            self.convert(task)
        # Written while the tasks ran.
        original = record_shards.write

        def write(*arguments):
            yield from original(*arguments)
            (self.output / "mine").touch()

        with (
            mock.patch.object(record_shards, "write", write),
            self.assertRaisesRegex(FileExistsError, "which holds mine;"),
        ):
            self.convert(_TASKS[2])
        self.assertEqual(os.listdir(self.output), ["mine"])
        (self.output / "mine").unlink()
        self.convert(_TASKS[2])
        self.assert_complete(self.single())
        self.output = self.images / "out"
        with self.assertRaisesRegex(ValueError, "an output folder outside the folder of images"):
            self.convert(_TASKS[0])
        self.output = self.parent / "missing" / "out"
        with self.assertRaisesRegex(FileNotFoundError, "create it"):
            self.convert(_TASKS[0])
        with self.assertRaisesRegex(ValueError, "folder on this machine, got gs://bucket/out"):
            task_conversion.convert(str(self.images), "gs://bucket/out", _TASKS[0])

    def test_starts_while_another_replaces_the_output(self):
        for task in _TASKS:
            self.convert(task)
        original = dataset_info.read

        def read(folder: str) -> DatasetInfo | None:
            with mock.patch.object(dataset_info, "read", original):
                os.rename(self.output, self.parent / "away")
                found = original(folder)
                os.rename(self.parent / "away", self.output)
            read_once.stop()
            return found

        read_once = mock.patch.object(dataset_info, "read", read)
        read_once.start()
        self.assertEqual(self.convert(_TASKS[0])[:3], (0, 0, 0))

    def test_damaged_part(self):
        for task in _TASKS[:2]:
            self.convert(task)
        path = pathlib.Path(f"{self.output}.tasks-1/files/train-00000-of-00008")
        path.write_bytes(path.read_bytes()[:-9])
        with self.assertRaisesRegex(OSError, "expected train-00000-of-00008 in .*, got another"):
            self.convert(_TASKS[2])
        self.assertEqual(self.convert(_TASKS[0]).files, 1)
        self.assert_complete(self.single())


if __name__ == "__main__":
    absltest.main()
