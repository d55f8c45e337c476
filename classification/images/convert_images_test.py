"""Tests of convert_images.py: flags, output and errors."""

import os
import pathlib
import shlex
import signal
import subprocess
import time

import numpy as np
from absl.testing import absltest
from PIL import Image

from classification.base import program_testing
from classification.data import dataset_info
from classification.data import testing as data_testing
from classification.data.dataset import open_dataset
from classification.images import convert_images, image_conversion
from tests import runfiles

_PROGRAM = runfiles.path("classification/images/convert_images")


def run(*arguments: str) -> tuple[int | str | None, str, str]:
    return program_testing.run_program(convert_images.main, *arguments)


class ConvertImagesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.root = os.path.realpath(self.create_tempdir().full_path)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.root)

    def add(self, *names: str, side: int = 40) -> None:
        """Adds grey images: dark ones to class a, light ones to other classes."""
        for name in names:
            path = pathlib.Path("images", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            grey = 50 if path.parent.name == "a" else 200
            Image.new("RGB", (side, side), (grey, grey, grey)).save(path)

    def assert_fails(self, expected: str, *arguments: str) -> None:
        status, out, err = run("--images_dir=images", "--output_dir=out", *arguments)
        self.assertEqual((status, out), (1, ""), msg=err)
        self.assertRegex(err, "^prog: .*" + expected)
        self.assertLen(err.splitlines(), 1)
        self.assertFalse(os.path.exists("out"))

    def test_writes_data_set(self):
        self.add(*(f"{name}/{index}.png" for name in ("a", "b c") for index in range(10)))
        pathlib.Path("images", "README").touch()
        status, out, err = run("--images_dir=images", "--output_dir=my out")
        self.assertEqual((status, err), (None, ""))
        first, ignored, rate, following, *command = out.splitlines()
        self.assertEqual(
            first,
            "Wrote my out, 2 classes: train 16 images in 8 files; validation 4 images in 4 files.",
        )
        self.assertRegex(
            ignored, r"^Ignored because they are hidden, .* not images by name: 1 \(README\)\.$"
        )
        self.assertRegex(rate, r"^20 images in \d+\.\d s, [\d,]+ images/s\.$")
        self.assertRegex(following, r"^Next, .*OUT is a new folder")
        words = shlex.split("\n".join(command).replace("\\\n", ""))
        self.assertEqual(words[:4], ["./bazelw", "run", "train", "--"])
        self.assertEqual(
            words[4:],
            [
                *("--dataset_dir=my out", "--checkpoint_dir=OUT", "--quantize"),
                *("--freeze_base_model", "--cache_features=memory"),
                *("--number_of_steps=1000", "--eval_every=500"),
            ],
        )
        for split, count in (("train", 16), ("validation", 4)):
            dataset = open_dataset("my out", split)
            self.assertEqual((dataset.num_examples, dataset.num_classes), (count, 2))
            self.assertEqual(dataset.labels, ("a", "b c"))
            batches = dataset.batches(batch_size=count, image_size=32, is_training=False)
            (batch,) = data_testing.run_batches(batches)
            self.assertEqual(sorted(batch["label"]), [0] * (count // 2) + [1] * (count // 2))
            grey = np.where(batch["label"], 200, 50) / 127.5 - 1.0
            np.testing.assert_allclose(batch["image"].mean(axis=(1, 2, 3)), grey, atol=1e-5)

    def test_other_names_of_splits(self):
        self.add("export/Train/a/1.png", "export/Train/b/1.png", "export/valid/a/2.png")
        self.add("export/Test/b/2.png", "export/Test/b/3.png", "__MACOSX/export/1.png")
        status, out, err = run("--images_dir=images", "--output_dir=out")
        self.assertEqual((status, err), (None, ""))
        self.assertIn("\nSplits: train from Train, validation from valid, test from Test.\n", out)
        self.assertEqual(open_dataset("out", "test").num_examples, 2)

    def test_flags(self):
        self.add(*(f"{name}/{index}.png" for name in "ab" for index in range(8)))
        pathlib.Path("images/b/bad.jpg").write_bytes(b"")
        flags = ["--images_dir=images", "--output_dir=out", "--skip_bad_images", "--seed=5"]
        status, out, _ = run(*flags, "--validation_fraction=0.5")
        self.assertIsNone(status)
        self.assertIn("train 8 images in 8 files; validation 8 images", out)
        self.assertIn("Skipped because they cannot be read: 1 (b/bad.jpg: it is empty).", out)
        text = pathlib.Path("out/dataset.json").read_text()
        self.assertIn('"seed": 5', text)
        self.assertIn('"validation_fraction": 0.5', text)
        self.assertIn('"b/bad.jpg": "it is empty"', text)

    def test_tasks(self):
        self.add(*(f"{name}/{index}.png" for name in "ab" for index in range(10)))
        flags = ["--images_dir=images", "--output_dir=out", "--num_tasks=2", "--task"]
        status, out, err = run(*flags, "1")
        self.assertEqual((status, err), (None, ""))
        self.assertRegex(
            out,
            r"^Task 1 of 2: wrote 6 files. Files of other tasks that are missing: 6. The task that "
            r"writes the last one completes out\.\n10 images in .* images/s\.\n$",
        )
        status, out, err = run(*flags, "0")
        self.assertEqual((status, err), (None, ""))
        first, second, rate, following, *_ = out.splitlines()
        self.assertEqual(first, "Task 0 of 2: wrote 6 files. All tasks are done.")
        self.assertStartsWith(second, "out is complete, 2 classes: train 16 images in 8 files;")
        self.assertStartsWith(rate, "10 images in ")
        self.assertStartsWith(following, "Next, ")
        _, out, _ = run(*flags, "0")
        self.assertStartsWith(
            out, "Task 0 of 2: there was nothing to write. All tasks are done.\nout is complete, "
        )
        status, out, err = run(*flags, "2")
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, r"^prog: expected --task in 0\.\.1 with --num_tasks=2, got 2\n$")
        status, out, err = run(*flags, "0", "--seed=1")
        self.assertEqual((status, err), (None, ""))
        status, out, err = run(*flags, "1")
        self.assertRegex(err, "^prog: expected the same input and flags as of .* seed 0 instead of")

    def test_refuses_bad_images(self):
        self.add("a/1.png", "a/2.png", "b/1.png", "b/2.png")
        pathlib.Path("images/a/3.jpg").write_bytes(b"")
        self.assert_fails(r"1 that cannot be read \(a/3.jpg: it is empty\) among 5;")

    def test_warns_of_damaged_images(self):
        self.add("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg")
        path = pathlib.Path("images/a/1.jpg")
        whole = path.read_bytes()
        path.write_bytes(whole[:2] + b"stray" + whole[2:-2])
        # If an image is left out, the others are read twice.
        pathlib.Path("images/a/3.jpg").write_bytes(b"")
        status, _, err = run("--images_dir=images", "--output_dir=out", "--skip_bad_images")
        self.assertIsNone(status, err)
        self.assertEqual(
            err,
            "prog: warning: images/a/1.jpg is damaged, though all its pixels are there: 5 stray "
            "bytes, no end marker\n",
        )

    def test_refuses_bad_values(self):
        self.assert_fails("got images: there is no such folder")
        os.mkdir("images")
        self.assert_fails("a folder for each class in images, got 0 files and no folder;")
        self.add("a/1.png")
        self.assert_fails("at least two classes in images, .* got only a;")
        self.add("b/1.png", "b/2.png")
        self.assert_fails("at least two images of each class in images, .* got one of a;")
        self.add("a/2.png")
        self.assert_fails("fraction above 0 and below 1, got 1.0", "--validation_fraction=1")
        missing = ("--images_dir=", "--output_dir=")
        self.assert_fails("expected --images_dir, --output_dir; --help explains them", *missing)
        self.assert_fails("on this machine, got gs://bucket/a;", "--output_dir=gs://bucket/a")
        self.assert_fails("outside the folder of images, .* got images/a", "--output_dir=images/a")
        self.assert_fails("a folder .*/no/where .*create it", "--output_dir=no/where/out")
        os.mkdir("full")
        pathlib.Path("full/mine").touch()
        self.assert_fails("got the file .*/full/mine", "--output_dir=full/mine")
        self.assert_fails("which holds mine; name another", "--output_dir=full")
        os.rename("images", "train")
        os.mkdir("images")
        os.rename("train", "images/train")
        self.assert_fails("train, and validation or test, in images, got only train")
        self.add("test/a/1.png")
        self.assert_fails(
            "no validation fraction for a folder with splits", "--validation_fraction=0.2"
        )


class ProcessTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def add(self, count: int) -> None:
        # Slow to decode, so that there is time to interrupt the program.
        image = self.folder / "image.png"
        pixels = np.random.default_rng(0).integers(0, 256, [1500, 1500, 3])
        Image.fromarray(pixels.astype(np.uint8)).save(image, compress_level=1)
        for name in "ab":
            (self.folder / "images" / name).mkdir(parents=True)
            for index in range(count):
                os.link(image, self.folder / "images" / name / f"{index}.png")

    def start(self, *flags: str, **variables: str) -> subprocess.Popen:
        return subprocess.Popen(
            [_PROGRAM, "--images_dir=images", "--output_dir=out", *flags],
            cwd=self.folder,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_interruption_leaves_nothing(self):
        self.add(300)
        with self.start() as process:
            while not list(self.folder.glob("out.partial-*/train-*")):
                self.assertIsNone(process.poll())
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            # The time only prevents a hang; image_conversion_test counts the images still read.
            out, err = process.communicate(timeout=120)
        self.assertEqual((process.returncode, out), (130, ""))
        self.assertRegex(err, r"(?m)^convert_images: interrupted\n\Z")
        self.assertNotIn("Traceback", err)
        self.assertCountEqual(os.listdir(self.folder), ["image.png", "images"])

    def test_tasks_that_are_killed_and_run_twice(self):
        self.add(10)
        images, out, single = (str(self.folder / name) for name in ("images", "out", "single"))
        image_conversion.convert(images, out, seed=9)
        processes = [
            self.start("--num_tasks=3", JOB_COMPLETION_INDEX="1"),
            self.start("--num_tasks=3", JOB_COMPLETION_INDEX="1"),
            self.start(CLOUD_RUN_TASK_INDEX="2", CLOUD_RUN_TASK_COUNT="3"),
        ]
        with self.start("--task=0", "--num_tasks=3") as process:
            # One of the files that only this task writes.
            while not list(self.folder.glob("out.tasks-1/scratch-*/train-0000[036]-*")):
                self.assertIsNone(process.poll())
                time.sleep(0.005)
            process.kill()
        for process in processes:
            # The time only prevents a hang.
            output, errors = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, errors)
            self.assertRegex(output, r"^Task \d of 3, by [A-Z_]+_INDEX in the environment\.")
            self.assertRegex(output, r"\nTask \d of 3: .* Files of other tasks that are missing")
        self.assertIn(b'"seed": 9', pathlib.Path(out, dataset_info.FILE_NAME).read_bytes())
        flags = (f"--images_dir={images}", f"--output_dir={out}", "--task=0", "--num_tasks=3")
        status, output, errors = run(*flags)
        self.assertEqual((status, errors), (None, ""))
        self.assertIn(f"\n{out} is complete, 2 classes: ", output)
        image_conversion.convert(images, single)
        self.assertEqual(
            *(
                {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}
                for folder in (out, single)
            )
        )


if __name__ == "__main__":
    absltest.main()
