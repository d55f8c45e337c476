"""Tests of the program graft; its results learn new classes, and classify photos."""

import os
import pathlib

from absl.testing import absltest
from PIL import Image

from imprinting.base import program_testing
from imprinting.commands import graft
from imprinting.inference.photo_classifier import PhotoClassifier
from imprinting.new_classes import photo_testing, photos
from imprinting.new_classes.photo_imprinting import Options
from imprinting.new_classes.tflite_network import TfliteNetwork
from imprinting.tflite import graft_testing, metadata, model_file
from transforms.conversion import testing


class GraftTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(os.path.realpath(self.create_tempdir().full_path))
        model = model_file.parse(graft_testing.uint8_body())
        pathlib.Path("in.tflite").write_bytes(metadata.attach(model, graft_testing.LABELS))
        pathlib.Path("all/more").mkdir(parents=True)
        for index, pixels in enumerate(testing.images(45)):
            Image.fromarray(pixels).save(f"all/{'more/' * (index % 2)}{index}.png")

    def graft(self, *arguments):
        # The classifier is random: it tells nothing about its photos.
        flags = ("--model=in.tflite", "--output=out.tflite", "--allow_lost_classes", *arguments)
        status, out, err = program_testing.run(graft.main, *flags)
        self.assertEqual((status, err), (None, ""), msg=out)
        return out

    def assert_fails(self, expected, *arguments):
        before = sorted(os.listdir("."))
        flags = ("--model=in.tflite", "--output=out.tflite", *arguments)
        status, out, err = program_testing.run(graft.main, *flags)
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, f"^prog: {expected}")
        self.assertLen(err.splitlines(), 1)
        self.assertEqual(sorted(os.listdir(".")), before)

    def test_without_photos(self):
        out = self.graft()
        data = pathlib.Path("out.tflite").read_bytes()
        self.assertStartsWith(
            out, f"Wrote out.tflite: {len(data):,} bytes, 5 classes, 24 features; scale factor "
        )
        self.assertIn("\nEmbedding: features as they are.\nTo imprint new classes next to", out)
        self.assertNotIn("Warning", out)
        self.assertEqual(metadata.labels_of(data), graft_testing.LABELS)
        self.graft()
        self.assertEqual(pathlib.Path("out.tflite").read_bytes(), data)

    def test_photos_of_all_kinds_then_new_classes(self):
        out = self.graft("--images=all")
        self.assertRegex(
            out,
            r"\nEmbedding: features whitened by those of 45 photos.\nThe most probable class is "
            r"the same as before for \d+\.\d% of the photos.\n$",
        )
        data = pathlib.Path("out.tflite").read_bytes()
        photo_testing.write(pathlib.Path("new"))
        options = Options(keep_classes=True, allow_lost_classes=True)
        imprinted = TfliteNetwork(data, options).imprint(photos.find("new"))
        self.assertEqual(imprinted.names, (*graft_testing.LABELS, "blue", "red"))
        paths = ["new/blue/0.png", "new/red/0.png"]
        answers, bad = PhotoClassifier(imprinted.tflite).classify(paths, top=1)
        self.assertEqual([answer.label for (answer,) in answers], ["blue", "red"])
        self.assertEmpty(bad)

    def test_few_photos_and_bad_ones(self):
        pathlib.Path("bad.jpg").write_bytes(b"bad")
        flags = ("--images=bad.jpg", *(f"--images=all/{i}.png" for i in (0, 2)))
        self.assert_fails("in.tflite: expected photos that can be read, got 1 that cannot", *flags)
        out = self.graft(*flags, "--skip_bad_images")
        self.assertIn("\nEmbedding: features minus the mean of those of 2 photos.\n", out)
        self.assertIn("\nWith at least 40 photos, better 500, new classes next to the old", out)
        self.assertIn("\nSkipped because they cannot be read: 1 (bad.jpg: it is not a JPEG", out)

    def test_names_and_crop(self):
        pathlib.Path("in.tflite").write_bytes(graft_testing.dense())
        out = self.graft("--crop=SQUARE")
        self.assertIn("\n5 classes of in.tflite have no names and are named by their numb", out)
        pathlib.Path("names.txt").write_text("\n".join("abcde"))
        self.graft("--labels=names.txt", "--crop=square")
        data = pathlib.Path("out.tflite").read_bytes()
        self.assertEqual(metadata.labels_of(data), tuple("abcde"))
        about = metadata.about(model_file.parse(data))
        self.assertEqual((about.title, about.crop.value), ("in", "square"))
        pathlib.Path("names.txt").write_text("\n".join("abcd"))
        self.assert_fails(
            "in.tflite: expected a name for each of the network's 5 .* names.txt;",
            "--labels=names.txt",
        )

    def test_an_unusual_input(self):
        model = model_file.parse(graft_testing.uint8_body())
        quantization = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].quantization
        quantization.scale[0], quantization.zeroPoint[0] = 0.0187, 114
        pathlib.Path("in.tflite").write_bytes(model_file.serialise(model))
        self.assertIn(
            "\nWarning: for the pixels 0 and 255, the network takes the numbers -2.13 a",
            self.graft(),
        )

    def test_errors(self):
        os.mkdir("empty")
        for name, data in (
            ("float", graft_testing.float_classifier()),
            ("edgetpu", testing.compiled(graft_testing.uint8_body(), kept=1)),
            ("noise", b"noise" * 100),
        ):
            pathlib.Path(f"{name}.tflite").write_bytes(data)
        for arguments, expected in (
            (("--model=", "--output="), "expected --model, --output; --help explains them"),
            (("--model=gone.tflite",), "gone.tflite: No such file or directory"),
            (("--model=float.tflite",), "float.tflite: expected a quantised classifier, whose"),
            (("--model=edgetpu.tflite",), "edgetpu.tflite: expected a .tflite as it was before"),
            (("--model=noise.tflite",), "noise.tflite: expected a .tflite, whose bytes"),
            (("--output=no/where.tflite",), "expected a folder no to write where.tflite in"),
            (
                ("--images=all",),
                r"expected photos of many .* that in.tflite knows, got ones of which only \d+\.\d% "
                ".* with --allow_lost_classes$",
            ),
            (("--images=empty",), "expected photos in the folder empty, got none"),
            (("--images=gone",), "expected a photo or a folder of photos, got gone"),
        ):
            self.assert_fails(expected, *arguments)


if __name__ == "__main__":
    absltest.main()
