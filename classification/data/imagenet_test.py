"""Tests of imagenet.py: bad records, order, sharding by file."""

import pathlib
from typing import Any

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from classification.data import dataset, imagenet, testing
from classification.data.dataset_info import Shard

_PNG = testing.encode_png(np.full([4, 4, 3], 128, np.uint8))


class ImagenetTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path

    def write(self, *examples: bytes) -> None:
        testing.write_records(pathlib.Path(self.folder) / "train-0", examples)

    def open(self) -> dataset.Dataset:
        return dataset.open_dataset(self.folder, "train")

    def labels_of(self, **options: Any) -> list[int]:
        limit = 10 if options["is_training"] else None
        batches = self.open().batches(batch_size=3, image_size=8, **options)
        return [n for b in testing.run_batches(batches, limit=limit) for n in b["label"]]

    @parameterized.parameters(-1, 1001, 5_000_000_000)
    def test_names_record_with_bad_label(self, label):
        self.write(testing.make_image_example(_PNG, 1000), testing.make_image_example(_PNG, label))
        for is_training in (False, True):
            with self.assertRaisesRegex(
                tf.errors.InvalidArgumentError,
                rf"image/class/label in 0..1000, got {label} in record 1 of {self.folder}/train-0",
            ):
                self.labels_of(is_training=is_training)

    def test_least_and_greatest_label(self):
        self.write(testing.make_image_example(_PNG, 0), testing.make_image_example(_PNG, 1000))
        self.assertEqual(self.labels_of(is_training=False), [0, 1000])

    def test_label_range_of_labels_file(self):
        pathlib.Path(self.folder, "labels.txt").write_text("daisy\nrose\n")
        self.write(testing.make_image_example(_PNG, 1), testing.make_image_example(_PNG, 2))
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "in 0..1, got"):
            self.labels_of(is_training=False)

    @parameterized.parameters(
        ({"image/class/label": 1}, "image/encoded"),
        ({"image/encoded": _PNG}, "image/class/label"),
        ({"image/encoded": 5, "image/class/label": 1}, "image/encoded"),
    )
    def test_refuses_first_record_without_feature(self, features, name):
        self.write(testing.make_example(features))
        with self.assertRaisesRegex(
            ValueError, f"{name} in each record, got 0 in the first record of .*train-0"
        ):
            self.open()

    @parameterized.parameters(
        ({"image/class/label": 1}, "expected an image under image/encoded, got none"),
        ({"image/encoded": _PNG}, "expected image/class/label in 0..1000, got none"),
        ({"image/encoded": 5, "image/class/label": 1}, "expected a tf.train.Example, got another"),
        (
            {"image/encoded": b"no image", "image/class/label": 1},
            "expected a JPEG or PNG image under image/encoded, got one that cannot be decoded",
        ),
    )
    def test_names_bad_record(self, features, message):
        whole = testing.make_image_example(_PNG, 1)
        self.write(whole, whole, testing.make_example(features), whole)
        with self.assertRaisesRegex(
            tf.errors.InvalidArgumentError, f"{message}.* in record 2 of {self.folder}/train-0; "
        ):
            self.labels_of(is_training=False)

    def test_names_truncated_image(self):
        photo = np.random.RandomState(0).randint(0, 255, [64, 64, 3]).astype(np.uint8)
        jpeg = tf.io.encode_jpeg(photo).numpy()
        whole = [testing.make_image_example(jpeg, i) for i in range(3)]
        self.write(*whole, testing.make_image_example(jpeg[: len(jpeg) // 2], 3), *whole)
        for is_training in (False, True):
            with self.assertRaisesRegex(
                tf.errors.InvalidArgumentError, f"be decoded in record 3 of {self.folder}/train-0"
            ):
                self.labels_of(is_training=is_training)

    def test_names_record_of_another_kind(self):
        self.write(testing.make_image_example(_PNG, 1), b"\xff\xff\xff")
        with self.assertRaisesRegex(
            tf.errors.InvalidArgumentError, "tf.train.Example, got another kind in record 1 of"
        ):
            self.labels_of(is_training=True)

    def test_reports_file_that_became_shorter(self):
        testing.write_grey_images(self.folder, "train", [3])
        data = self.open()
        testing.write_grey_images(self.folder, "train", [2])
        for is_training in (False, True):
            with self.assertRaisesRegex(
                tf.errors.InvalidArgumentError, f"expected 3 records in {self.folder}/train-00000"
            ):
                batches = data.batches(batch_size=1, image_size=8, is_training=is_training)
                testing.run_batches(batches, limit=6)

    def test_refuses_records_of_another_kind(self):
        self.write(b"\xff\xff\xff")
        with self.assertRaisesRegex(ValueError, "tf.train.Example records in .*train-0"):
            self.open()

    def test_refuses_empty_files(self):
        self.write()
        with self.assertRaisesRegex(ValueError, "got 1 empty files"):
            self.open()

    def test_skips_empty_files(self):
        testing.write_grey_images(self.folder, "train", [0, 3, 0, 2])
        self.assertEqual(self.open().num_examples, 5)
        self.assertEqual(self.labels_of(is_training=False), [0, 1, 2, 3, 4])
        self.assertCountEqual(self.labels_of(is_training=True)[:5], [0, 1, 2, 3, 4])

    def test_no_worker_gets_only_empty_files(self):
        testing.write_grey_images(self.folder, "train", [0, 3])
        options = {"is_training": True, "num_shards": 2}
        shards = [set(self.labels_of(shard_index=i, **options)) for i in range(2)]
        self.assertEqual(shards, [{0, 2}, {1}])

    def test_workers_get_complete_files(self):
        testing.write_grey_images(self.folder, "train", [3, 2, 4])
        options = {"is_training": False, "num_shards": 2}
        self.assertEqual(self.labels_of(shard_index=0, **options), [0, 1, 2, 5, 6, 7, 8])
        self.assertEqual(self.labels_of(shard_index=1, **options), [3, 4])

    def test_workers_share_few_files(self):
        testing.write_grey_images(self.folder, "train", [3, 4])
        options = {"is_training": False, "num_shards": 3}
        shards = [self.labels_of(shard_index=i, **options) for i in range(3)]
        self.assertEqual(shards, [[0, 3, 6], [1, 4], [2, 5]])

    def test_training_mixes_files(self):
        testing.write_grey_images(self.folder, "train", [10, 10, 10])
        first = self.labels_of(is_training=True)[:30]
        self.assertCountEqual(first, range(30))
        self.assertLen({label // 10 for label in first[:10]}, 3)

    def test_small_shuffle_buffer(self):
        testing.write_grey_images(self.folder, "train", [30])
        path = pathlib.Path(self.folder, "train-00000-of-00001")
        batches = imagenet.batches(
            [Shard(str(path), num_examples=30, num_bytes=path.stat().st_size)],
            num_classes=imagenet.NUM_CLASSES,
            batch_size=3,
            image_size=8,
            is_training=True,
            seed=0,
            num_shards=1,
            shard_index=0,
            start=0,
            shuffle_bytes=path.stat().st_size // 10,
        )
        first = [n for b in testing.run_batches(batches, limit=10) for n in b["label"]]
        self.assertCountEqual(first, range(30))
        # The buffer has three elements: the n-th result is among the first n + 3 of the file.
        self.assertTrue(all(label < i + 3 for i, label in enumerate(first)))
        self.assertNotEqual(first, list(range(30)))

    def test_workers_distort_differently(self):
        image = np.random.RandomState(0).randint(0, 255, [16, 16, 3]).astype(np.uint8)
        self.write(*[testing.make_image_example(testing.encode_png(image), 1)] * 4)
        images = []
        for shard in (0, 1):
            batches = self.open().batches(
                batch_size=2, image_size=8, is_training=True, num_shards=2, shard_index=shard
            )
            images.extend(testing.run_batches(batches, limit=1)[0]["image"])
        for i in range(4):
            for j in range(i):
                self.assertGreater(np.abs(images[i] - images[j]).max(), 0.05)


class EncodedImageTest(absltest.TestCase):
    def test_image(self):
        self.assertEqual(imagenet.encoded_image(testing.make_image_example(b"png", 1)), b"png")

    def test_refuses_missing_image(self):
        for record in (testing.make_example({}), testing.make_image_example(b"", 1)):
            with self.assertRaisesRegex(ValueError, "an image under image/encoded, got none"):
                imagenet.encoded_image(record)
        with self.assertRaisesRegex(ValueError, "got a record of another kind"):
            imagenet.encoded_image(b"no example")

    def test_image_and_label(self):
        example = testing.make_image_example(b"png", 1)
        self.assertEqual(imagenet.labelled_image(example, num_classes=2), (b"png", 1))
        for label in (-1, 2):
            example = testing.make_image_example(b"png", label)
            with self.assertRaisesRegex(ValueError, f"label in 0..1, got {label}"):
                imagenet.labelled_image(example, num_classes=2)
        with self.assertRaisesRegex(ValueError, "label in 0..1, got none"):
            imagenet.labelled_image(testing.make_example({"image/encoded": b"png"}), num_classes=2)
        with self.assertRaisesRegex(ValueError, "got a record of another kind"):
            imagenet.labelled_image(b"no example", num_classes=2)


if __name__ == "__main__":
    absltest.main()
