"""Tests of model_config.py."""

import json
import os

from absl.testing import absltest, parameterized

from classification.nets import model_config
from classification.nets.model_config import ModelConfig

_CONFIG = ModelConfig(
    image_size=32,
    depth_multiplier=0.25,
    num_classes=3,
    quantize=True,
    learned_embedding_range=True,
    labels=("null", "Äpfel", "two words"),
    dataset="digits",
)


class FileTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.path = os.path.join(self.folder, model_config.FILE_NAME)

    @parameterized.parameters(_CONFIG, ModelConfig())
    def test_reads_what_it_writes(self, model):
        model.write(self.folder)
        self.assertEqual(model_config.read(self.folder), model)
        self.assertEqual(os.listdir(self.folder), ["model.json"])

    def test_writes_readable_json(self):
        _CONFIG.write(self.folder)
        with open(self.path, encoding="utf-8") as file:
            text = file.read()
        self.assertIn('"Äpfel"', text)
        values = json.loads(text)
        self.assertEqual(values["depth_multiplier"], 0.25)
        self.assertEqual(values["quantize"], True)

    def test_normalises_labels(self):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write('{"num_classes": 1, "labels": ["cafe\u0301"]}')
        self.assertEqual(model_config.read(self.folder).labels, ("caf\u00e9",))

    def test_missing_file(self):
        self.assertIsNone(model_config.read(self.folder))
        self.assertIsNone(model_config.read(os.path.join(self.folder, "missing")))

    def test_missing_attributes_have_defaults(self):
        with open(self.path, "w") as file:
            file.write('{"num_classes": 5}')
        self.assertEqual(model_config.read(self.folder), ModelConfig(num_classes=5))

    @parameterized.parameters(
        ("", "Expecting value"),
        ("\x00noise", "Expecting value"),
        ("[1]", "expected a JSON object, got list"),
        ('{"num_clases": 10}', "num_clases"),
        ('{"network": "resnet"}', "expected a network out of mobilenet_v1, "),
        ('{"num_classes": "10"}', "expected num_classes to be int, got '10'"),
        ('{"num_classes": true}', "expected num_classes to be int, got True"),
        ('{"image_size": 32.0}', "expected image_size to be int, got 32.0"),
        ('{"quantize": 1}', "expected quantize to be bool, got 1"),
        ('{"depth_multiplier": NaN}', "expected depth_multiplier to be above 0, got nan"),
        ('{"num_classes": 2, "labels": ["a"]}', "expected 2 labels, one for each class, got 1"),
        ('{"num_classes": 2, "labels": "ab"}', "expected labels to be tuple, got 'ab'"),
        ('{"num_classes": 2, "labels": ["a", 1]}', "expected labels to be str, got 1"),
    )
    def test_refuses_damaged_file(self, text, expected):
        with open(self.path, "w") as file:
            file.write(text)
        with self.assertRaises(ValueError) as caught:
            model_config.read(self.folder)
        self.assertStartsWith(str(caught.exception), f"{self.path} does not describe a network: ")
        self.assertIn(expected, str(caught.exception))


class ModelConfigTest(parameterized.TestCase):
    @parameterized.parameters(
        ("image_size", 0),
        ("num_classes", -1),
        ("depth_multiplier", 0),
        ("depth_multiplier", -0.5),
        ("depth_multiplier", float("inf")),
    )
    def test_refuses_numbers_out_of_range(self, name, value):
        with self.assertRaisesRegex(ValueError, f"expected {name} to be above 0, got {value}"):
            ModelConfig(**{name: value})

    def test_accepts_integer_depth_multiplier(self):
        self.assertEqual(ModelConfig(depth_multiplier=1), ModelConfig(depth_multiplier=1.0))


class ResolveTest(parameterized.TestCase):
    def test_uses_flags_without_file(self):
        resolved = model_config.resolve(None, {"num_classes": 7, "quantize": True}, source="a")
        self.assertEqual(resolved, ModelConfig(num_classes=7, quantize=True))

    def test_flags_may_repeat_the_file(self):
        given = {"image_size": 32, "depth_multiplier": 0.25, "quantize": True}
        self.assertEqual(model_config.resolve(_CONFIG, given, source="a"), _CONFIG)
        self.assertEqual(model_config.resolve(_CONFIG, {}, source="a"), _CONFIG)

    @parameterized.parameters(
        ("image_size", 224, 32),
        ("depth_multiplier", 1.0, 0.25),
        ("num_classes", 1001, 3),
        ("quantize", False, True),
    )
    def test_refuses_contradicting_flag(self, name, value, known):
        with self.assertRaisesRegex(
            ValueError, f"--{name}={value} contradicts a/b/model.json, which says {known};"
        ):
            model_config.resolve(_CONFIG, {name: value}, source="a/b")


if __name__ == "__main__":
    absltest.main()
