"""Tests of image_conversion.py: the data set, and what is left after a failure."""

import dataclasses
import hashlib
import os
import pathlib
import re
import resource
import signal
from typing import Any
from unittest import mock

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest
from PIL import Image

from classification.data import dataset_info, records
from classification.data.dataset_info import DatasetInfo
from classification.images import image_conversion, image_files
from imprinting.photos import image_folder


class ConvertTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        root = os.path.realpath(self.create_tempdir().full_path)
        self.images = os.path.join(root, "images")
        self.parent = os.path.join(root, "parent")
        os.makedirs(self.parent)
        self.output = os.path.join(self.parent, "out")

    def add(self, *names: str) -> None:
        """Adds images that all differ."""
        for name in names:
            path = pathlib.Path(self.images, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
            pixels = np.random.default_rng(seed).integers(0, 256, [9, 8, 3])
            Image.fromarray(pixels.astype(np.uint8)).save(path)

    def add_bad(self, *names: str) -> None:
        for name in names:
            path = pathlib.Path(self.images, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"no image")

    def convert(self, **options: Any) -> DatasetInfo:
        return image_conversion.convert(self.images, self.output, **options)

    def examples(self, split: str) -> list[tuple[str, dict[str, Any]]]:
        """File and features of each record of a split, in order."""
        found = []
        for path in records.find_files(self.output, split):
            for record in records.read(path, range(records.count(path))):
                features = tf.train.Example.FromString(record).features.feature
                values = {
                    name: (feature.bytes_list.value or feature.int64_list.value)[0]
                    for name, feature in features.items()
                }
                found.append((os.path.basename(path), values))
        return found

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in pathlib.Path(self.output).iterdir()}

    def assert_nothing_left(self) -> None:
        self.assertEqual(os.listdir(self.parent), [])

    def test_records(self):
        self.add("Ä b/1 ö.png", "Ä b/2.jpg", "a/3.png", "a/4.bmp")
        self.convert(validation_fraction=0.5)
        found = {**dict(self.by_name("train")), **dict(self.by_name("validation"))}
        self.assertCountEqual(found, ["Ä b/1 ö.png", "Ä b/2.jpg", "a/3.png", "a/4.bmp"])
        for name, values in found.items():
            self.assertEqual(values["image/class/text"].decode(), name.partition("/")[0])
            self.assertEqual(values["image/class/label"], ["a", "Ä b"].index(name.split("/")[0]))
            self.assertEqual(values["image/format"], b"jpeg" if name[-3:] == "jpg" else b"png")
            self.assertEqual((values["image/height"], values["image/width"]), (9, 8))
            self.assertEqual((values["image/channels"], values["image/colorspace"]), (3, b"RGB"))
            if not name.endswith("bmp"):
                file = pathlib.Path(self.images, name).read_bytes()
                self.assertEqual(values["image/encoded"], file)
        self.assertEqual(records.read_labels(self.output), ("a", "Ä b"))
        text = pathlib.Path(self.output, "labels.txt").read_text(encoding="utf-8")
        self.assertEqual(text, "0:a\n1:Ä b\n")

    def by_name(self, split: str) -> list[tuple[str, dict[str, Any]]]:
        return [(values["image/filename"].decode(), values) for _, values in self.examples(split)]

    def test_order_and_files(self):
        self.add(*(f"{name}/{index:02}.png" for name in "ab" for index in range(15)))
        info = self.convert(seed=3)
        self.assertEqual(dataset_info.read(self.output), info)
        folder = image_folder.scan(self.images, seed=3)
        for split, count in (("train", 24), ("validation", 6)):
            names = [name for name, _ in self.by_name(split)]
            self.assertEqual(names, [image.name for image in folder.splits[split]])
            shards = info.splits[split]
            files = min(8, count)
            paths = [f"{split}-{index:05}-of-{files:05}" for index in range(files)]
            self.assertEqual([shard.path for shard in shards], paths)
            for shard in shards:
                path = os.path.join(self.output, shard.path)
                self.assertEqual(shard.num_bytes, os.path.getsize(path))
                self.assertEqual(shard.num_examples, records.count(path))
                self.assertEqual(shard.num_examples, count // files)
            self.assertEqual(info.class_counts[split], (count // 2, count // 2))
        self.assertEqual((info.seed, info.validation_fraction), (3, 0.2))

    def test_folder_with_splits(self):
        self.add("train/a/1.png", "train/b/2.png", "validation/b/3.png", "test/a/4.png")
        info = self.convert()
        self.assertEqual(info.class_counts, {"train": (1, 1), "validation": (0, 1), "test": (1, 0)})
        self.assertIsNone(info.validation_fraction)
        self.assertEqual([name for name, _ in self.by_name("test")], ["test/a/4.png"])
        expected = {split: split for split in ("train", "validation", "test")}
        self.assertEqual(info.split_folders, expected)
        self.assertEqual(dataset_info.read(self.output), info)

    def test_equal_arguments_give_equal_bytes(self):
        self.add(*(f"{name}/{index}.png" for name in "ab" for index in range(20)))
        self.add_bad("a/bad.png", "b/bad.png")
        found = []
        for seed in (0, 0, 1):
            self.convert(seed=seed, skip_bad_images=True)
            found.append(self.contents())
        self.assertEqual(found[0], found[1])
        self.assertNotEqual(found[0], found[2])
        text = found[0]["dataset.json"].decode()
        self.assertNotIn(os.path.dirname(self.images), text)

    def test_names_all_bad_images(self):
        self.add(*(f"{name}/{index}.png" for name in "ab" for index in range(4)))
        self.add_bad("a/x.jpg", "b/y.png")
        pathlib.Path(self.images, "b", "z.jpg").touch()
        with self.assertRaises(ValueError) as caught:
            self.convert()
        text = str(caught.exception)
        self.assertIn(f"in {self.images}, got 3 that cannot be read (", text)
        for name in ("a/x.jpg: it is not a JPEG,", "b/y.png: it is not", "b/z.jpg: it is empty"):
            self.assertIn(name, text)
        self.assertIn(") among 11; repair or remove them, or leave them out by --skip", text)
        self.assert_nothing_left()
        info = self.convert(skip_bad_images=True)
        self.assertCountEqual(info.skipped, ["a/x.jpg", "b/y.png", "b/z.jpg"])
        self.assertEqual(info.skipped["b/z.jpg"], "it is empty")
        self.assertEqual(dataset_info.read(self.output), info)

    def test_broken_link_is_a_bad_image(self):
        self.add(*(f"{name}/{index}.png" for name in "ab" for index in range(3)))
        os.symlink("loop.png", os.path.join(self.images, "a", "loop.png"))
        os.symlink("/gone/x.png", os.path.join(self.images, "b", "x.png"))
        expected = [
            "a/loop.png: it is a link to loop.png, and cannot be opened: Too many levels of "
            "symbolic links",
            "b/x.png: it is a link to /gone/x.png, and cannot be opened: No such file or directory",
        ]
        with self.assertRaisesRegex(
            ValueError, re.escape(f"got 2 that cannot be read ({', '.join(expected)})")
        ):
            self.convert()
        info = self.convert(skip_bad_images=True)
        self.assertEqual([": ".join(item) for item in info.skipped.items()], expected)

    def test_images_left_out_have_no_effect(self):
        self.add(*(f"{name}/{index}.png" for name in "ab" for index in range(5)))
        expected = self.convert()
        files = self.contents()
        self.add_bad(*(f"a/bad{index}.png" for index in range(9)))
        info = self.convert(skip_bad_images=True)
        self.assertLen(info.skipped, 9)
        self.assertEqual(dataclasses.replace(info, skipped={}), expected)
        found = self.contents()
        del files["dataset.json"], found["dataset.json"]
        self.assertEqual(found, files)

    def test_refuses_class_with_too_few_images_left(self):
        self.add("a/1.png", "a/2.png", "b/1.png")
        self.add_bad("b/2.png")
        with self.assertRaisesRegex(
            ValueError,
            r"^with 1 that cannot be read \(b/2.png: it is not .*\) left out, expected "
            "at least two images of each class in .*, got one of b; ",
        ):
            self.convert(skip_bad_images=True)
        self.assert_nothing_left()
        self.add_bad("a/1.png", "a/2.png", "b/1.png")
        with self.assertRaisesRegex(ValueError, "^with 4 that .* left out, .* got none in a, b;"):
            self.convert(skip_bad_images=True)
        self.assert_nothing_left()

    def test_progress(self):
        self.add(*(f"{name}/{index}.png" for name in "ab" for index in range(30)))
        shown = []
        self.convert(on_progress=lambda done, total: shown.append((done, total)))
        self.assertEqual(shown, [(done, 60) for done in range(1, 61)])

    def test_output_folder(self):
        self.add("a/1.png", "a/2.png", "b/1.png", "b/2.png")
        os.mkdir(self.output)
        mine = os.path.join(self.output, "mine")
        pathlib.Path(mine).touch()
        with self.assertRaisesRegex(FileExistsError, "which holds mine;"):
            self.convert()
        self.assertEqual(os.listdir(self.output), ["mine"])
        os.remove(mine)
        first = self.convert()
        self.add("a/3.png", "b/3.png", "c/1.png", "c/2.png", "c/3.png")
        second = self.convert()
        self.assertNotEqual(first, second)
        self.assertLen(self.contents(), 2 + sum(len(part) for part in second.splits.values()))
        pathlib.Path(self.output, "train-00000-of-00001").touch()
        with self.assertRaisesRegex(FileExistsError, "which holds train-00000-of-00001;"):
            self.convert()
        pathlib.Path(self.output, "dataset.json").write_text("{")
        with self.assertRaisesRegex(ValueError, "dataset.json does not describe a data set"):
            self.convert()
        self.output = os.path.join(self.images, "out")
        with self.assertRaisesRegex(ValueError, "an output folder outside the folder of images"):
            self.convert()
        self.output = os.path.join(self.parent, "missing", "out")
        with self.assertRaisesRegex(FileNotFoundError, "create it"):
            self.convert()

    def test_refuses_other_file_system_first(self):
        self.output = "ram://image_conversion_test/out"
        with self.assertRaisesRegex(ValueError, f"folder on this machine, got {self.output}; "):
            self.convert()
        self.assertFalse(os.path.exists(self.images))
        self.assertFalse(tf.io.gfile.exists(self.output))

    def test_full_disk(self):
        self.add("a/1.png", "a/2.png", "b/1.png", "b/2.png")
        pathlib.Path(self.images, "a", "2.png").write_bytes(b"")
        pixels = np.random.default_rng(0).integers(0, 256, [200, 200, 3]).astype(np.uint8)
        Image.fromarray(pixels).save(os.path.join(self.images, "a", "2.png"))
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        # A disk that is full after 50,000 bytes.
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        try:
            with self.assertRaises((OSError, tf.errors.OpError)) as caught:
                self.convert()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        self.assertIn("File too large", str(caught.exception))
        self.assert_nothing_left()

    def test_interruption(self):
        self.add(*(f"{name}/{index}.png" for name in "ab" for index in range(40)))

        def interrupt(done: int, total: int) -> None:
            del total
            if done == 10:
                raise KeyboardInterrupt

        # With one processor, so that the number of images that are read ahead is known.
        processors = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(processors)})
        self.addCleanup(os.sched_setaffinity, 0, processors)
        original = image_files.Reader.read
        with (
            mock.patch.object(
                image_files.Reader, "read", autospec=True, side_effect=original
            ) as read,
            self.assertRaises(KeyboardInterrupt),
        ):
            self.convert(on_progress=interrupt)
        # When the tenth image is done, the next three may have been requested.
        self.assertBetween(read.call_count, 10, 13)
        self.assert_nothing_left()


if __name__ == "__main__":
    absltest.main()
