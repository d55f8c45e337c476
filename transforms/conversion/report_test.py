"""Tests of the report."""

import hashlib
import json

from absl.testing import absltest

from transforms.conversion import report, testing
from transforms.conversion.agreement_figures import Figure
from transforms.conversion.check import Checked
from transforms.conversion.inference import Kernels
from transforms.tflite import product_rules

_MADE_FROM = {"frozen graph": "ab" * 32, "weights": "cd" * 32}


def checked(quantise=True):
    small = testing.small(quantise=quantise)
    figures = [
        Figure(
            "cosine",
            "the cosine,",
            0.99912345678,
            0.999,
            at_least=True,
            kernel_disagreement=0.9987,
        ),
        Figure("largest", "the largest|difference", 12.0),
    ]
    return Checked(
        tflite_model=small.model,
        extractor=small.extractor,
        head=small.head,
        quantised=quantise,
        images=64,
        agreement={kernels: figures for kernels in Kernels},
    )


class ReportTest(absltest.TestCase):
    def files(self, quantise=True):
        return report.files(checked(quantise), name="small", made_from=_MADE_FROM)

    def test_files(self):
        files = self.files()
        small = testing.small()
        self.assertEqual(
            [*files],
            ["small.tflite", "small_extractor.tflite", "small_head.tflite"]
            + ["small_report.json", "small_report.md"],
        )
        self.assertEqual(files["small.tflite"], small.model)
        self.assertEqual(files["small_extractor.tflite"], small.extractor)
        self.assertEqual(files["small_head.tflite"], small.head)
        self.assertEqual(self.files(), files)

    def test_json(self):
        data = json.loads(self.files()["small_report.json"])
        self.assertEqual(
            [*data],
            ["tensorflow", "quantised", "products", "made_from", "rules", "agreement", "operators"],
        )
        self.assertTrue(data["quantised"])
        self.assertRegex(data["tensorflow"], r"^2\.")
        model = testing.small().model
        self.assertEqual(
            data["products"]["small.tflite"],
            {"bytes": len(model), "sha256": hashlib.sha256(model).hexdigest()},
        )
        self.assertLen(data["products"], 3)
        self.assertEqual(data["made_from"], _MADE_FROM)
        self.assertEqual([*data["rules"]], [*product_rules.RULES])
        self.assertEqual(data["agreement"]["images"], 64)
        self.assertEqual(
            data["agreement"]["reference"],
            {
                "cosine": {
                    "value": 0.99912,
                    "says": "the cosine,",
                    "limit": "at least 0.999",
                    "among": 0.9987,
                },
                "largest": {"value": 12.0, "says": "the largest|difference"},
            },
        )
        self.assertEqual(data["agreement"]["default"], data["agreement"]["reference"])

    def test_operators(self):
        operators = json.loads(self.files()["small_report.json"])["operators"]
        self.assertLen(operators, 9)
        norm = operators[4]
        self.assertEqual((norm["operator"], norm["version"]), ("L2_NORMALIZATION", 1))
        (output,) = norm["outputs"]
        self.assertContainsSubset(
            {
                "type": "uint8",
                "shape": [1, 1, 1, testing.EMBEDDING],
                "constant": False,
                "scale": 1 / 128,
                "zero_point": 128,
            },
            output,
        )
        kernel, bias = operators[5]["inputs"][1:]
        self.assertEqual((kernel["constant"], bias["type"]), (True, "int32"))
        shape = operators[7]["inputs"][1]
        self.assertNotIn("scale", shape)

    def test_markdown(self):
        text = self.files()["small_report.md"].decode()
        self.assertStartsWith(
            text, "# small\n\nQuantised (uint8), as its checkpoint is; made and checked with Tensor"
        )
        self.assertIn("| small.tflite | ", text)
        row = "| cosine | the cosine | 0.99912 | 0.99912 | 0.9987 | at least 0.999 |\n"
        self.assertIn(row, text)
        self.assertIn("| largest | the largest\\|difference | 12 | 12 |  |  |\n", text)
        self.assertIn("| L2_NORMALIZATION | 1 | uint8 [1, 1, 1, 24], ", text)
        self.assertIn("uint8 [1, 1, 1, 24], 0.0078125 (q - 128) |\n", text)
        self.assertIn(f"| weights | {'cd' * 32} |\n", text)
        for line in text.splitlines():
            self.assertEqual(line, line.strip())

    def test_float(self):
        files = self.files(quantise=False)
        self.assertIn(b"\nFloat, as its checkpoint is; made", files["small_report.md"])
        operators = json.loads(files["small_report.json"])["operators"]
        self.assertNotIn("scale", operators[0]["inputs"][0])


if __name__ == "__main__":
    absltest.main()
