"""Tests of the program that checks products and writes them."""

import hashlib
import json
import os
import subprocess

import numpy as np
from absl.testing import absltest

from imprinting.base import program_testing
from imprinting.tflite import metadata
from tests import runfiles
from transforms.conversion import check_tflite, testing

_PROGRAM = runfiles.path("transforms/conversion/check_tflite")


def read(path):
    with open(path, "rb") as file:
        return file.read()


class CheckTfliteTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        small = testing.small()
        contents = {
            "model.tflite": small.model,
            "extractor.tflite": small.extractor,
            "head.tflite": small.head,
            "frozen.pb": small.frozen.SerializeToString(),
            "folded.pb": small.folded.SerializeToString(),
            "labels.txt": "\n".join(testing.LABELS).encode(),
            "weights": b"weights",
        }
        for path, data in contents.items():
            with open(path, "wb") as file:
                file.write(data)
        np.save("images.npy", testing.images())
        os.mkdir("out")
        self.flags = {
            "model": "model.tflite",
            "extractor": "extractor.tflite",
            "head": "head.tflite",
            "frozen_graph": "frozen.pb",
            "folded_graph": "folded.pb",
            "labels": "labels.txt",
            "images": "images.npy",
            "sources": f"{self.folder}/weights",
            "output_prefix": "out/small",
        }

    def arguments(self, **changes):
        return [f"--{name}={value}" for name, value in (self.flags | changes).items()]

    def assert_fails(self, expected, *arguments, **changes):
        status, out, err = program_testing.run(
            check_tflite.main, *self.arguments(**changes), *arguments
        )
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, f"^prog: {expected}")
        self.assertEmpty(os.listdir("out"))

    def test_writes_products_and_report(self):
        status, out, err = program_testing.run(
            check_tflite.main, *self.arguments(), "--sources=graph=folded.pb"
        )
        self.assertEqual((status, err), (None, ""))
        self.assertRegex(
            out,
            r"^Agrees with the reference kernels: logits_p99 \d.*\n"
            r"Agrees with the default kernels: logits_p99 \d.*\n"
            "Written: small.tflite, small_extractor.tflite, small_head.tflite, "
            "small_report.json, small_report.md\n$",
        )
        self.assertLen(os.listdir("out"), 5)
        self.assertEqual(metadata.labels_of(read("out/small.tflite")), testing.LABELS)
        report = json.loads(read("out/small_report.json"))
        for path, product in report["products"].items():
            self.assertEqual(product["sha256"], hashlib.sha256(read(f"out/{path}")).hexdigest())
        self.assertEqual(
            report["made_from"],
            {
                name: hashlib.sha256(read(path)).hexdigest()
                for name, path in (
                    ("frozen graph", "frozen.pb"),
                    ("folded graph", "folded.pb"),
                    ("labels", "labels.txt"),
                    ("images", "images.npy"),
                    ("weights", "weights"),
                    ("graph", "folded.pb"),
                )
            },
        )
        for path in os.listdir("out"):
            self.assertNotIn(self.folder.encode(), read(f"out/{path}"))

    def test_program_writes_the_same_bytes_and_no_warnings(self):
        self.assertIsNone(program_testing.run(check_tflite.main, *self.arguments())[0])
        os.mkdir("again")
        done = subprocess.run(
            [_PROGRAM, *self.arguments(output_prefix="again/small")],
            capture_output=True,
            text=True,
            env={"PATH": "/bin", "TF_ENABLE_ONEDNN_OPTS": "0"},
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for path in ("small.tflite", "small_extractor.tflite", "small_head.tflite"):
            self.assertEqual(read(f"out/{path}"), read(f"again/{path}"))
        a, b = (json.loads(read(f"{folder}/small_report.json")) for folder in ("out", "again"))
        self.assertEqual(a.pop("agreement").keys(), b.pop("agreement").keys())
        self.assertEqual(a, b)

    def test_writes_nothing_if_a_check_fails(self):
        # A graph with other ranges.
        ranges = dict.fromkeys(("act1", "act2", "act3", "classes", "scaled"), (-3.0, 3.0))
        with open("frozen.pb", "wb") as file:
            file.write(testing.graph_def(folded=False, ranges=ranges).SerializeToString())
        self.assert_fails(
            r"expected a model that agrees with its graph, got one with \d+ ranges and figures "
            r"that do not agree:\n(?s:.*)\n  logits_p99: expected "
        )
        self.assert_fails(
            "expected a model that keeps the rules of the products, got one with 1 rules that are "
            "broken:\n  input: expected ",
            model="head.tflite",
        )

    def test_files_that_do_not_fit(self):
        self.assert_fails("weights: expected a .tflite", model="weights")
        missing = {"model": "", "head": "", "images": ""}
        self.assert_fails("expected --model, --head, --images; --help explains", **missing)
        # The command has several lines; all but the last end in a backslash.
        self.assertIn(" \\\n", check_tflite.__doc__)
        self.assert_fails("weights: expected a .tflite", head="weights")
        with open("extractor_edgetpu.tflite", "wb") as file:
            file.write(testing.compiled(read("extractor.tflite")))
        self.assert_fails(
            "extractor_edgetpu.tflite: .* compiled for the Edge TPU",
            extractor="extractor_edgetpu.tflite",
        )
        self.assert_fails("weights: expected a binary GraphDef", frozen_graph="weights")
        self.assert_fails("weights: expected a .npy file of images", images="weights")
        self.assert_fails("expected as many labels as classes, 7, got 1", labels="weights")
        self.assert_fails("no: No such file", folded_graph="no")
        self.assert_fails("expected --sources with .* got weights twice", "--sources=weights")
        self.assert_fails("expected --output_prefix=DIR/NAME, got out/", output_prefix="out/")
        self.assert_fails("expected a folder no ", output_prefix="no/small")
        np.savez("images.npz", a=testing.images(), b=testing.images(1))
        self.assert_fails("images.npz: expected one array", images="images.npz")
        np.save("few.npy", testing.images(8))
        self.assert_fails("expected at least 64 images", images="few.npy")

    def test_flags_that_are_missing(self):
        status, _, err = program_testing.run(check_tflite.main, "--model=a", "--head=b")
        self.assertEqual(status, 1)
        self.assertStartsWith(
            err, "prog: expected --extractor, --frozen_graph, --images, --output_prefix; "
        )


if __name__ == "__main__":
    absltest.main()
