"""Tests of what photos are found, in class folders and in TFRecords."""

import os
import pathlib

from absl.testing import absltest

from classification.data import dataset_info, testing
from classification.low_shot import labelled_photos


class FindTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        for path in (
            *(
                "base/train/b/1.png",
                "base/train/b/2.png",
                "base/train/a/1.png",
                "base/test/a/3.png",
            ),
            *("novel/train/d/1.png", "novel/train/c/1.png", "novel/test/c/2.png"),
            "novel/test/d/2.png",
            "base/test/b/3.png",
        ):
            self.write(path, path.encode())

    def write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def write_records(self, name: str, *examples: tuple[bytes, int]) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        testing.write_records(
            self.folder / name, [testing.make_image_example(*example) for example in examples]
        )

    def find(self, base: str = "base", novel: str = "novel", names: tuple[str, ...] = ("a", "b")):
        scratch = self.create_tempdir().full_path
        return labelled_photos.find(
            str(self.folder / base),
            str(self.folder / novel),
            names,
            network="the network",
            scratch=scratch,
        )

    def found(self, *args: str) -> tuple[dict[str, list[tuple[bytes, int]]], list[str]]:
        """By split, the contents and the label of each photo; and the classes' names."""
        splits, names = self.find(*args)
        contents = {
            split: sorted(
                (pathlib.Path(path).read_bytes(), label)
                for path, label in zip(photos.paths, photos.labels, strict=True)
            )
            for split, photos in splits.items()
        }
        return contents, names

    def test_class_folders(self):
        splits, names = self.found()
        self.assertEqual(names, ["a", "b", "c", "d"])
        self.assertEqual(
            splits["train"],
            [
                (b"base/train/a/1.png", 0),
                (b"base/train/b/1.png", 1),
                (b"base/train/b/2.png", 1),
                (b"novel/train/c/1.png", 2),
                (b"novel/train/d/1.png", 3),
            ],
        )
        self.assertEqual([label for _, label in splits["test"]], [0, 1, 2, 3])

    def test_the_base_has_the_networks_order(self):
        splits, _ = self.find(names=("b", "a"))
        labels = dict(zip(splits["train"].names, splits["train"].labels, strict=True))
        self.assertEqual(labels[str(self.folder / "base/train/b/1.png")], 0)
        self.assertEqual(labels[str(self.folder / "base/train/a/1.png")], 1)

    def test_records_are_as_good(self):
        expected, _ = self.found()
        # In an order of their own, in two files, numbered by their own labels.
        self.write("records/labels.txt", b"b\na\n")
        photos = [(data, 1 - label) for data, label in expected["train"] if label < 2]
        self.write_records("records/train-0", *photos[2:])
        self.write_records("records/train-1", *photos[:2])
        photos = [(data, 1 - label) for data, label in expected["test"] if label < 2]
        self.write_records("records/validation-0", *photos)
        self.assertEqual(self.found("records"), (expected, ["a", "b", "c", "d"]))
        # Of both, those to test with.
        self.write_records("records/test-0", photos[0])
        splits, _ = self.found("records")
        self.assertLen(splits["test"], 3)
        splits, _ = self.find("records")
        self.assertIn(f"record 1 of {self.folder}/records/train-1", splits["train"].names)

    def test_records_that_will_not_do(self):
        self.write_records("records/train-0", (b"image", 0), (b"image", 2))
        with self.assertRaisesRegex(
            ValueError, "names of the classes in .*records, one per line in lab"
        ):
            self.find("records")
        self.write("records/labels.txt", b"a\nb\n")
        with self.assertRaisesRegex(
            ValueError, "record 1 of .*records/train-0: expected image/class/label in 0..1, got 2"
        ):
            self.find("records")
        self.write_records("records/train-0", (b"image", 0), (b"image", 1))
        with self.assertRaisesRegex(FileNotFoundError, "named validation-.* in .*records"):
            self.find("records")
        self.write_records("records/validation-0", (b"image", 0))
        path = self.folder / "records/train-0"
        path.write_bytes(path.read_bytes()[:-5] + b"damag")
        with self.assertRaisesRegex(
            ValueError, "number 1 of .*train-0, got one with a wrong checksum"
        ):
            self.find("records")

    def test_names_are_the_same_however_they_are_spelled(self):
        for split in ("train", "test"):
            self.write(f"accents/{split}/e\u0301/1.png", b"composed of two")
            self.write(f"accents/{split}/z/1.png", b"plain")
        self.assertEqual(self.find("accents", names=("\u00e9", "z"))[1][:2], ["\u00e9", "z"])
        with self.assertRaisesRegex(ValueError, "none of the classes of the network in --novel"):
            self.find("accents", "accents", names=("\u00e9", "z"))

    def test_described_records_are_those_that_are_meant(self):
        self.write("records/labels.txt", b"a\nb\n")
        described = {}
        for split in ("train", "validation", "test"):
            self.write_records(f"elsewhere/{split}", (split.encode(), 0), (b"image", 1))
            path = self.folder / "elsewhere" / split
            described[split] = (dataset_info.Shard(str(path), 2, path.stat().st_size),)
        described = dataset_info.DatasetInfo(described).to_json()
        (self.folder / "records" / dataset_info.FILE_NAME).write_text(described)
        splits, _ = self.found("records")
        self.assertIn((b"test", 0), splits["test"])
        # Not another split in its place.
        (self.folder / "elsewhere/test").unlink()
        with self.assertRaisesRegex(FileNotFoundError, "elsewhere/test"):
            self.find("records")

    def test_too_few_shots(self):
        splits, names = self.find()
        labelled_photos.check_shots(splits["train"], names, num_base=2, shots=1)
        with self.assertRaisesRegex(ValueError, "at least 2 photos of each .* got 1 of c; .*shots"):
            labelled_photos.check_shots(splits["train"], names, num_base=2, shots=2)

    def test_classes_that_do_not_fit(self):
        for base, novel, names, expected in (
            ("base", "novel", ("a", "a"), "different names, got equal ones in the network"),
            ("novel", "novel", ("a", "b"), "the classes of the network in --base_dir, got c"),
            ("base", "base", ("a", "b"), "none of the classes of the network in --novel_dir, got"),
            ("base", "novel", ("a", "b", "e"), "classes of the network in --base_dir, .* of e"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                self.find(base, novel, names)
        self.write_records("records/train-0", (b"image", 0))
        self.write_records("records/validation-0", (b"image", 0))
        for labels, expected in (
            ("c\nd\n", "all classes in --novel_dir, got none of d"),
            ("c\nc\n", "different names, got equal ones among c, c"),
        ):
            self.write("records/labels.txt", labels.encode())
            with self.assertRaisesRegex(ValueError, expected):
                self.find(novel="records")
        with self.assertRaises(OSError):
            self.find("gone")
        self.assertFalse(os.path.exists(self.folder / "gone"))


if __name__ == "__main__":
    absltest.main()
