"""Tests of image_folder.py: classes, images and splits of a folder."""

import contextlib
import os
import pathlib
import shutil
import unittest.mock
from collections.abc import Iterator

from absl.testing import absltest, parameterized

from imprinting.photos import image_folder
from imprinting.photos.folder_testing import FolderTestCase, names


class ScanTest(FolderTestCase):
    @parameterized.parameters((None, 2, 1, 2), (0.5, 5, 1, 4), (0.99, 9, 1, 8), (0.01, 1, 1, 1))
    def test_holds_out_a_part_of_each_class(self, fraction, *held_out):
        self.add_classes({"a": 10, "b": 2, "c": 9})
        folder = image_folder.scan(self.path, validation_fraction=fraction)
        self.assertEqual(folder.class_names, ("a", "b", "c"))
        self.assertEqual(folder.validation_fraction, fraction or 0.2)
        validation = folder.splits["validation"]
        counts = [sum(image.label == label for image in validation) for label in range(3)]
        self.assertEqual(counts, list(held_out))
        self.assertEqual(names(folder, "validation"), sorted(names(folder, "validation")))
        self.assertLen({*names(folder, "train"), *names(folder, "validation")}, 21)
        self.assertLen([*names(folder, "train"), *names(folder, "validation")], 21)
        for image in (*folder.splits["train"], *validation):
            self.assertEqual(image.label, "abc".index(image.name[0]))

    def test_seed_shuffles_train(self):
        self.add_classes({"a": 40, "b": 40})
        first, again, other = (image_folder.scan(self.path, seed=seed) for seed in (1, 1, 2))
        self.assertEqual(first, again)
        for split in ("train", "validation"):
            self.assertNotEqual(set(names(first, split)), set(names(other, split)))
        labels = [image.label for image in first.splits["train"]]
        self.assertNotIn(sum(labels[:32]), (*range(8), *range(25, 33)))
        self.assertNotEqual(names(first, "train"), sorted(names(first, "train")))

    def test_choice_never_changes(self):
        self.add_classes({"a": 5, "b": 5})
        folder = image_folder.scan(self.path)
        self.assertEqual(names(folder, "validation"), ["a/00.jpg", "b/01.jpg"])
        order = "a1 a3 a2 b4 b0 b3 b2 a4"
        self.assertEqual(names(folder, "train"), [f"{n[0]}/0{n[1]}.jpg" for n in order.split()])

    def test_ignores_order_of_the_file_system(self):
        self.add_classes({"b": 5, "a": 5})
        self.add("x", "y", ".z")
        expected = image_folder.scan(self.path)
        scandir = os.scandir

        @contextlib.contextmanager
        def backwards(path: str) -> Iterator[list[os.DirEntry]]:
            with scandir(path) as entries:
                yield sorted(entries, key=lambda entry: entry.name, reverse=True)

        with unittest.mock.patch.object(os, "scandir", backwards):
            self.assertEqual(image_folder.scan(self.path), expected)

    def test_new_image_moves_few_others(self):
        self.add_classes({"a": 50, "b": 50})
        before = set(names(image_folder.scan(self.path), "validation"))
        self.add("a/new.jpg")
        after = set(names(image_folder.scan(self.path), "validation"))
        self.assertLessEqual(len(before ^ after), 2)

    def test_images_left_out(self):
        self.add_classes({"a": 9, "b": 9})
        expected = image_folder.scan(self.path)
        self.add("a/bad.jpg", "b/bad.jpg")
        folder = image_folder.scan(self.path, without=["a/bad.jpg", "b/bad.jpg"])
        self.assertEqual(folder, expected)

    def test_folder_with_splits(self):
        self.add("train/a/1.jpg", "train/b/2.jpg", "val/b/3.jpg", "test/a/4.jpg", "test/b/5.jpg")
        folder = image_folder.scan(self.path)
        self.assertEqual(folder.class_names, ("a", "b"))
        self.assertEqual(list(folder.splits), ["train", "validation", "test"])
        self.assertIsNone(folder.validation_fraction)
        self.assertCountEqual(names(folder, "train"), ["train/a/1.jpg", "train/b/2.jpg"])
        self.assertEqual(names(folder, "validation"), ["val/b/3.jpg"])
        self.assertEqual(folder.splits["validation"][0].label, 1)
        self.assertEqual(names(folder, "test"), ["test/a/4.jpg", "test/b/5.jpg"])

    @parameterized.parameters(
        ("train", "valid", "test"),
        ("Train", "VALIDATION", "Testing"),
        ("training", "Val", "TEST"),
    )
    def test_names_of_splits(self, train, validation, test):
        junk = ["__MACOSX/._a", "@eaDir/a/b.jpg", "README.dataset.txt", f"{train}/@eaDir/x.jpg"]
        junk += [f"{train}/a/@eaDir/1.jpg/SYNO_THUMB.jpg", f"{train}/.DS_Store", "Thumbs.db"]
        images = [f"{train}/a/1.jpg", f"{train}/b/2.jpg", f"{validation}/a/3.jpg"]
        self.add(*images, f"{test}/b/4.jpg", *junk)
        folder = image_folder.scan(self.path)
        self.assertEqual(folder.class_names, ("a", "b"))
        self.assertCountEqual(names(folder, "train"), images[:2])
        self.assertEqual(names(folder, "validation"), images[2:])
        self.assertEqual(names(folder, "test"), [f"{test}/b/4.jpg"])
        expected = {"train": train, "validation": validation, "test": test}
        self.assertEqual(folder.split_folders, expected)
        self.assertEqual(list(folder.split_folders), list(expected))
        self.assertIn("Thumbs.db", folder.ignored)
        self.assertIn(f"{train}/a/@eaDir", folder.ignored)
        with self.assertRaisesRegex(ValueError, f"name one of these, such as {self.path}/{train}$"):
            image_folder.scan_classes(self.path)
        found = image_folder.scan_classes(os.path.join(self.path, train))
        self.assertEqual(list(found.images), ["a", "b"])

    def test_folder_around_everything(self):
        self.add("__MACOSX/x", "README.txt", "export/inner/train/a/1.jpg", "export/.x")
        self.add("export/inner/train/b/2.jpg", "export/inner/test/b/2.jpg")
        folder = image_folder.scan(self.path)
        self.assertEqual(folder.path, os.path.join(self.path, "export", "inner"))
        self.assertEqual(names(folder, "validation"), ["test/b/2.jpg"])
        shutil.rmtree(os.path.join(self.path, "export/inner/test"))
        found = image_folder.scan_classes(os.path.join(self.path, "export/inner/train"))
        self.assertEqual(list(found.images), ["a", "b"])
        shutil.move(os.path.join(self.path, "export/inner/train"), os.path.join(self.path, "x"))
        shutil.rmtree(os.path.join(self.path, "export"))
        found = image_folder.scan_classes(self.path)
        self.assertEqual(found.path, os.path.join(self.path, "x"))
        self.assertEqual(list(found.images), ["a", "b"])
        # A class folder is not such a folder.
        shutil.rmtree(os.path.join(self.path, "x", "b"))
        found = image_folder.scan_classes(os.path.join(self.path, "x"))
        self.assertEqual(found.images, {"a": ("a/1.jpg",)})

    def test_folders_around_classes_of_a_split(self):
        self.add("Training/Training/a/1.jpg", "Training/Training/b/1.jpg", "Test/all/deep/a/2.jpg")
        self.add("Test/all/deep/b/2.jpg", "Test/.x/y")
        folder = image_folder.scan(self.path)
        self.assertEqual(folder.class_names, ("a", "b"))
        expected = ["Test/all/deep/a/2.jpg", "Test/all/deep/b/2.jpg"]
        self.assertEqual(names(folder, "validation"), expected)

    def test_refuses_splits_in_classes(self):
        self.add("a/train/1.jpg", "a/test/2.jpg", "b/train/1.jpg", "b/test/2.jpg")
        self.assert_fails("class folder .*/a, got the folder test in it; put .*, as test/a")

    def test_refuses_ambiguous_splits(self):
        self.add("train/a/1.jpg", "train/b/1.jpg", "Test/a/1.jpg", "annotations/1.xml")
        self.assert_fails(
            "only folders of splits in .*, such as Test, train, got also annotations; move"
        )
        shutil.rmtree(os.path.join(self.path, "annotations"))
        self.add("Training/a/1.jpg")
        self.assert_fails("one folder for each split in .*, got Training and train for train; put")

    def test_only_test_is_for_validation(self):
        self.add("train/a/1.jpg", "train/b/2.jpg", "test/b/3.jpg", "LICENSE")
        folder = image_folder.scan(self.path)
        self.assertEqual(list(folder.splits), ["train", "validation"])
        self.assertEqual(names(folder, "validation"), ["test/b/3.jpg"])
        self.assertEqual(folder.split_folders, {"train": "train", "validation": "test"})
        self.assertEqual(folder.ignored, ("LICENSE",))

    def test_class_with_the_name_of_a_split(self):
        self.add_classes({"train": 2, "bus": 2})
        folder = image_folder.scan(self.path)
        self.assertEqual((folder.class_names, folder.split_folders), (("bus", "train"), {}))
        self.assertEqual(list(image_folder.scan_classes(self.path).images), ["bus", "train"])
        shutil.rmtree(os.path.join(self.path, "bus"))
        self.assertEqual(list(image_folder.scan_classes(self.path).images), ["train"])
        self.add("Test/1.jpg")
        with self.assertRaisesRegex(
            ValueError, "only folders of splits, Test, train; put the images of"
        ):
            image_folder.scan_classes(self.path)

    def test_names_with_different_code_points(self):
        self.add("train/cafe\u0301/1.jpg", "train/a/1.jpg", "test/caf\u00e9/1.jpg", "train/z/1.jpg")
        folder = image_folder.scan(self.path)
        self.assertEqual(folder.class_names, ("a", "caf\u00e9", "z"))
        self.assertEqual([image.label for image in folder.splits["validation"]], [1])
        self.assertIn("train/cafe\u0301/1.jpg", names(folder, "train"))
        self.add("train/caf\u00e9/1.jpg")
        self.assert_fails("names in .*/train, got two named caf\u00e9, with different")
        # The choice does not depend on the system that the images are on.
        chosen = []
        for name in ("e\u0301", "\u00e9"):
            root = self.create_tempdir().full_path
            for index in range(20):
                for folder in (name, "b"):
                    path = pathlib.Path(root, folder, f"{index}.jpg")
                    path.parent.mkdir(exist_ok=True)
                    path.touch()
            splits = image_folder.scan(root).splits
            chosen.append([image.name.replace(name, "e") for image in splits["train"]])
        self.assertEqual(*chosen)

    def test_refuses_too_few_images(self):
        self.add("a/1.jpg")
        self.assert_fails("at least two classes in .*, got only a; add other classes")
        self.add("b/1.jpg", "c/1.jpg", "c/2.jpg")
        self.assert_fails("at least two images of each class in .*, got one of a, b; add other")
        self.add("d/readme")
        self.assert_fails("images in each class folder of .*, got none in d .*; add some, or remo")
        self.add_classes({f"e{index}": 0 for index in range(20)})
        for index in range(20):
            os.mkdir(os.path.join(self.path, f"e{index:02}"))
        self.assert_fails("got none in d, e00, .*, e08 and 11 more")

    def test_refuses_incomplete_splits(self):
        self.add("train/a/1.jpg", "train/b/1.jpg")
        self.assert_fails("train, and validation or test, in .*, got only train; add what is")
        self.add("test/a/1.jpg", "test/c/1.jpg", "test/d/1.jpg")
        self.assert_fails("only classes of train in test of .*, got also c, d; add images of them")
        self.assert_fails(
            "no validation fraction for a folder with splits, .*, got 0.5", validation_fraction=0.5
        )
        shutil.rmtree(os.path.join(self.path, "test"))
        self.add("test/1.jpg")
        self.assert_fails("a folder for each class in .*/test, got 1 files and no folder;")
        shutil.rmtree(os.path.join(self.path, "train", "b"))
        self.add("test/a/1.jpg")
        self.assert_fails("two classes in .*/train, .* got only a")
        shutil.rmtree(os.path.join(self.path, "train"))
        self.add("val/a/1.jpg")
        self.assert_fails("got only test, val")
        self.add("validation/a/1.jpg")
        self.assert_fails("one folder for each split in .*, got val and validation for validation;")

    @parameterized.parameters(0.0, 1.0, -0.1, float("nan"))
    def test_refuses_bad_fractions(self, fraction):
        self.add_classes({"a": 2, "b": 2})
        self.assert_fails("fraction above 0 and below 1, got", validation_fraction=fraction)


class ScanClassesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.path = self.create_tempdir().full_path

    def add(self, *names: str) -> None:
        for name in names:
            path = pathlib.Path(self.path, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def test_one_class_or_more(self):
        self.add("b/2.jpg", "b/1.png", "b/x.txt", "y.jpg")
        found = image_folder.scan_classes(self.path)
        self.assertEqual(found.path, self.path)
        self.assertEqual(found.images, {"b": ("b/1.png", "b/2.jpg")})
        self.assertEqual(found.ignored, ("b/x.txt", "y.jpg"))
        # Names of splits have no meaning here.
        self.add("a/3.jpg", "train/4.jpg")
        found = image_folder.scan_classes(self.path, without=["b/1.png"])
        self.assertEqual(list(found.images), ["a", "b", "train"])
        self.assertEqual(found.images["b"], ("b/2.jpg",))

    def test_refuses_bad_folders(self):
        with self.assertRaisesRegex(ValueError, "expected a folder for each class"):
            image_folder.scan_classes(self.path)
        self.add("a/1.jpg", "c/none.txt")
        with self.assertRaisesRegex(ValueError, "got none in c"):
            image_folder.scan_classes(self.path)
        self.add("c/1.jpg")
        self.add("train/b/2.jpg")
        with self.assertRaisesRegex(
            ValueError, "got folders of splits, train; name one of these, such as .*/train$"
        ):
            image_folder.scan_classes(self.path)
        self.add("e/b/2.jpg")
        shutil.rmtree(os.path.join(self.path, "train"))
        with self.assertRaisesRegex(ValueError, "only images in the class folder .*/e"):
            image_folder.scan_classes(self.path)

    def test_refuses_equal_names(self):
        self.add("caf\u00e9/1.jpg", "cafe\u0301/1.jpg")
        with self.assertRaisesRegex(ValueError, "two named caf"):
            image_folder.scan_classes(self.path)


if __name__ == "__main__":
    absltest.main()
