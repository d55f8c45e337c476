"""Tests of the report."""

import dataclasses
import hashlib
import json

from absl.testing import absltest

from imprinting.tflite import model_file, product_rules
from imprinting.tflite.inference import Kernels
from transforms.conversion import report, testing
from transforms.conversion.agreement_figures import Figure
from transforms.conversion.check import Checked

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
            ["tensorflow", "quantised", "products", "made_from", "rules", "agreement"]
            + ["edge_tpu", "operators"],
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

    def test_edge_tpu(self):
        files = self.files()
        found = json.loads(files["small_report.json"])["edge_tpu"]
        self.assertEqual((found["operators"], found["mapped"], found["on_cpu"]), (4, 4, []))
        self.assertEqual(found["command"], "edgetpu_compiler small_extractor.tflite")
        self.assertEqual((found["on_chip_bytes"], found["runtime"]), (8388608, 0))
        self.assertBetween(found["parameter_bytes"], 300, 1000)
        text = files["small_report.md"].decode()
        self.assertIn("\n## Edge TPU\n\nThe compiler is predicted to map 4 of 4 operators of", text)
        self.assertIn("type `edgetpu_compiler small_extractor.tflite`.\n", text)
        self.assertIn("https://coral.ai/docs/edgetpu/models-intro/", text)

    def test_operators_that_stay_on_the_cpu(self):
        model = model_file.parse(testing.small().extractor)
        pool = model.subgraphs[0].operators[2]
        pool.builtinOptions.fusedActivationFunction = 1
        changed = dataclasses.replace(checked(), extractor=model_file.serialise(model))
        files = report.files(changed, name="small", made_from=_MADE_FROM)
        found = json.loads(files["small_report.json"])["edge_tpu"]
        self.assertEqual(found["mapped"], 2)
        self.assertEqual([v["rule"] for v in found["on_cpu"]], ["limit", "position"])
        self.assertIn(
            "| 2 | AVERAGE_POOL_2D | limit | it needs no fused activation function |\n",
            files["small_report.md"].decode(),
        )

    def test_edge_tpu_of_a_float_model(self):
        files = self.files(quantise=False)
        found = json.loads(files["small_report.json"])["edge_tpu"]
        self.assertIsNone(found["command"])
        self.assertIn("quantised to 8 bits", found["refusal"])
        self.assertIn(
            b"The compiler refuses the extractor, which is not quantised", files["small_report.md"]
        )

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
