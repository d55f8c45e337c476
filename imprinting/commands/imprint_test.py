"""Tests of the program imprint, with small photos; its results are run on the photos."""

import contextlib
import io
import pathlib
import shutil
from unittest import mock

import numpy as np
from absl.testing import absltest

from imprinting.commands import imprint
from imprinting.commands.imprint_testing import COLOURS, ImprintTestCase
from imprinting.tflite import (
    class_vectors,
    embedding_layer,
    metadata,
    model_file,
    split,
)
from imprinting.tflite.imprinting import ImprintingEngine
from transforms.conversion import testing


class ImprintTest(ImprintTestCase):
    def test_new_classes_alone(self):
        self.add(*COLOURS)
        pathlib.Path("photos/readme.txt").touch()
        out = self.imprint()
        self.assertStartsWith(
            out,
            "Wrote out.tflite: 0 classes kept, 3 new, from 15 photos.\nIgnored because they are",
        )
        self.check(["blue", "grün", "red"], first=0)
        first = pathlib.Path("out.tflite").read_bytes()
        self.imprint()
        self.assertEqual(pathlib.Path("out.tflite").read_bytes(), first)

    def test_reports_one_photo_and_no_slow_rate(self):
        self.add("red", count=1)
        self.assertStartsWith(
            self.imprint(), "Wrote out.tflite: 0 classes kept, 1 new, from 1 photo.\n"
        )
        found = mock.Mock(ignored=())
        imprinted = mock.Mock(
            num_photos=2, names=["a"], num_kept=0, unreadable=(), fit="", comparison=""
        )
        for seconds, expected in ((0.5, "0.5 s, 4 photos/s."), (3.0, "3.0 s.")):
            with mock.patch.object(imprint, "FLAGS", mock.Mock(output="o")):
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    imprint.report(found, imprinted, seconds=seconds)
            self.assertEqual(out.getvalue().splitlines()[-1], expected)

    def test_next_to_the_classes_of_the_default_network(self):
        self.add("red", count=2)
        out = self.imprint("--keep_classes", model=())
        self.assertIn("1,000 classes kept, 1 new, from 2 photos.", out)
        labels = metadata.labels_of(pathlib.Path("out.tflite").read_bytes())
        self.assertEqual((labels[0], *labels[-2:]), ("tench", "toilet tissue", "red"))

    def test_new_classes_after_the_old_and_more_examples_later(self):
        self.add("blue", "red")
        out = self.imprint("--keep_classes")
        self.assertIn(f"{testing.CLASSES} classes kept, 2 new, from 10 photos.", out)
        self.check([*testing.LABELS, "blue", "red"], first=testing.CLASSES)
        once = pathlib.Path("out.tflite").read_bytes()
        shutil.rmtree("photos")
        self.add("grün", count=5)
        self.add("blue", count=2)
        self.imprint("--keep_classes", "--model=out.tflite")
        self.check([*testing.LABELS, "blue", "red", "grün"], first=testing.CLASSES)
        lengths = [
            {
                int(line.split()[0]): float(line.split()[1])
                for line in model_file.parse(data).description.decode().splitlines()
            }
            for data in (once, pathlib.Path("out.tflite").read_bytes())
        ]
        blue, red, green = range(testing.CLASSES, testing.CLASSES + 3)
        self.assertEqual(lengths[0].keys(), {blue, red})
        self.assertEqual(lengths[1].keys(), {blue, red, green})
        # The sum for very similar photos is about as long as the number of photos.
        self.assertAlmostEqual(lengths[1][blue] - lengths[0][blue], 2, delta=0.2)
        self.assertEqual(lengths[1][red], lengths[0][red])

    def test_fits_the_embedding_if_asked_to(self):
        self.add("blue", "red")
        self.write_fittable()
        before = model_file.read("in.tflite")
        for flag, expected in (
            ("never", ""),
            ("auto", "Embedding: "),
            ("always", r"Embedding: fitted to the photos \(weight 0\.\d+\); "),
        ):
            out = self.imprint("--keep_classes", f"--fit_embedding={flag}", "--nofit_scale_factor")
            self.assertRegex(out, f"(?m)^{expected}")
            self.assertNotIn("Scale factor", out)
            self.check([*testing.LABELS, "blue", "red"], first=testing.CLASSES)
            after = model_file.read("out.tflite")
            layers = [embedding_layer.read(m) for m in (before, after)]
            changed = np.abs(layers[0].kernel - layers[1].kernel).max() > 1e-6
            self.assertEqual(changed, "fitted" in out, out)
            rows = [class_vectors.read(m)[: testing.CLASSES] for m in (before, after)]
            self.assertEqual(np.array_equal(*rows), not changed)
            again = pathlib.Path("out.tflite").read_bytes()
            self.imprint("--keep_classes", f"--fit_embedding={flag}", "--nofit_scale_factor")
            self.assertEqual(pathlib.Path("out.tflite").read_bytes(), again)

    def test_without_a_fit_only_the_last_layer_changes(self):
        self.add("blue", "red")
        self.imprint("--keep_classes", "--fit_embedding=never")
        parts = []
        for path in ("in.tflite", "out.tflite"):
            parts.append(model_file.serialise(split.split(model_file.read(path)).extractor))
        self.assertEqual(parts[0], parts[1])

    def test_a_fitted_model_can_be_fitted_again(self):
        self.add("blue", "red")
        self.write_fittable()
        always = ("--keep_classes", "--fit_embedding=always")
        self.imprint(*always)
        shutil.rmtree("photos")
        self.add("grün")
        self.imprint(*always, "--model=out.tflite")
        self.check([*testing.LABELS, "blue", "red", "grün"], first=testing.CLASSES)

    def test_a_model_that_cannot_be_fitted(self):
        self.add("blue", "red")
        out = self.imprint("--keep_classes")
        self.assertIn("Embedding and scale factor: not changed (expected an embedding of", out)
        self.assert_fails("something else; leave --fit_embedding out", "--fit_embedding=always")
        layer = embedding_layer.read(self.model)
        flat, zeros = np.ones_like(layer.kernel), np.zeros_like(layer.biases)
        self.write(embedding_layer.replaced(self.model, flat, zeros, reach=9.0))
        out = self.imprint("--keep_classes")
        self.assertIn("Embedding and scale factor: not changed (expected an embedding that", out)
        self.assert_fails("nearly ignores some; leave", "--fit_embedding=always")

    def test_several_parts_of_each_photo(self):
        self.add("blue", "red", count=2)
        self.imprint("--views=3")
        data = pathlib.Path("out.tflite").read_bytes()
        lengths = [
            float(line.split()[1])
            for line in model_file.parse(data).description.decode().splitlines()
        ]
        # The sum has one embedding per photo, for any number of views.
        self.assertLen(lengths, 2)
        for length in lengths:
            self.assertBetween(length, 1.8, 2.01)
        self.check(["blue", "red"], first=0)
        self.imprint()
        self.assertNotEqual(pathlib.Path("out.tflite").read_bytes(), data)

    def test_a_model_without_labels(self):
        self.add("red")
        pathlib.Path("in.tflite").write_bytes(testing.small().model)
        out = self.imprint("--keep_classes")
        self.assertIn("7 classes of in.tflite have no names and are named by", out)
        self.check([*map(str, range(testing.CLASSES)), "red"], first=testing.CLASSES)
        pathlib.Path("names.txt").write_text("\n".join("abcdefg"))
        self.imprint("--keep_classes", "--labels=names.txt")
        self.check([*"abcdefg", "red"], first=testing.CLASSES)
        # Labels with numbers before them; the model itself may be overwritten.
        pathlib.Path("names.txt").write_text(
            "".join(f"{i}  {x}\n" for i, x in enumerate("gfedcba"))
        )
        out = self.imprint("--keep_classes", "--labels=names.txt", "--output=in.tflite")
        self.assertNotIn("names", out)
        self.check([*"gfedcba", "red"], first=testing.CLASSES, path="in.tflite")
        for names, expected in (
            (
                "\n".join("abcdefghi"),
                "of the network's 8 classes, got 9 names in names.txt; correct",
            ),
            ("\n".join("abcdefg"), "8 classes, got 7 names in names.txt; .* line `background`"),
            ("0:a\n2:b", "expected 1:NAME as line 2 of names.txt"),
        ):
            pathlib.Path("names.txt").write_text(names)
            self.assert_fails(expected, "--keep_classes", "--labels=names.txt", "--model=in.tflite")

    def test_a_model_that_was_on_a_device(self):
        self.add("red", "blue")
        self.imprint("--keep_classes")
        # An on-device engine adds a class, and writes the model without the appended files.
        engine = ImprintingEngine(
            model_file.parse(pathlib.Path("out.tflite").read_bytes()), keep_classes=True
        )
        engine.add(9, np.eye(testing.EMBEDDING)[:1])
        pathlib.Path("in.tflite").write_bytes(model_file.serialise(engine.build().tflite_model))
        shutil.rmtree("photos")
        self.add("grün")
        out = self.imprint("--keep_classes")
        self.assertIn("10 classes kept, 1 new, from 5 photos.", out)
        self.assertIn("10 classes of in.tflite have no names", out)
        names = pathlib.Path("names.txt")
        expected = [*testing.LABELS, "blue", "red", "new"]
        names.write_text("\n".join(expected))
        self.imprint("--keep_classes", "--labels=names.txt")
        self.assertEqual(
            metadata.labels_of(pathlib.Path("out.tflite").read_bytes()), (*expected, "grün")
        )

    def test_classes_that_nothing_would_be_left_of(self):
        self.add("red")
        self.assert_fails(
            "got ones that take their photos away: .* [0-9]+ of 32 of these", "--keep_classes"
        )
        self.assertRegex(
            self.imprint("--keep_classes"),
            r"(?m)^Warning: the kept classes will hardly be recognised: .* \d+ of 32 of",
        )
        self.assertNotIn("any more", self.imprint("--output=colours.tflite"))
        # Imprinted classes are not used for the comparison.
        self.assert_fails("take their photos away", "--keep_classes", "--model=out.tflite")
        self.add("blue")
        shutil.rmtree("photos/red")
        out = self.imprint("--keep_classes", "--allow_lost_classes=false", "--model=colours.tflite")
        self.assertNotIn("osines", out)
        self.check(["red", "blue"], first=0)

    def test_warns_of_vectors_that_the_kernel_cannot_hold(self):
        self.add("blue", "red")
        # The trained kernel's range, a tenth as wide.
        model = model_file.parse(testing.small().model)
        kernel = model.subgraphs[0].operators[-4].inputs[1]
        model.subgraphs[0].tensors[kernel].quantization.scale = [0.0004]
        pathlib.Path("in.tflite").write_bytes(model_file.serialise(model))
        self.assertRegex(
            self.imprint(),
            r"Warning: .* vectors of 2 classes: .* forms are only blue \(0\.\d{3}\), red",
        )


if __name__ == "__main__":
    absltest.main()
