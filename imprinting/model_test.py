"""Tests of model.py, with the small classifier; tests/wheel has the default one."""

import concurrent.futures
import io
import os
import pathlib

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

import imprinting
from imprinting import model
from imprinting.embedding import unit_vectors
from imprinting.inference.photo_classifier import PhotoClassifier
from imprinting.tflite import class_vectors, metadata, model_file, product_rules
from imprinting.tflite.imprinting import ImprintingEngine
from transforms.conversion import testing

_COLOURS = {"blue": (20, 30, 220), "grün": (20, 220, 30), "red": (230, 20, 20)}


def photos(colour: str, count: int) -> list[np.ndarray]:
    """Noise around a colour, in another size than the small model's input."""
    random = np.random.default_rng(sum(colour.encode()))
    noise = random.integers(-20, 21, [count, 40, 50, 3])
    return [*np.clip(np.array(_COLOURS[colour]) + noise, 0, 255).astype(np.uint8)]


class ModelTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.data = metadata.attach(model_file.parse(testing.small().model), testing.LABELS)
        self.model = model.Model(self.data)
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def saved(self) -> bytes:
        self.model.save(self.folder / "saved.tflite")
        return (self.folder / "saved.tflite").read_bytes()

    def state(self) -> tuple[object, ...]:
        return self.model.labels, self.saved()

    def test_classifies_as_the_complete_model(self):
        classifier = PhotoClassifier(self.data)
        for colour in _COLOURS:
            for photo in photos(colour, 2):
                answers = self.model.classify(photo, top=99)
                self.assertLen(answers, testing.CLASSES)
                self.assertEqual(answers, classifier.classify_one(photo, top=99))

    def test_new_classes(self):
        for colour in _COLOURS:
            self.model.imprint(colour, photos(colour, 5))
        self.assertEqual(self.model.labels, (*testing.LABELS, *_COLOURS))
        for colour in _COLOURS:
            for photo in photos(colour, 7)[5:]:
                answers = self.model.classify(photo, top=2)
                self.assertLen(answers, 2)
                self.assertEqual(answers[0].label, colour)
        data = self.saved()
        self.assertEqual(metadata.labels_of(data), self.model.labels)
        self.assertEqual(product_rules.check(model_file.parse(data), quantised=True), [])

    def test_more_photos_are_averaged(self):
        many = photos("red", 6)
        self.model.imprint("red", many[:2])
        self.model.imprint("red", iter(many[2:]))
        self.assertEqual(self.model.labels, (*testing.LABELS, "red"))
        engine = ImprintingEngine(model_file.parse(self.data), keep_classes=True)
        engine.add(testing.CLASSES, np.stack([self.model.embed(photo) for photo in many]))
        expected = class_vectors.read(engine.build().tflite_model)
        found = class_vectors.read(self.model._classifier)
        # Between the two calls, the sum is rounded to a quantised row and its length.
        self.assertGreater(
            (unit_vectors.unit(found) * unit_vectors.unit(expected))[-1].sum(), 0.999
        )
        np.testing.assert_array_equal(found[:-1], expected[:-1])

    def test_continues_with_a_saved_model(self):
        self.model.imprint("red", photos("red", 3))
        self.saved()
        loaded = imprinting.load(self.folder / "saved.tflite")
        self.assertEqual(loaded.labels, self.model.labels)
        loaded.imprint("red", photos("red", 5)[3:])
        loaded.imprint("blue", photos("blue", 2))
        self.assertEqual(loaded.classify(photos("blue", 3)[2])[0].label, "blue")

    def test_embedding(self):
        embedding = self.model.embed(photos("red", 1)[0])
        self.assertEqual((embedding.dtype, embedding.ndim), (np.float32, 1))
        self.assertAlmostEqual(np.linalg.norm(embedding), 1, delta=0.05)

    def test_kinds_of_photos(self):
        pixels = photos("red", 1)[0]
        path = self.folder / "a.png"
        Image.fromarray(pixels).save(path)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        expected = self.model.classify(pixels)
        for photo in (path, str(path), Image.open(path), file.getvalue(), path.open("rb")):
            self.assertEqual(self.model.classify(photo), expected)
        for mode in ("P", "RGBA", "CMYK"):
            self.assertLen(self.model.classify(Image.fromarray(pixels).convert(mode)), 5)
        for image in (Image.new("F", (9, 9)), Image.new("I", (9, 9)), Image.new("RGB", (0, 0))):
            with self.assertRaisesRegex(ValueError, "photo, a Image: it has"):
                self.model.classify(image)
        # One photo, or several of any kinds.
        self.model.imprint("one", path)
        self.model.imprint("several", [str(path), Image.open(path), pixels])
        self.model.imprint("stacked", np.stack([pixels, pixels]))
        self.assertEqual(self.model.labels[-3:], ("one", "several", "stacked"))

    def test_threshold(self):
        photo = photos("red", 1)[0]
        best = self.model.classify(photo)[0]
        self.assertEqual(self.model.classify(photo, threshold=best.probability)[0], best)
        unknown = self.model.classify(photo, threshold=best.probability + 0.001)
        self.assertEqual(unknown, [("unknown", best.probability)])
        for number in (-0.1, 1.1, float("nan"), None, "x"):
            with self.assertRaisesRegex(ValueError, "expected a threshold in"):
                self.model.classify(photo, threshold=number)
        for count, expected in ((0, "at least 1, got 0"), ("5", "an integer, got '5'")):
            with self.assertRaisesRegex(ValueError, f"expected top .*{expected}"):
                self.model.classify(photo, top=count)

    def test_rename_and_remove(self):
        for colour in _COLOURS:
            self.model.imprint(colour, photos(colour, 3))
        self.model.rename("red", "cherry")
        self.model.remove("blue")
        self.model.remove(0)
        self.assertEqual(self.model.labels, (*testing.LABELS[1:], "grün", "cherry"))
        self.assertEqual(self.model.classify(photos("red", 4)[3])[0].label, "cherry")
        # More photos reach the right class.
        self.model.imprint("cherry", photos("red", 5)[4:])
        loaded = model.Model(self.saved())
        self.assertEqual(loaded.labels, self.model.labels)
        self.assertEqual(loaded.classify(photos("grün", 4)[3])[0].label, "grün")

    def test_the_last_class_stays(self):
        for _ in testing.LABELS[1:]:
            self.model.remove(0)
        with self.assertRaisesRegex(ValueError, "expected at least one other class"):
            self.model.remove(0)
        self.assertEqual(self.model.labels, testing.LABELS[-1:])

    def test_errors_change_nothing(self):
        self.model.imprint("red", photos("red", 2))
        self.model.imprint("twice", photos("blue", 1))
        self.model.rename("twice", "red")
        before = self.state()
        red = photos("red", 1)
        model, save = self.model, self.folder / "no" / "x.tflite"
        for call, expected in (
            (lambda: model.imprint("x", []), "at least one photo of x, got none"),
            (lambda: model.imprint("x", None), "expected photos, got None"),
            (lambda: model.imprint("x", [None]), "photo 0, a NoneType: expected a path, bytes,"),
            (lambda: model.imprint(None, red), "expected a label, a str, got None"),
            (
                lambda: model.imprint(testing.LABELS[3], red),
                "class 3 of that name was trained, .*; take another",
            ),
            (lambda: model.imprint("red", red), "got red, and classes 7, 8 have that name; take"),
            (lambda: model.imprint("x", [*red, "gone.jpg"]), "photo 1 'gone.jpg': it cannot be op"),
            (lambda: model.imprint("x", np.zeros([9])), "photo 0, a ndarray: expected pixels of"),
            (lambda: model.imprint("unknown", red), "other than 'unknown'"),
            (lambda: model.imprint(" ", red), "a label with text"),
            (lambda: model.imprint("a\nb", red), "labels of one line"),
            (lambda: model.imprint("\ud800", red), "without control characters"),
            (lambda: model.imprint("\x1b[31mred", red), "without control characters"),
            (lambda: model.imprint("a ", red), "no space at either end"),
            (lambda: model.rename("x", "y"), "got 'x', which no class has"),
            (lambda: model.rename("red", "y"), "and classes 7, 8 have it; give the number"),
            (lambda: model.rename(9, "y"), r"number of a class, 0\.\.8, got 9"),
            (lambda: model.rename(8, ""), "a label with text"),
            (lambda: model.rename(True, "x"), "as an integer, got True"),
            (lambda: model.remove(-1), "got -1"),
            (lambda: model.remove(1.5), "as an integer, got 1.5"),
            (lambda: model.save(save), "expected a folder"),
            (lambda: model.save(""), "expected the path of a file to write"),
            (lambda: model.imprint_folder("x", fit="never"), "fit to be True or False, got 'nev"),
            (lambda: model.imprint_folder("gone"), "there is no such folder"),
        ):
            with self.assertRaisesRegex((ValueError, OSError), expected):
                call()
            self.assertEqual(self.state(), before)

    def write_folders(self) -> pathlib.Path:
        for colour in _COLOURS:
            os.makedirs(self.folder / "photos" / colour)
            for index, pixels in enumerate(photos(colour, 3)):
                Image.fromarray(pixels).save(self.folder / "photos" / colour / f"{index}.png")
        return self.folder / "photos"

    def test_folder(self):
        text = self.model.imprint_folder(self.write_folders(), keep_classes=False)
        self.assertIn("cale factor", text)
        self.assertEqual(self.model.labels, tuple(_COLOURS))
        for colour in _COLOURS:
            self.assertEqual(self.model.classify(photos(colour, 4)[3])[0].label, colour)

    def test_folder_next_to_classes_that_would_be_lost(self):
        before = self.state()
        # The small model's own classes are random: no photo shows one.
        with self.assertRaisesRegex(ValueError, "kept ones can still be recognised"):
            self.model.imprint_folder(self.write_folders(), fit=False)
        self.assertEqual(self.state(), before)

    def test_names_in_another_form(self):
        self.model.imprint("caf\u00e9", photos("red", 1))
        self.model.imprint("cafe\u0301", photos("red", 2)[1:])
        self.model.rename("cafe\u0301", "x")
        self.assertEqual(self.model.labels, (*testing.LABELS, "x"))

    def test_several_threads(self):
        several = [photo for colour in _COLOURS for photo in photos(colour, 4)]
        expected = [self.model.classify(photo) for photo in several]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self.assertEqual(list(pool.map(self.model.classify, several)), expected)
            names = [f"class {number}" for number in range(20)]
            list(pool.map(self.model.imprint, names, several * 2))
        self.assertCountEqual(self.model.labels, [*testing.LABELS, *names])
        self.assertEqual(model.Model(self.saved()).labels, self.model.labels)

    def test_labels_file(self):
        path = self.folder / "names.txt"
        path.write_text("".join(f"class {n}\n" for n in range(testing.CLASSES)))
        (self.folder / "m.tflite").write_bytes(testing.small().model)
        loaded = imprinting.load(self.folder / "m.tflite", labels_file=path)
        self.assertEqual(loaded.labels[3], "class 3")
        self.assertEqual(imprinting.load(self.folder / "m.tflite").labels[3], "3")
        path.write_text("one\n")
        with self.assertRaisesRegex(ValueError, "m.tflite: expected a name for each"):
            imprinting.load(self.folder / "m.tflite", labels_file=path)

    def test_models_and_devices_that_will_not_do(self):
        compiled = testing.compiled(testing.small().extractor)
        for data, options, expected in (
            (self.data[:2000], {}, "expected a complete .tflite"),
            (b"noise" * 99, {}, "expected a .tflite"),
            (testing.small().head, {}, "expected --embedder with a head"),
            (compiled, {}, 'add device="usb" or device="pci"'),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                model.Model(data, **options)
        for options, expected in (
            ({"num_threads": 0}, "^expected num_threads in 1..256, got 0"),
            ({"num_threads": 10**9}, "^expected num_threads in"),
            ({"device": "tpu"}, '^expected a device, "cpu", "usb", "pci" or the path'),
            ({"device": "usb"}, "^expected an Edge TPU"),
            ({"device": "gone.so"}, "gone.so"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                imprinting.load(**options)
        with self.assertRaisesRegex(FileNotFoundError, "gone.tflite"):
            imprinting.load("gone.tflite")


if __name__ == "__main__":
    absltest.main()
