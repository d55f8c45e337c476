"""Tests of the program that predicts what the Edge TPU's compiler does."""

import os
import pathlib

from absl.testing import absltest

from imprinting.base import program_testing
from imprinting.commands import check_edgetpu
from imprinting.tflite import model_file
from transforms.conversion import testing


class CheckEdgetpuTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(os.path.realpath(self.create_tempdir().full_path))

    def write(self, path, data):
        pathlib.Path(path).write_bytes(data)

    def check(self, path):
        status, out, err = program_testing.run(check_edgetpu.main, f"--model={path}")
        self.assertEqual((status, err), (None, ""))
        return out

    def test_an_extractor(self):
        for int8, count in ((False, 4), (True, 8)):
            self.write("small_extractor.tflite", testing.small(int8=int8).extractor)
            out = self.check("small_extractor.tflite")
            self.assertStartsWith(
                out,
                f"small_extractor.tflite: {count} of {count} operators are mapped to the Edge TPU.",
            )
            self.assertNotIn("CPU", out)
            self.assertIn("\nTo compile it:\n  edgetpu_compiler small_extractor.tflite\n", out)
            self.assertIn("https://coral.ai/docs/edgetpu/models-intro/\n", out)

    def test_a_size_that_is_not_constant(self):
        model = model_file.parse(testing.small().extractor)
        tensor = model.subgraphs[0].operators[1].outputs[0]
        model.subgraphs[0].tensors[tensor].shapeSignature = [-1, 16, 16, 8]
        self.write("dynamic.tflite", model_file.serialise(model))
        out = self.check("dynamic.tflite")
        self.assertStartsWith(out, "dynamic.tflite: 1 of 4 operators are mapped")
        self.assertRegex(
            out, r"\n    1  DEPTHWISE_CONV_2D  CPU \(dynamic\): .* \[-1, 16, 16, 8\]\n"
        )
        self.assertRegex(out, r"\n    3  CONV_2D +CPU \(position\): ")
        self.assertIn("google-coral/edgetpu/issues/461", out)

    def test_errors(self):
        small = testing.small()
        for path, data in {
            "noise.tflite": b"noise" * 10,
            "cut.tflite": small.extractor[: len(small.extractor) // 2],
            "x_edgetpu.tflite": testing.compiled(small.extractor),
            "float.tflite": testing.small(quantise=False).extractor,
        }.items():
            self.write(path, data)
        for path, expected in (
            ("", "expected --model; --help explains"),
            ("gone.tflite", "gone.tflite: No such file or directory"),
            (".", "expected a file, got the folder .; name a file"),
            ("noise.tflite", "noise.tflite: expected a .tflite, whose bytes"),
            ("cut.tflite", "cut.tflite: expected a complete .tflite"),
            (
                "x_edgetpu.tflite",
                "x_edgetpu.tflite: .* before the Edge TPU's compiler, got one com",
            ),
            ("float.tflite", "float.tflite: expected a model that is quantised .*got .* float32"),
        ):
            status, out, err = program_testing.run(check_edgetpu.main, f"--model={path}")
            self.assertEqual((status, out), (1, ""))
            self.assertRegex(err, f"^prog: {expected}")
            self.assertLen(err.splitlines(), 1)


if __name__ == "__main__":
    absltest.main()
