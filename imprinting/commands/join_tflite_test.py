"""Tests of the program that joins an extractor and a head."""

import os
import pathlib

import numpy as np
from absl.testing import absltest

from imprinting.base import program_testing
from imprinting.commands import join_tflite
from imprinting.tflite import metadata, model_file, pairs, product_rules
from transforms.conversion import testing


class JoinTfliteTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(os.path.realpath(self.create_tempdir().full_path))
        small = testing.small()
        for path, data in {
            "small_extractor.tflite": small.extractor,
            "small_extractor_edgetpu.tflite": testing.compiled(small.extractor),
            "small_head.tflite": metadata.attach(model_file.parse(small.head), testing.LABELS),
            "old_extractor_edgetpu.tflite": testing.compiled(small.embedder),
            "old_head.tflite": small.classes,
            "float_extractor.tflite": testing.small(quantise=False).extractor,
            "other_head.tflite": testing.small(int8=True).head,
            "noise.tflite": b"noise" * 100,
        }.items():
            pathlib.Path(path).write_bytes(data)

    def run_program(self, extractor, head, output="out.tflite"):
        flags = {"extractor": extractor, "head": head, "output": output}
        return program_testing.run(join_tflite.main, *(f"--{k}={v}" for k, v in flags.items()))

    def test_a_compiled_extractor(self):
        status, out, err = self.run_program("small_extractor_edgetpu.tflite", "small_head.tflite")
        self.assertEqual((status, err), (None, ""))
        data = pathlib.Path("out.tflite").read_bytes()
        self.assertEqual(out, f"Wrote out.tflite: {len(data):,} bytes.\n")
        self.assertEqual(metadata.labels_of(data), testing.LABELS)
        model = model_file.parse(data, compiled=True)
        options = np.asarray(model.subgraphs[0].operators[0].customOptions, np.uint8).tobytes()
        self.assertEqual(options, testing.COMPILED_OPTIONS)
        self.assertEqual(product_rules.check(model, quantised=True), [])
        before = os.listdir(".")
        self.run_program("small_extractor_edgetpu.tflite", "small_head.tflite")
        self.assertEqual(pathlib.Path("out.tflite").read_bytes(), data)
        self.assertCountEqual(os.listdir("."), before)

    def test_an_uncompiled_extractor(self):
        status, _, err = self.run_program("small_extractor.tflite", "small_head.tflite")
        self.assertEqual((status, err), (None, ""))
        model = model_file.read("out.tflite")
        self.assertEqual(product_rules.check(model, quantised=True), [])

    def test_an_old_pair(self):
        status, out, err = self.run_program("old_extractor_edgetpu.tflite", "old_head.tflite")
        self.assertEqual((status, err), (None, ""))
        self.assertEndsWith(out, f"bytes.\n{pairs.OLD}\n")

    def test_errors(self):
        os.mkdir("folder")
        fine = ("small_extractor_edgetpu.tflite", "small_head.tflite")
        os.symlink("small_head.tflite", "link.tflite")
        before = sorted(os.listdir("."))
        for arguments, expected in (
            ((*fine, fine[1]), "expected the name of a file to write, got small_head.tflite, whic"),
            ((*fine, "link.tflite"), "expected .*, got link.tflite, the same file as small_head"),
            (("", "", ""), "expected --extractor, --head, --output; --help explains them"),
            (("gone.tflite", fine[1]), "gone.tflite: No such file or directory"),
            ((fine[0], "folder"), "expected a file, got the folder folder; name a file"),
            (("noise.tflite", fine[1]), "noise.tflite: expected a .tflite, whose bytes 4 to 8"),
            ((fine[0], "noise.tflite"), "noise.tflite: expected a .tflite, whose bytes 4 to 8"),
            ((fine[1], fine[0]), "expected an extractor, .* the other way round; swap the two"),
            ((fine[0], "other_head.tflite"), "expected an extractor that gives what the head tak"),
            (("float_extractor.tflite", fine[1]), "expected an extractor that gives .* float32"),
            ((fine[0], "small_extractor.tflite"), "expected a head of the operators L2_NORMAL"),
            ((fine[0], "old_head.tflite"), "expected an extractor that gives what the head takes"),
            ((*fine, "no/where.tflite"), "expected a folder no to write where.tflite in, got none"),
            ((*fine, "folder"), "expected the name of a file to write, got the folder folder"),
        ):
            status, out, err = self.run_program(*arguments)
            self.assertEqual((status, out), (1, ""))
            self.assertRegex(err, f"^prog: {expected}")
            self.assertLen(err.splitlines(), 1)
            self.assertEqual(sorted(os.listdir(".")), before)


if __name__ == "__main__":
    absltest.main()
