"""Tests of the description of what the Edge TPU's compiler will do."""

import dataclasses

from absl.testing import absltest

from imprinting.tflite import edge_tpu, edge_tpu_text, model_file
from transforms.conversion import testing


def predict(data):
    return edge_tpu.predict(model_file.parse(data))


class EdgeTpuTextTest(absltest.TestCase):
    def test_an_extractor(self):
        found = predict(testing.small(int8=True).extractor)
        text = edge_tpu_text.describe(found, "x y.tflite")
        lines = text.splitlines()
        self.assertEqual(lines[0], "x y.tflite: 8 of 8 operators are mapped to the Edge TPU.")
        self.assertEqual(lines[2], "    0  QUANTIZE           Edge TPU")
        self.assertIn("\nParameters: ", text)
        self.assertIn(" of 8,388,608 bytes (8 MiB) on the chip, 0%; the compiler also", text)
        self.assertIn("Runtime: its operations need version 13 of the runtime; what", text)
        self.assertIn("\n  edgetpu_compiler 'x y.tflite'\n", text)
        self.assertEndsWith(
            text,
            "Sources of the rules:\n  https://coral.ai/docs/edgetpu/models-intro/\n"
            "  https://coral.ai/docs/edgetpu/compiler/",
        )

    def test_a_complete_model(self):
        text = edge_tpu_text.describe(predict(testing.small().model), "x.tflite")
        self.assertIn(edge_tpu_text.HIDDEN_EMBEDDING, text)
        self.assertNotIn("edgetpu_compiler", text)
        self.assertIn("RESHAPE            Edge TPU (it may stay on the CPU if", text)
        self.assertIn("Runtime: its operations need any runtime; what version 16", text)

    def test_too_many_parameters(self):
        found = dataclasses.replace(predict(testing.small().extractor), parameter_bytes=12 * 2**20)
        self.assertIn("150%; the rest is sent to the chip", edge_tpu_text.memory(found))

    def test_nothing_to_compile(self):
        found = predict(testing.small(quantise=False).extractor)
        text = edge_tpu_text.describe(found, "x.tflite")
        self.assertNotIn("edgetpu_compiler", text)
        self.assertIn("CPU (type): it needs tensors of int8 or uint8 with a scale; found", text)


if __name__ == "__main__":
    absltest.main()
