"""What tests of the program imprint share."""

import os
import pathlib

import numpy as np
from absl.testing import absltest
from PIL import Image

from imprinting.base import program_testing
from imprinting.commands import imprint
from imprinting.tflite import embedding_layer, inference, metadata, model_file, product_rules
from imprinting.tflite.inference import Kernels
from imprinting.tflite.model_graph import Model
from transforms.conversion import testing

COLOURS = {"blue": (20, 30, 220), "grün": (20, 220, 30), "red": (230, 20, 20)}


def run(*arguments: str) -> tuple[int | str | None, str, str]:
    """Runs the program; see `program_testing.run`."""
    return program_testing.run(imprint.main, *arguments)


def contents() -> dict[str, bytes]:
    """The files in the folder, and their contents."""
    return {path.name: path.read_bytes() for path in pathlib.Path(".").iterdir() if path.is_file()}


def photos(colour: str, count: int) -> np.ndarray:
    """Noise around a colour, in the size of the small model's input."""
    random = np.random.default_rng(sum(colour.encode()))
    noise = random.integers(-20, 21, [count, testing.SIZE, testing.SIZE, 3])
    return np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)


class ImprintTestCase(absltest.TestCase):
    """A test in a folder of its own, with the small model as in.tflite."""

    def setUp(self) -> None:  # noqa: D102
        super().setUp()
        root = os.path.realpath(self.create_tempdir().full_path)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(root)
        self.model = model_file.parse(testing.small().model)
        self.write(self.model)

    def write(self, model: Model) -> None:
        """Writes in.tflite."""
        pathlib.Path("in.tflite").write_bytes(metadata.attach(model, testing.LABELS))

    def write_fittable(self) -> None:
        """Writes the small model with an embedding of features minus a vector."""
        layer = embedding_layer.read(self.model)
        biases = -layer.kernel.sum(axis=1)
        self.write(embedding_layer.replaced(self.model, layer.kernel, biases, reach=9.0))

    def add(self, *colours: str, count: int = 5, folder: str = "photos") -> None:
        """Writes photos of classes."""
        for colour in colours:
            os.makedirs(f"{folder}/{colour}", exist_ok=True)
            for index, pixels in enumerate(photos(colour, count)):
                Image.fromarray(pixels).save(f"{folder}/{colour}/{index}.png")

    def imprint(self, *arguments: str, model: tuple[str, ...] = ("--model=in.tflite",)) -> str:
        """Writes out.tflite; returns what the program printed."""
        flags = (*model, "--images_dir=photos", "--output=out.tflite")
        # The small model's own classes are random: no photo shows one.
        lost = [f"--allow_lost_classes={'--keep_classes' in arguments}"]
        status, out, err = run(*flags, *lost, *arguments)
        self.assertEqual((status, err), (None, ""), msg=out)
        return out

    def assert_fails(self, expected: str, *arguments: str) -> None:
        """Checks that the program fails with an error, and writes nothing."""
        before = contents()
        flags = ("--model=in.tflite", "--images_dir=photos", "--output=out.tflite")
        status, out, err = run(*flags, *arguments)
        self.assertEqual((status, out), (1, ""), msg=err)
        self.assertRegex(err, "(?s)^prog: .*" + expected)
        self.assertNotIn("Traceback", err)
        self.assertEqual(contents(), before)

    def check(self, labels: list[str], *, first: int, path: str = "out.tflite") -> None:
        """Checks a product's labels, and that it recognises the colours, from class `first` on."""
        data = pathlib.Path(path).read_bytes()
        self.assertEqual([*(metadata.labels_of(data) or ())], labels)
        model = model_file.parse(data)
        self.assertEqual(product_rules.check(model, quantised=True), [])
        images = np.concatenate([photos(colour, 5) for colour in labels[first:]])
        (probabilities,) = inference.run(model, images, kernels=Kernels.REFERENCE)
        self.assertEqual(probabilities.shape, (len(images), len(labels)))
        found = probabilities[:, first:].argmax(axis=1)
        np.testing.assert_array_equal(found, np.repeat(np.arange(len(labels) - first), 5))
