"""Tests of checkpoints.py: finding checkpoints."""

import os
import shutil

from absl.testing import absltest, parameterized

from classification.nets import checkpoints
from classification.nets.checkpoint_testing import save


class FindTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.create_tempdir().full_path, "model")
        os.mkdir(self.folder)
        self.prefix = os.path.join(self.folder, "model.ckpt")
        for step in (9, 10):
            self.newest = save(self.prefix, {"v": [2]}, step=step)

    def test_folder_means_its_newest(self):
        self.assertEqual(checkpoints.find(self.folder).prefix, self.newest)
        self.assertEqual(checkpoints.find(self.folder + "/").prefix, self.newest)
        self.assertEndsWith(self.newest, "model.ckpt-10")

    @parameterized.parameters("", ".index", ".meta", ".data-00000-of-00001")
    def test_prefix_and_files_mean_the_checkpoint(self, ending):
        self.assertEqual(checkpoints.find(f"{self.prefix}-9{ending}").prefix, f"{self.prefix}-9")

    def test_the_state_file_means_its_folder(self):
        path = os.path.join(self.folder, "checkpoint")
        self.assertEqual(checkpoints.find(path).prefix, self.newest)

    def test_relative_paths(self):
        before = os.getcwd()
        os.chdir(self.folder)
        try:
            self.assertEqual(os.path.normpath(checkpoints.find(".").prefix), "model.ckpt-10")
            self.assertEqual(checkpoints.find("checkpoint").prefix, "./model.ckpt-10")
            self.assertEqual(checkpoints.find("model.ckpt-9").prefix, "model.ckpt-9")
            self.assertEqual(checkpoints.folder("model.ckpt-9"), ".")
        finally:
            os.chdir(before)

    @parameterized.parameters(True, False)
    def test_moved_or_copied_folder(self, absolute):
        with open(os.path.join(self.folder, "checkpoint"), "w") as file:
            named = f"{self.prefix}-9" if absolute else "model.ckpt-9"
            file.write(f'model_checkpoint_path: "{named}"\n')
        copy = self.folder + "-copy"
        shutil.copytree(self.folder, copy)
        self.assertEqual(checkpoints.find(copy).prefix, os.path.join(copy, "model.ckpt-9"))
        shutil.rmtree(self.folder)
        self.assertEqual(checkpoints.find(copy).prefix, os.path.join(copy, "model.ckpt-9"))

    @parameterized.parameters(
        # As TensorFlow writes them on Windows, and as people edit them.
        "C:\\\\work\\\\my net\\\\model.ckpt-9",
        "C:\\work\\my net\\model.ckpt-9",
        "D:\\net\\2024\\model.ckpt-9",
        "C:/networks/model.ckpt-9",
        "net\\\\model.ckpt-9",
        "\\\\\\\\server\\\\share\\\\model.ckpt-9",
    )
    def test_a_state_file_that_windows_wrote(self, named):
        for ending in ("\n", "\r\n"):
            with open(os.path.join(self.folder, "checkpoint"), "w", newline="") as file:
                for key in ("model_checkpoint_path", "all_model_checkpoint_paths"):
                    file.write(f'{key}: "{named}"{ending}')
            self.assertEqual(checkpoints.find(self.folder).prefix, f"{self.prefix}-9")

    def test_a_state_file_that_names_another_folder(self):
        with open(os.path.join(self.folder, "checkpoint"), "w") as file:
            file.write('model_checkpoint_path: "model.ckpt-11"\n')
        with self.assertRaisesRegex(ValueError, "the newest, got one that names .*ckpt-11; name"):
            checkpoints.find(self.folder)
        with open(os.path.join(self.folder, "checkpoint"), "w") as file:
            file.write("nothing\n")
        with self.assertRaisesRegex(ValueError, "the newest, got one that names none; name the"):
            checkpoints.find(self.folder)
        with open(os.path.join(self.folder, "checkpoint"), "w") as file:
            file.write('model_checkpoint_path: "model.ckpt-11"\n')
        for name in os.listdir(self.folder):
            if name.startswith("model"):
                os.remove(os.path.join(self.folder, name))
        with self.assertRaisesRegex(FileNotFoundError, "none .the file named .* names .*ckpt-11"):
            checkpoints.find(self.folder)

    def test_without_a_state_file_the_only_one_is_meant(self):
        os.remove(os.path.join(self.folder, "checkpoint"))
        with self.assertRaisesRegex(ValueError, "which of its 2 .* model.ckpt-9, model.ckpt-10"):
            checkpoints.find(self.folder)
        for ending in (".index", ".data-00000-of-00001"):
            os.remove(f"{self.prefix}-9{ending}")
        self.assertEqual(checkpoints.find(self.folder).prefix, self.newest)

    def test_nothing_there(self):
        empty = self.create_tempdir().full_path
        with self.assertRaisesRegex(FileNotFoundError, f"in the folder {empty}; there is none"):
            checkpoints.find(empty)
        missing = os.path.join(empty, "missing")
        with self.assertRaisesRegex(FileNotFoundError, f"got {missing}: there is no such folder"):
            checkpoints.find(missing)

    def test_folder_of_a_path(self):
        for path in (self.folder, self.prefix + "-9", self.prefix + "-9.index"):
            self.assertEqual(checkpoints.folder(path), self.folder)
            self.assertEqual(checkpoints.find(path).folder, self.folder)


class NewestModelTest(absltest.TestCase):
    def test_is_the_one_saved_last(self):
        root = self.create_tempdir().full_path
        for name, seconds in (("b", 100), ("a", 300), ("c", 200)):
            os.mkdir(os.path.join(root, name))
            save(os.path.join(root, name, "model.ckpt"), {"v": [1]})
            os.utime(os.path.join(root, name, "checkpoint"), (seconds, seconds))
        os.mkdir(os.path.join(root, "nothing saved yet"))
        self.assertEqual(checkpoints.newest_model(root), os.path.join(root, "a"))

    def test_none(self):
        root = self.create_tempdir().full_path
        for path in (root, os.path.join(root, "missing")):
            with self.assertRaisesRegex(FileNotFoundError, f"below {path}; .* train one first"):
                checkpoints.newest_model(path)


if __name__ == "__main__":
    absltest.main()
