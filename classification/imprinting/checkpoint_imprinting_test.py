"""Tests of checkpoint_imprinting.py: imprints digits, under new names, into a network of digits."""

import os

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest
from PIL import Image

from classification.data.dataset import open_dataset
from classification.deployment import deployable
from classification.imprinting import checkpoint_imprinting
from classification.nets import factory, model_config, variable_values
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from classification.testing.digits_networks import images_and_labels
from imprinting.base import pixel_scaling
from imprinting.photos.pixel_reader import PixelReader
from tests import runfiles

_NAMES = ("zero", "one", "seven")
_DIGITS = str(runfiles.path("classification/digits_network"))
_CLASSES = "MobilenetV1/Logits/Conv2d_1d_1x1_normalize/"


class CheckpointImprintingTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.config = model_config.read(_DIGITS)
        self.labels = self.config.labels
        self.values = deployable.read_values(Checkpoint(f"{_DIGITS}/model.ckpt"), self.config)
        folder = self.create_tempdir().full_path
        images, labels = images_and_labels(open_dataset("", "validation"), self.config.image_size)
        self.paths = []
        for name, digit in zip(_NAMES, (0, 1, 7), strict=True):
            for index, image in enumerate(images[labels == digit][:3]):
                self.paths.append(os.path.join(folder, f"{name}{index}.png"))
                Image.fromarray(pixel_scaling.to_quanta(image)).save(self.paths[-1])

    def imprint(
        self, embeddings: dict[str, np.ndarray], *, keep_classes: bool
    ) -> tuple[dict[str, np.ndarray], ModelConfig]:
        return checkpoint_imprinting.imprint(
            self.values, self.config, self.labels, embeddings, keep_classes=keep_classes
        )

    def embeddings(self) -> dict[str, np.ndarray]:
        found, _, bad = checkpoint_imprinting.compute(self.values, self.config, self.paths)
        self.assertEqual(bad, {})
        return dict(zip(_NAMES, found.reshape(3, 3, 1024), strict=True))

    def logits(self, values, config) -> np.ndarray:
        reader = PixelReader(config.image_size)
        images = np.concatenate([reader.read(path) for path in self.paths])
        with tf.Graph().as_default(), tf.Session() as session:
            inputs = pixel_scaling.to_real(tf.constant(images, tf.float32))
            logits = factory.build(inputs, config)["Logits"]
            variable_values.load(session, {v: values[v.op.name] for v in tf.global_variables()})
            return session.run(logits)

    def test_new_classes_are_distinguished(self):
        embeddings = self.embeddings()
        np.testing.assert_allclose(np.linalg.norm(embeddings["one"], axis=1), 1, rtol=0.02)
        values, config = self.imprint(embeddings, keep_classes=False)
        self.assertEqual((config.num_classes, config.labels), (3, _NAMES))
        found = self.logits(values, config).argmax(axis=1)
        np.testing.assert_array_equal(found, np.repeat(range(3), 3))
        mean = embeddings["one"].mean(axis=0)
        np.testing.assert_allclose(
            values[_CLASSES + "weights"][0, 0, :, 1], mean / np.linalg.norm(mean), rtol=1e-5
        )
        # All else is as it was.
        for name, value in self.values.items():
            if not name.startswith((_CLASSES, "MobilenetV1/Logits/Mul/")):
                np.testing.assert_array_equal(values[name], value, err_msg=name)

    def test_old_classes_stay_before_the_new(self):
        values, config = self.imprint(self.embeddings(), keep_classes=True)
        self.assertEqual(config.labels, (*self.labels, *_NAMES))
        # Except for the quanta of cosines and logits, whose ranges are wider.
        scale = float(values["MobilenetV1/Logits/scale_factor"])
        before = self.logits(self.values, self.config)
        after = self.logits(values, config)[:, :10]
        np.testing.assert_allclose(
            after.clip(before.min(), before.max()), before, atol=2 * scale / 128
        )
        self.assertGreater(np.ptp(before), 10 * scale / 128)
        weights = _CLASSES + "weights"
        np.testing.assert_array_equal(values[weights][..., :10], self.values[weights])
        with self.assertRaisesRegex(ValueError, "expected new classes, got one, which the check"):
            checkpoint_imprinting.imprint(
                values, config, config.labels, {"one": np.eye(1024)[:1]}, keep_classes=True
            )

    def test_ranges_fit_what_is_imprinted(self):
        vectors = np.random.default_rng(0).normal(size=[2, 1, 1024])
        vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
        found, _ = self.imprint({"a": vectors[0], "b": vectors[1]}, keep_classes=False)
        self.assertEqual(found.keys(), self.values.keys())
        for end, expected in (
            ("min", min(vectors.min(), -deployable.KERNEL_ROOM)),
            ("max", max(vectors.max(), deployable.KERNEL_ROOM)),
        ):
            self.assertAlmostEqual(found[f"{_CLASSES}weights_quant/{end}"], expected, places=6)
        self.assertEqual(found[_CLASSES + "act_quant/min"], -1)
        scale = float(self.values["MobilenetV1/Logits/scale_factor"])
        name = "MobilenetV1/Logits/Mul/activation_Mul_quant/max"
        self.assertAlmostEqual(found[name], scale * 127 / 128, places=4)

    def test_what_cannot_be_read_or_has_nothing_in_common(self):
        with open(self.paths[1], "wb") as file:
            file.write(b"bad")
        found, _, bad = checkpoint_imprinting.compute(self.values, self.config, self.paths)
        self.assertEqual(bad, {1: "it is not a JPEG, PNG, BMP, WebP or GIF image"})
        np.testing.assert_array_equal(found[1], 0)
        views, *_ = checkpoint_imprinting.compute(self.values, self.config, self.paths, views=2)
        self.assertEqual(views.shape, (9, 2, 1024))
        np.testing.assert_allclose(views[:, :1], found, atol=0.02)
        self.assertTrue(np.any(views[0, 0] != views[0, 1]))
        vectors = np.eye(1024)[:1] * [[1], [-1]]
        with self.assertRaisesRegex(ValueError, "got photos of a that have nothing in common"):
            self.imprint({"a": vectors}, keep_classes=False)


if __name__ == "__main__":
    absltest.main()
