"""Runs `evaluate_low_shot` on photos of colours, with a model imprinted with two of them."""

import csv
import os
import pathlib
import shutil

import numpy as np
from absl.testing import absltest
from PIL import Image

from classification.base import program_testing
from classification.data import testing as data_testing
from classification.deployment import deployable
from classification.imprinting import checkpoint_imprinting
from classification.low_shot import evaluate_low_shot
from classification.nets import model_config
from classification.nets.checkpoint import Checkpoint
from imprinting.new_classes import tflite_embedder
from imprinting.photos import image_folder
from imprinting.tflite import metadata, model_file, split
from imprinting.tflite.imprinting import ImprintingEngine
from tests import runfiles
from transforms.conversion import testing

_DIGITS = str(runfiles.path("classification/digits_network"))
_COLOURS = {
    "base": {"blue": (20, 30, 220), "red": (230, 20, 20)},
    "novel": {"green": (20, 220, 30), "yellow": (230, 220, 30)},
}


def run(*arguments: str) -> tuple[int | str | None, str, str]:
    flags = ("--model=base.tflite", "--base_dir=base", "--novel_dir=novel", "--shots=1,2")
    return program_testing.run_program(evaluate_low_shot.main, *flags, "--num_seeds=2", *arguments)


class EvaluateLowShotTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)
        random = np.random.default_rng(0)
        for part, colours in _COLOURS.items():
            for name, colour in colours.items():
                for purpose, count in (("train", 3), ("test", 2)):
                    folder = f"{part}/{purpose}/{name}"
                    os.makedirs(folder)
                    for index in range(count):
                        noise = random.integers(-20, 21, [testing.SIZE, testing.SIZE, 3])
                        pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
                        Image.fromarray(pixels).save(f"{folder}/{index}.png")
        model = model_file.parse(testing.small().model)
        engine = ImprintingEngine(model, keep_classes=False)
        place = split.at_embedding(model).place
        for number, name in enumerate(_COLOURS["base"]):
            paths = [f"base/train/{name}/{index}.png" for index in range(3)]
            engine.add(number, tflite_embedder.compute(model, [place], paths).tensors[0][:, 0])
        pathlib.Path("base.tflite").write_bytes(
            metadata.attach(engine.build().tflite_model, list(_COLOURS["base"]))
        )

    def assert_fails(self, expected: str, *arguments: str) -> None:
        before = sorted(os.listdir("."))
        status, _, err = run(*arguments)
        self.assertEqual(status, 1, msg=err)
        self.assertRegex(err, "(?s)^prog: .*" + expected)
        self.assertNotIn("Traceback", err)
        self.assertEqual(sorted(os.listdir(".")), before)

    def test_report(self):
        status, out, err = run("--output_dir=report", "--cache_dir=cache", "--views=3")
        self.assertEqual((status, err), (None, ""), msg=out)
        self.assertRegex(out, r"imprinting, deployed +1 +1\.000 ± 0\.000 +1\.000")
        self.assertIn("Base before these joined: 1.000 (.tflite).", out)
        self.assertEndsWith(out, "Written: report/low_shot.csv, report/low_shot.png\n")
        with open("report/low_shot.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        methods = dict.fromkeys(row["method"] for row in rows)
        self.assertEqual(
            list(methods),
            [
                "imprinting, deployed",
                "nearest neighbour",
                "random + fine-tuning",
                "imprinting",
                "imprinting + fine-tuning",
                "imprinting, augmented, deployed",
                "imprinting, augmented",
                "imprinting, fitted",
            ],
        )
        self.assertLen(rows, 8 * 2 * 2)
        for row in rows:
            if row["method"].startswith("imprinting"):
                self.assertEqual((row["novel"], row["harmonic_mean"]), ("1.000000",) * 2, msg=row)
        Image.open("report/low_shot.png").verify()
        # From what is kept comes the same.
        first = pathlib.Path("report/low_shot.csv").read_bytes()
        self.assertLen(os.listdir("cache"), 2)
        self.assertIsNone(run("--output_dir=report", "--cache_dir=cache", "--views=3")[0])
        self.assertEqual(pathlib.Path("report/low_shot.csv").read_bytes(), first)

    def test_records_come_to_the_same(self):
        random = np.random.default_rng(0)
        for path in pathlib.Path(".").glob("*/*/*/*.png"):
            # Such that not all are named right, and it matters which are drawn.
            pixels = random.integers(0, 256, [testing.SIZE, testing.SIZE, 3], np.uint8)
            Image.fromarray(pixels).save(path)
        self.assertIsNone(run("--output_dir=folders")[0])
        with open("folders/low_shot.csv", encoding="utf-8") as file:
            self.assertLess(min(float(row["all"]) for row in csv.DictReader(file)), 1)
        flags = []
        for part in _COLOURS:
            folder = image_folder.scan(part)
            os.makedirs(f"{part}_records")
            for purpose, images in folder.splits.items():
                # In the same order, which draws depend on.
                data_testing.write_records(
                    f"{part}_records/{purpose}-0",
                    [
                        data_testing.make_image_example(
                            pathlib.Path(part, image.name).read_bytes(), image.label
                        )
                        for image in images
                    ],
                )
            pathlib.Path(f"{part}_records/labels.txt").write_text("\n".join(_COLOURS[part]))
            flags.append(f"--{part}_dir={part}_records")
        status, _, err = run("--output_dir=records", *flags)
        self.assertEqual((status, err), (None, ""))
        for name in os.listdir("folders"):
            self.assertEqual(
                *(pathlib.Path(folder, name).read_bytes() for folder in ("folders", "records"))
            )

    def test_a_checkpoint_with_its_quanta_and_without(self):
        # The network of digits, imprinted with the base's colours.
        config = model_config.read(_DIGITS)
        values = deployable.read_values(Checkpoint(f"{_DIGITS}/model.ckpt"), config)
        examples = {
            name: checkpoint_imprinting.compute(
                values, config, [f"base/train/{name}/{index}.png" for index in range(3)]
            ).embeddings[:, 0]
            for name in _COLOURS["base"]
        }
        values, config = checkpoint_imprinting.imprint(
            values, config, config.labels, examples, keep_classes=False
        )
        deployable.write("net", config, values)
        flags = ("--model=", "--checkpoint=net", "--shots=2", "--output_dir=report")
        status, out, err = run(*flags)
        self.assertEqual((status, err), (None, ""), msg=out)
        with open("report/low_shot.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found = {row["method"] for row in rows}
        self.assertLen(found, 5 + 1)
        self.assertContainsSubset({"imprinting, fitted", "imprinting, float activations"}, found)
        self.assertRegex(out, r"accuracy of all, for n = 2:\n  rounding of activations +-?\d+\.\d")
        self.assertRegex(
            out, r"joined: [01]\.\d{3} \(checkpoint\), [01]\.\d{3} \(float activations\)\."
        )
        for row in rows:
            if row["method"] == "imprinting, float activations":
                self.assertEqual(float(row["novel"]), 1.0)

    def test_what_does_not_fit(self):
        self.assert_fails("expected no --image_size: a .tflite", "--image_size=96")
        missing = ("--model=", "--base_dir=", "--novel_dir=")
        self.assert_fails("expected --model or --checkpoint, --base_dir, --novel_dir; ", *missing)
        # The command goes over two lines, whose first ends in a backslash.
        self.assertIn(" \\\n", evaluate_low_shot.__doc__)
        self.assert_fails("expected networks of the same classes", f"--checkpoint={_DIGITS}")
        self.assert_fails("--shots, as in 1,5,20, got 0,2", "--shots=0,2")
        self.assert_fails("--shots, as in 1,5,20, got x", "--shots=x")
        self.assert_fails("--num_seeds to be at least 1, got 0", "--num_seeds=0")
        self.assert_fails("at least 4 photos of each novel class .* got 3 of green", "--shots=4")
        self.assert_fails("none of the classes of base.tflite in --novel_dir", "--novel_dir=base")
        self.assert_fails("expected the classes of base.tflite in --base_dir", "--base_dir=novel")
        for labels, expected in (
            (["blue", "blue"], "different names, got equal ones in other.tflite"),
            (
                ["blue", "red", "white"],
                "all classes of other.tflite in --base_dir, got none of white",
            ),
        ):
            engine = ImprintingEngine(
                model_file.parse(pathlib.Path("base.tflite").read_bytes()), keep_classes=True
            )
            if len(labels) > 2:
                engine.add(2, np.eye(testing.EMBEDDING)[:1])
            data = metadata.attach(engine.build().tflite_model, labels)
            pathlib.Path("other.tflite").write_bytes(data)
            self.assert_fails(expected, "--model=other.tflite")
        os.mkdir("full")
        pathlib.Path("full/precious").touch()
        self.assert_fails("full, which holds precious", "--output_dir=full")
        pathlib.Path("bare.tflite").write_bytes(testing.small().model)
        self.assert_fails("bare.tflite: expected a model that carries", "--model=bare.tflite")
        pathlib.Path("head.tflite").write_bytes(testing.small().head)
        self.assert_fails("head.tflite: .*expected one input, an image", "--model=head.tflite")
        pathlib.Path("novel/test/green/0.png").write_bytes(b"bad")
        bad = r"\(novel/test/green/0.png: it is not a JPEG"
        self.assert_fails(f"got 1 that cannot {bad}.* --skip_bad_images")
        status, out, err = run("--skip_bad_images")
        self.assertEqual((status, err), (None, ""))
        self.assertRegex(out, f"\\nSkipped because they cannot be read: 1 {bad}")
        pathlib.Path("novel/train/green/0.png").write_bytes(b"bad")
        self.assert_fails(
            "at least 3 photos of each .* got 2 of green", "--skip_bad_images", "--shots=3"
        )
        shutil.rmtree("novel")
        self.assert_fails("novel: there is no such folder")


if __name__ == "__main__":
    absltest.main()
