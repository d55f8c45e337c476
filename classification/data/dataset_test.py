"""Tests of dataset.py, with the digits and with record files."""

import os
import pathlib
import tempfile
from typing import Any

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from classification.data import dataset, digits, testing
from imprinting.base.photo_crop import Crop

_SIZES = (30, 0, 17, 23)


class DatasetTest(parameterized.TestCase):
    folder: str

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        for split in ("train", "validation"):
            testing.write_grey_images(cls.folder, split, _SIZES)

    def open(self, name: str, split: str) -> dataset.Dataset:
        return dataset.open_dataset(self.folder if name == "imagenet" else None, split)

    def test_digits(self):
        for given in ("", None):
            data = dataset.open_dataset(given, "train")
            self.assertEqual(
                (data.name, data.split, data.source, data.num_examples, data.num_classes),
                ("digits", "train", "digits", 1437, 10),
            )
            self.assertEqual(data.labels, tuple("0123456789"))
        self.assertEqual(dataset.open_dataset("", "validation").num_examples, 360)

    def test_imagenet(self):
        data = dataset.open_dataset(self.folder, "validation")
        self.assertEqual(
            (data.name, data.split, data.source, data.num_examples, data.num_classes),
            ("imagenet", "validation", self.folder, 70, 1001),
        )
        self.assertIsNone(data.labels)

    def test_relative_folder_has_the_same_source(self):
        data = dataset.open_dataset(os.path.relpath(self.folder) + "/", "validation")
        self.assertEqual(data.source, self.folder)
        self.assertEqual(data.num_examples, 70)

    def test_labels_file(self):
        folder = self.create_tempdir()
        testing.write_grey_images(folder.full_path, "train", [2])
        folder.create_file("labels.txt", "0:background\n1:apple\n2:pear\n")
        data = dataset.open_dataset(folder.full_path, "train")
        self.assertEqual(data.labels, ("background", "apple", "pear"))
        self.assertEqual(data.num_classes, 3)

    @parameterized.parameters("", "somewhere")
    def test_refuses_unknown_split(self, folder):
        with self.assertRaisesRegex(ValueError, "validation, test as the split, got 'eval'"):
            dataset.open_dataset(folder, "eval")

    def test_test_split(self):
        folder = self.create_tempdir().full_path
        testing.write_grey_images(folder, "test", [2])
        data = dataset.open_dataset(folder, "test")
        self.assertEqual((data.split, data.num_examples), ("test", 2))
        with self.assertRaisesRegex(ValueError, '"train" or "validation" as the split, got "test"'):
            dataset.open_dataset("", "test")

    def test_refuses_missing_folder(self):
        with self.assertRaisesRegex(FileNotFoundError, "does not exist"):
            dataset.open_dataset(str(pathlib.Path(self.folder) / "no"), "train")

    @parameterized.product(name=["digits", "imagenet"], batch_size=[1, 7, 64])
    def test_evaluation_has_each_image_once_in_order(self, name, batch_size):
        data = self.open(name, "validation")
        batches = testing.run_batches(
            data.batches(batch_size=batch_size, image_size=8, is_training=False)
        )
        sizes = [len(batch["label"]) for batch in batches]
        self.assertEqual(set(sizes[:-1]), {batch_size})
        self.assertEqual(sum(sizes), data.num_examples)
        images = np.concatenate([batch["image"] for batch in batches])
        labels = np.concatenate([batch["label"] for batch in batches])
        self.assertEqual(images.dtype, np.float32)
        self.assertEqual(labels.dtype, np.int64)
        if name == "digits":
            pixels, expected = digits.load("validation")
            pixels = np.repeat(pixels[..., None], 3, axis=-1) / 8 - 1
        else:
            expected = np.arange(70)
            pixels = np.broadcast_to(2 * expected[:, None, None, None] / 127.5 - 1, [70, 8, 8, 3])
        np.testing.assert_array_equal(labels, expected)
        np.testing.assert_allclose(images, pixels, atol=1e-6)

    @parameterized.product(name=["digits", "imagenet"], num_shards=[2, 3, 5])
    def test_shards_are_disjoint_and_complete(self, name, num_shards):
        data = self.open(name, "validation")
        seen: list[bytes] = []
        for index in range(num_shards):
            batches = data.batches(
                batch_size=16,
                image_size=8,
                is_training=False,
                num_shards=num_shards,
                shard_index=index,
            )
            for batch in testing.run_batches(batches):
                seen.extend(image.tobytes() for image in batch["image"])
        self.assertLen(seen, data.num_examples)
        self.assertLen(set(seen), data.num_examples)

    @parameterized.parameters("digits", "imagenet")
    def test_each_epoch_has_each_image_once(self, name):
        data = self.open(name, "train")
        # 1437 = 3 * 479, and 70 = 7 * 10.
        size = {"digits": 479, "imagenet": 10}[name]
        per_epoch = data.num_examples // size
        batches = testing.run_batches(
            data.batches(batch_size=size, image_size=8, is_training=True), limit=3 * per_epoch
        )
        epochs = [
            np.concatenate([b["label"] for b in batches[i * per_epoch : (i + 1) * per_epoch]])
            for i in range(3)
        ]
        expected = digits.load("train")[1] if name == "digits" else np.arange(70)
        for epoch in epochs:
            np.testing.assert_array_equal(np.sort(epoch), np.sort(expected))
        for a, b in ((0, 1), (1, 2), (0, 2)):
            self.assertLess(np.mean(epochs[a] == epochs[b]), 0.3)

    @parameterized.parameters("digits", "imagenet")
    def test_training_batches_depend_on_the_seed(self, name):
        data = self.open(name, "train")

        def run(seed):
            options: dict[str, Any] = {"batch_size": 32, "image_size": 16, "is_training": True}
            return testing.run_batches(data.batches(seed=seed, **options), limit=5)

        once, again, other = run(1), run(1), run(2)
        for a, b in zip(once, again, strict=True):
            np.testing.assert_array_equal(a["image"], b["image"])
            np.testing.assert_array_equal(a["label"], b["label"])
        self.assertLess(np.mean(once[0]["label"] == other[0]["label"]), 0.5)

    @parameterized.parameters("digits", "imagenet")
    def test_training_continues_from_start(self, name):
        data = self.open(name, "train")
        # Epochs end inside batches. Two workers have their own files; four workers share files.
        batch_size = 20 if name == "imagenet" else 400
        for workers in ({}, {"num_shards": 2}, {"num_shards": 4, "shard_index": 3}):
            options: dict[str, Any] = {
                "batch_size": batch_size,
                "image_size": 8,
                "is_training": True,
                "seed": 5,
                **workers,
            }
            whole = testing.run_batches(data.batches(**options), limit=8)
            rest = testing.run_batches(data.batches(start=5, **options), limit=3)
            for a, b in zip(whole[5:], rest, strict=True):
                np.testing.assert_array_equal(a["label"], b["label"])
                np.testing.assert_array_equal(a["image"], b["image"])

    def test_crops(self):
        folder = self.create_tempdir().full_path
        # The left and the right quarter are white.
        image = np.full([64, 128, 3], 255, np.uint8)
        image[:, 32:96] = 0
        records = [testing.make_image_example(testing.encode_png(image), 1)]
        testing.write_records(os.path.join(folder, "validation-00000-of-00001"), records)
        data = dataset.open_dataset(folder, "validation")
        images = {}
        for crop in Crop:
            options = {"batch_size": 1, "image_size": 32, "is_training": False, "crop": crop}
            (batch,) = testing.run_batches(data.batches(**options))
            images[crop] = batch["image"]
        np.testing.assert_array_equal(images[Crop.SQUARE], np.full([1, 32, 32, 3], -1.0))
        # 48 of the middle 112 columns are white.
        self.assertBetween((images[Crop.STRETCHED] > 0).mean(), 0.35, 0.5)

    def test_digits_are_complete_with_each_crop(self):
        data = dataset.open_dataset(None, "validation")
        batches = [
            testing.run_batches(
                data.batches(batch_size=360, image_size=32, is_training=False, crop=crop)
            )[0]
            for crop in Crop
        ]
        np.testing.assert_array_equal(batches[0]["image"], batches[1]["image"])

    @parameterized.parameters("digits", "imagenet")
    def test_training_images(self, name):
        data = self.open(name, "train")
        batches = data.batches(batch_size=64, image_size=32, is_training=True)
        self.assertEqual(batches.element_spec["image"].shape, [64, 32, 32, 3])
        self.assertEqual(batches.element_spec["label"].shape, [64])
        for batch in testing.run_batches(batches, limit=3):
            self.assertEqual(batch["image"].shape, (64, 32, 32, 3))
            self.assertGreaterEqual(batch["image"].min(), -1.0)
            self.assertLessEqual(batch["image"].max(), 1.0)

    def test_moved_digits_resemble_their_class(self):
        options: dict[str, Any] = {"batch_size": 1437, "image_size": 32}
        data = self.open("digits", "train")
        plain = testing.run_batches(data.batches(is_training=False, **options))[0]
        moved = testing.run_batches(data.batches(is_training=True, **options), limit=1)[0]
        self.assertGreater(
            np.abs(plain["image"].mean((1, 2)) - moved["image"].mean((1, 2))).max(), 0
        )
        # A class's mean image of moved digits is closest to its own mean image of unmoved ones.
        means = [
            np.stack([b["image"][b["label"] == i, ..., 0].mean(0).ravel() for i in range(10)])
            for b in (plain, moved)
        ]
        distances = np.linalg.norm(means[0][:, None] - means[1][None], axis=-1)
        np.testing.assert_array_equal(distances.argmin(1), range(10))
        self.assertGreater(np.diag(distances).min(), 0.1)

    @parameterized.parameters(
        ({"batch_size": 0}, "batch_size of at least 1, got 0"),
        ({"image_size": -1}, "image_size of at least 1, got -1"),
        ({"num_shards": 2, "shard_index": 2}, r"shard_index in 0\.\.1"),
        ({"num_shards": 0}, "num_shards of at least 1, got 0"),
        ({"num_shards": 71}, "got 70 images in .* for 71 workers; use fewer"),
        ({"start": -1}, "start of at least 0.* got -1"),
        ({"start": 1, "is_training": False}, "0 if is_training is false, got 1"),
    )
    def test_refuses_bad_arguments(self, arguments, message):
        data = self.open("imagenet", "train")
        arguments = {"batch_size": 4, "image_size": 32, "is_training": True} | arguments
        with self.assertRaisesRegex(ValueError, message):
            data.batches(**arguments)

    def test_workers_share_an_epoch(self):
        data = self.open("imagenet", "train")
        for num_shards, sizes in ((2, (53, 17)), (4, (18, 18, 17, 17))):
            labels = []
            for index, size in enumerate(sizes):
                batches = data.batches(
                    batch_size=size,
                    image_size=8,
                    is_training=True,
                    seed=index,
                    num_shards=num_shards,
                    shard_index=index,
                )
                labels.extend(testing.run_batches(batches, limit=1)[0]["label"])
            self.assertCountEqual(labels, range(70))

    def test_fingerprint(self):
        found = {dataset.open_dataset("", split).fingerprint() for split in ("train", "validation")}
        data = self.open("imagenet", "train")
        self.assertEqual(data.fingerprint(), self.open("imagenet", "validation").fingerprint())
        self.assertRegex(data.fingerprint(), "^[0-9a-f]{64}$")
        folder = self.create_tempdir()
        testing.write_grey_images(folder.full_path, "train", [70])
        self.assertEqual(
            dataset.open_dataset(folder.full_path, "train").fingerprint(), data.fingerprint()
        )
        found.add(data.fingerprint())
        folder.create_file("labels.txt", "".join(f"{i}\n" for i in range(70)))
        found.add(dataset.open_dataset(folder.full_path, "train").fingerprint())
        self.assertLen(found, 4)

    def test_files(self):
        self.assertEqual(self.open("digits", "train").files, ())
        names = [pathlib.Path(path).name for path in self.open("imagenet", "train").files]
        self.assertEqual(names, [f"train-0000{i}-of-00004" for i in (0, 2, 3)])

    def test_another_file_system(self):
        folder = "ram://dataset_test"
        for path in pathlib.Path(self.folder).glob("train-*"):
            tf.io.gfile.copy(str(path), f"{folder}/{path.name}", overwrite=True)
        data, local = dataset.open_dataset(f"{folder}/", "train"), self.open("imagenet", "train")
        self.assertEqual(data.source, folder)
        self.assertEqual(data.num_examples, 70)
        self.assertEqual(data.fingerprint(), local.fingerprint())
        options: dict[str, Any] = {"batch_size": 40, "image_size": 8, "is_training": True}
        batches = [testing.run_batches(d.batches(**options), limit=2) for d in (data, local)]
        for a, b in zip(*batches, strict=True):
            np.testing.assert_array_equal(a["image"], b["image"])

    def test_refuses_folder_below_file(self):
        with self.assertRaisesRegex(OSError, "train-0.*/x cannot be read: .*Not a directory"):
            dataset.open_dataset(f"{self.folder}/train-00000-of-00004/x", "train")

    def test_refuses_unknown_file_system(self):
        with self.assertRaisesRegex(
            OSError, "foo://x/dataset.json cannot be read: .*'foo' not implemented"
        ):
            dataset.open_dataset("foo://x", "train")

    def test_reports_file_changed_after_opening(self):
        folder = self.create_tempdir().full_path
        testing.write_grey_images(folder, "train", [3])
        data = dataset.open_dataset(folder, "train")
        path = pathlib.Path(folder) / "train-00000-of-00001"
        path.write_bytes(path.read_bytes()[:-3])
        with self.assertRaises(tf.errors.DataLossError):
            testing.run_batches(data.batches(batch_size=4, image_size=8, is_training=False))


if __name__ == "__main__":
    absltest.main()
