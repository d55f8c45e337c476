"""What a user does with the installed package: `python -m unittest`-style tests without TensorFlow.

It runs in the interpreter that the package is installed in. The environment variable
JOURNEY_OUTPUT names a .tflite to write, so that those of several interpreters can be compared.
"""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np
from PIL import Image, ImageOps

import imprinting
from imprinting.photos import unrelated_photos

_NUM_CLASSES = 1000


def run(*arguments: str, folder: str) -> str:
    """What a command prints; raises an AssertionError if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "imprinting", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    # A slow machine prints lines of progress.
    errors = re.sub(r"(?m)^\d+ of \d+ images\n", "", done.stderr)
    if done.returncode or errors:
        raise AssertionError(f"{arguments}: {done.returncode} {done.stdout} {done.stderr}")
    return done.stdout


def write_photos(folder: pathlib.Path) -> None:
    """Writes photos of two classes that look like nothing else: parts of negatives."""
    random = np.random.default_rng(0)
    for name, path in zip(("negative flower", "中国"), unrelated_photos.paths()[::-1], strict=True):
        negative = ImageOps.invert(Image.open(path).convert("RGB"))
        (folder / name).mkdir(parents=True)
        for index in range(6):
            left, top = (int(x) for x in random.integers(0, 120, 2))
            part = negative.crop((left, top, left + 500, top + 300))
            # The last one is for classifying.
            place = folder / name if index < 5 else folder.parent
            part.save(place / (f"{index}.jpg" if index < 5 else f"{name}.png"))


class JourneyTest(unittest.TestCase):
    folder: str
    said: str

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        write_photos(pathlib.Path(cls.folder, "photos"))
        cls.said = run(
            *("imprint", "--images_dir=photos", "--keep_classes", "--output=mine.tflite"),
            folder=cls.folder,
        )

    def run_command(self, *arguments: str) -> str:
        return run(*arguments, folder=self.folder)

    def test_there_is_no_tensorflow(self) -> None:
        self.assertIsNone(importlib.util.find_spec("tensorflow"))

    def test_imprint(self) -> None:
        self.assertIn("mine.tflite: 1,000 classes kept, 2 new, from 10 photos", self.said)
        output = os.environ.get("JOURNEY_OUTPUT")
        if output:
            shutil.copy(os.path.join(self.folder, "mine.tflite"), output)

    def test_classify(self) -> None:
        for name in ("negative flower", "中国"):
            line = self.run_command("classify", "--model=mine.tflite", "--json", f"{name}.png")
            self.assertEqual(json.loads(line)["answers"][0]["label"], name)
        known = self.run_command("classify", "--json", *unrelated_photos.paths())
        labels = [json.loads(line)["answers"][0]["label"] for line in known.splitlines()]
        self.assertEqual(labels[1], "daisy")

    def test_other_commands(self) -> None:
        labels = self.run_command("labels", "--model=mine.tflite").splitlines()
        self.assertEqual(labels[_NUM_CLASSES:], ["negative flower", "中国"])
        found = self.run_command("evaluate", "--model=mine.tflite", "--images_dir=photos", "--json")
        self.assertEqual(json.loads(found)["accuracy"], 1.0)
        self.assertIn("Edge TPU", self.run_command("check-edgetpu", "--model=mine.tflite"))

    def test_python_interface(self) -> None:
        model = imprinting.load(num_threads=2)
        photos = sorted(pathlib.Path(self.folder, "photos", "中国").iterdir())
        model.imprint("negative", photos[0])
        model.imprint("negative", [Image.open(photos[1]), np.asarray(Image.open(photos[2]))])
        photo = os.path.join(self.folder, "中国.png")
        self.assertEqual(model.classify(photo)[0].label, "negative")
        self.assertAlmostEqual(float(np.linalg.norm(model.embed(photo))), 1, delta=0.05)
        model.rename("negative", "positive")
        model.remove(0)
        path = os.path.join(self.folder, "saved.tflite")
        model.save(path)
        loaded = imprinting.load(path)
        self.assertEqual(loaded.labels, model.labels)
        self.assertEqual(loaded.classify(photo), model.classify(photo))

    def test_fit(self) -> None:
        model = imprinting.load()
        self.assertIn("mbedding", model.imprint_folder(os.path.join(self.folder, "photos")))
        self.assertEqual(len(model.labels), _NUM_CLASSES + 2)
        model.save(os.path.join(self.folder, "fitted.tflite"))
        data = [
            pathlib.Path(self.folder, name).read_bytes()
            for name in ("fitted.tflite", "mine.tflite")
        ]
        self.assertEqual(data[0], data[1])

    @unittest.skipUnless(importlib.util.find_spec("cv2"), "needs OpenCV, an extra")
    def test_camera(self) -> None:
        import cv2

        path = os.path.join(self.folder, "video.avi")
        frame = cv2.imread(unrelated_photos.paths()[1])
        size = frame.shape[1], frame.shape[0]
        video = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 10, size)
        for _ in range(3):
            video.write(frame)
        video.release()
        lines = self.run_command("classify", "--camera=video.avi", "--top=1").splitlines()
        self.assertEqual(len(lines), 3)
        self.assertRegex(lines[0], r"^ *[0-9.]+ ms  \.\d\d daisy$")


if __name__ == "__main__":
    unittest.main()
