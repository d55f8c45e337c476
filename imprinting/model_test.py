"""Tests of model.py, with the small classifier; tests/wheel has the default one."""

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
        for photo in (path, str(path), Image.open(path), file.getvalue()):
            self.assertEqual(self.model.classify(photo), expected)
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
        for number in (-0.1, 1.1, float("nan")):
            with self.assertRaisesRegex(ValueError, "expected a threshold in"):
                self.model.classify(photo, threshold=number)
        with self.assertRaisesRegex(ValueError, "expected top to be at least 1, got 0"):
            self.model.classify(photo, top=0)

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
        for call, expected in (
            (lambda: self.model.imprint("x", []), "at least one photo of x, got none"),
            (lambda: self.model.imprint(testing.LABELS[3], red), "class 3, which was trained"),
            (lambda: self.model.imprint("red", red), "got red, and classes 7, 8 have it"),
            (lambda: self.model.imprint("x", [*red, "gone.jpg"]), "cannot be opened: No such"),
            (lambda: self.model.imprint("x", np.zeros([9])), "expected pixels of a photo"),
            (lambda: self.model.imprint(" ", red), "labels of one line"),
            (lambda: self.model.imprint("a\nb", red), "labels of one line"),
            (lambda: self.model.imprint("a ", red), "without space at either end"),
            (lambda: self.model.rename("x", "y"), "got 'x', which no class has"),
            (lambda: self.model.rename("red", "y"), "classes 7, 8 have it"),
            (lambda: self.model.rename(9, "y"), r"number of a class, 0\.\.8, got 9"),
            (lambda: self.model.rename(8, ""), "labels of one line"),
            (lambda: self.model.remove(-1), "got -1"),
            (lambda: self.model.save(self.folder / "no" / "x.tflite"), "expected a folder"),
        ):
            with self.assertRaisesRegex((ValueError, OSError), expected):
                call()
            self.assertEqual(self.state(), before)

    @parameterized.parameters(True, False)
    def test_folder(self, keep_classes):
        for colour in _COLOURS:
            os.makedirs(self.folder / "photos" / colour)
            for index, pixels in enumerate(photos(colour, 3)):
                Image.fromarray(pixels).save(self.folder / "photos" / colour / f"{index}.png")
        kept = testing.LABELS if keep_classes else ()
        if keep_classes:
            # The small model's own classes are random: no photo shows one.
            with self.assertRaisesRegex(ValueError, "kept ones can still be recognised"):
                self.model.imprint_folder(self.folder / "photos", fit=False)
            return
        text = self.model.imprint_folder(
            self.folder / "photos", fit=True, keep_classes=keep_classes
        )
        self.assertIn("cale factor", text)
        self.assertEqual(self.model.labels, (*kept, *_COLOURS))
        for colour in _COLOURS:
            self.assertEqual(self.model.classify(photos(colour, 4)[3])[0].label, colour)

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
            (self.data, {"num_threads": 0}, "expected num_threads to be at least 1, got 0"),
            (self.data, {"device": "tpu"}, 'expected a device, "cpu", "usb", "pci" or the path'),
            (self.data, {"device": "usb"}, "expected an Edge TPU"),
            (self.data, {"device": "gone.so"}, "gone.so"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                model.Model(data, **options)
        with self.assertRaisesRegex(FileNotFoundError, "gone.tflite"):
            imprinting.load("gone.tflite")


if __name__ == "__main__":
    absltest.main()
