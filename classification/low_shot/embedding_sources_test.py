"""Opens a small .tflite, and the network of digits that the build trains."""

import dataclasses
import os
import pathlib

import numpy as np
from absl.testing import absltest
from PIL import Image

from classification.low_shot import embedding_sources
from classification.nets import checkpoints, model_config
from imprinting.tflite import metadata, model_file
from tests import runfiles
from transforms.conversion import testing

_DIGITS = str(runfiles.path("classification/digits_network"))
_LABELS = tuple("abcdefg")


class LowShotSourcesTest(absltest.TestCase):
    def test_a_model(self):
        folder = self.create_tempdir().full_path
        path = os.path.join(folder, "a.tflite")
        tflite_model = model_file.parse(testing.small().model)
        pathlib.Path(path).write_bytes(metadata.attach(tflite_model, _LABELS))
        source = embedding_sources.of_model(path)
        self.assertEqual(source.labels, _LABELS)
        self.assertEqual(source.vectors.shape, (testing.CLASSES, testing.EMBEDDING))
        self.assertAlmostEqual(source.scale, 10.0, places=1)
        self.assertIsNotNone(source.deployed)
        found = source.classify(source.vectors.astype(np.float32))
        self.assertEqual((found.shape, found.dtype), ((testing.CLASSES,) * 2, np.uint8))
        # The highest, or, in eight bits, one of several.
        np.testing.assert_array_equal(np.diagonal(found), found.max(axis=1))
        self.assertGreater(found.max(), 2 * found.min())
        # What follows the embedding has no part in what is kept of it.
        pathlib.Path(path).write_bytes(metadata.attach(tflite_model, _LABELS[::-1]))
        self.assertEqual(embedding_sources.of_model(path).key, source.key)

    def test_a_checkpoint_with_its_quanta_and_without(self):
        model = model_config.read(_DIGITS)
        self.assertTrue(model.quantize)
        quantised, plain = embedding_sources.of_checkpoint(checkpoints.find(_DIGITS), model)
        self.assertEqual([quantised.name, plain.name], ["checkpoint", "float activations"])
        self.assertNotEqual(quantised.key, plain.key)
        for source in (quantised, plain):
            self.assertEqual(source.labels, tuple("0123456789"))
            np.testing.assert_allclose(np.linalg.norm(source.vectors, axis=1), 1, rtol=1e-5)
            self.assertIsNone(source.deployed)
            np.testing.assert_array_equal(source.classify(source.vectors).argmax(1), np.arange(10))
        np.testing.assert_array_equal(quantised.vectors, plain.vectors)
        path = os.path.join(self.create_tempdir().full_path, "a.png")
        Image.fromarray(np.eye(32, dtype=np.uint8) * 255).convert("RGB").save(path)
        sources = (quantised, plain)
        rounded, exact = (list(source.compute([path], views=1))[0][0] for source in sources)
        self.assertTrue(np.all(rounded * 128 == np.rint(rounded * 128)))
        self.assertFalse(np.all(exact * 128 == np.rint(exact * 128)))
        self.assertGreater(rounded @ exact, 0.9)

    def test_a_model_compiled_for_the_edge_tpu(self):
        path = os.path.join(self.create_tempdir().full_path, "a_edgetpu.tflite")
        pathlib.Path(path).write_bytes(testing.compiled(testing.small().model))
        with self.assertRaisesRegex(ValueError, f"{path}: .*compiled for the Edge TPU"):
            embedding_sources.of_model(path)

    def test_networks_without_names_are_refused(self):
        model = dataclasses.replace(model_config.read(_DIGITS), labels=None)
        with self.assertRaisesRegex(ValueError, "whose model.json names its classes"):
            embedding_sources.of_checkpoint(checkpoints.find(_DIGITS), model)


if __name__ == "__main__":
    absltest.main()
