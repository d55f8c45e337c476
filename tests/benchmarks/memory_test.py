"""Tests of the benchmark of memory, with few photos."""

import os

from absl.testing import absltest
from PIL import Image

from classification.data.dataset import open_dataset
from imprinting.new_classes import photos
from tests.benchmarks import memory


class MemoryTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = absltest.TEST_TMPDIR.value + "/memory"
        os.makedirs(cls.folder)
        memory.prepare(cls.folder, 80)

    def test_photos_are_the_same_in_all_forms(self):
        found = photos.find(os.path.join(self.folder, "photos"))
        self.assertLen(found.paths, 80)
        self.assertLen(found.classes, 10)
        contents = set()
        for path in found.paths:
            with Image.open(path) as image:
                self.assertEqual(image.size, (48, 48))
            with open(path, "rb") as file:
                contents.add(file.read())
        self.assertLen(contents, 80)
        dataset = open_dataset(os.path.join(self.folder, "records"), "train")
        self.assertEqual((dataset.num_examples, dataset.num_classes), (80, 10))
        counts = {
            (part, split): len(photos.find(f"{self.folder}/low_shot/{part}/{split}").paths)
            for part in ("base", "novel")
            for split in ("train", "test")
        }
        self.assertEqual(list(counts.values()), [40, 20, 10, 10])

    def test_each_task_is_measured_in_a_process_of_its_own(self):
        for task in memory.TASKS:
            found = memory.measure(task, self.folder)
            self.assertGreater(found.seconds, 0)
            # TensorFlow alone has 100 MB.
            self.assertBetween(found.anonymous, 100e6, 1e9)
            self.assertGreater(found.resident, found.anonymous)

    def test_a_task_that_fails(self):
        folder = self.create_tempdir().full_path
        with self.assertRaisesRegex(ChildProcessError, "exit status 0 of imprint, got 1"):
            memory.measure("imprint", folder)


if __name__ == "__main__":
    absltest.main()
