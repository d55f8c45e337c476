"""Tests of published_head.py: the network ranks classes as the published classifier does."""

import os

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.deployment import published_head
from classification.nets import factory, variable_values
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig

_HEAD = "MobilenetV1/Logits/"
_CHANNELS = 256
_CLASSES = 7


def config(*, quantize: bool, num_classes: int = _CLASSES) -> ModelConfig:
    return ModelConfig(
        image_size=32, depth_multiplier=0.25, num_classes=num_classes, quantize=quantize
    )


def random_logits(channels: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of different lengths, and biases."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=[channels, num_classes]) * rng.uniform(0.5, 2.0, num_classes)
    return weights.astype(np.float32), rng.normal(size=num_classes).astype(np.float32)


def random_features(channels: int) -> np.ndarray:
    features = np.random.default_rng(1).gamma(0.5, size=[50, channels])
    return features.astype(np.float32)


def centred(logits: np.ndarray) -> np.ndarray:
    """The logits without the part that all classes share."""
    return logits - logits.mean(axis=1, keepdims=True)


class MakeHeadTest(parameterized.TestCase):
    def logits_of(self, head: published_head.Head, features: np.ndarray) -> np.ndarray:
        embedding = features @ head.kernel + head.biases
        self.assertEqual(embedding.shape, (len(features), 1024))
        return embedding @ head.class_vectors * head.length

    @parameterized.parameters(256, 768, 1022)
    def test_exact_where_channels_are_free(self, channels):
        weights, biases = random_logits(channels, 9)
        head = published_head.make_head(weights, biases, constant=6.0)
        np.testing.assert_allclose(np.linalg.norm(head.class_vectors, axis=0), 1, rtol=1e-5)
        features = random_features(channels)
        np.testing.assert_allclose(
            centred(self.logits_of(head, features)),
            centred(features @ weights + biases),
            atol=1e-3,
        )
        embedding = features @ head.kernel + head.biases
        np.testing.assert_array_equal(embedding[:, :channels], features)
        np.testing.assert_array_equal(embedding[:, channels], 6)

    @parameterized.parameters(1023, 1024)
    def test_nearly_and_without_biases_elsewhere(self, channels):
        weights, biases = random_logits(channels, 9)
        head = published_head.make_head(weights, biases, constant=6.0)
        np.testing.assert_array_equal(head.biases, 0)
        features = random_features(channels)
        published = centred(features @ weights)
        error = centred(self.logits_of(head, features)) - published
        self.assertLess(error.std(), 0.02 * published.std())
        # Normalising the class vectors alone would lose their lengths.
        lengths = np.linalg.norm(weights, axis=0)
        plain = centred(features @ (weights / lengths)) * lengths.mean()
        self.assertGreater((plain - published).std(), 0.2 * published.std())

    def test_more_channels_than_the_embedding_has(self):
        with self.assertRaisesRegex(ValueError, "at most 1024 channels, .* got one on 1025"):
            published_head.make_head(*random_logits(1025, 3), constant=6.0)


class PublishedTest(parameterized.TestCase):
    """Tests with checkpoints of a random base and a classifier in tf-slim's form."""

    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.weights, self.biases = random_logits(_CHANNELS, _CLASSES)

    def write(self, *, quantize: bool, changed: dict[str, np.ndarray] | None = None) -> str:
        """Writes a checkpoint with the values in `changed` replaced; returns its prefix."""
        logits = {
            _HEAD + "Conv2d_1c_1x1/weights": self.weights[np.newaxis, np.newaxis],
            _HEAD + "Conv2d_1c_1x1/biases": self.biases,
        }
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(1)
            size = tf.placeholder(tf.float32, [1, 32, 32, 3])
            factory.build(size, config(quantize=quantize))
            saved = [v for v in tf.global_variables() if not v.op.name.startswith(_HEAD)]
            for name, value in (logits | (changed or {})).items():
                saved = [v for v in saved if v.op.name != name]
                if value is not None:
                    saved.append(tf.Variable(value, name=name))
            saver = tf.train.Saver({v.op.name.removesuffix("_1"): v for v in saved})
            session.run(tf.global_variables_initializer())
            return saver.save(session, os.path.join(self.folder, "slim"), write_meta_graph=False)

    def run_network(self, values: dict[str, np.ndarray], model: ModelConfig) -> dict:
        """End points for images of different brightness."""
        images = np.random.default_rng(0).uniform(-1, 1, [20, 32, 32, 3])
        images *= np.linspace(0.1, 1, 20)[:, np.newaxis, np.newaxis, np.newaxis]
        with tf.Graph().as_default(), tf.Session() as session:
            end_points = factory.build(tf.constant(images, tf.float32), model)
            variables = tf.global_variables()
            self.assertCountEqual([v.op.name for v in variables], values)
            variable_values.load(session, {v: values[v.op.name] for v in variables})
            return session.run(
                {name: end_points[name] for name in ("AvgPool_1a", "Logits", "Embedding")}
            )

    def test_which_are_published(self):
        self.assertTrue(published_head.is_published(Checkpoint(self.write(quantize=False))))
        ours = {_HEAD + "Conv2d_1d_1x1_normalize/weights": np.float32(0)}
        self.assertFalse(
            published_head.is_published(Checkpoint(self.write(quantize=False, changed=ours)))
        )
        none = {_HEAD + "Conv2d_1c_1x1/weights": None}
        self.assertFalse(
            published_head.is_published(Checkpoint(self.write(quantize=False, changed=none)))
        )

    @parameterized.parameters(False, True)
    def test_the_network_ranks_as_the_classifier(self, quantize):
        model = config(quantize=quantize)
        values = published_head.read_values(Checkpoint(self.write(quantize=quantize)), model)
        self.assertEqual({value.dtype for value in values.values()}, {np.dtype(np.float32)})
        points = self.run_network(values, model)
        features = points["AvgPool_1a"][:, 0, 0, :]
        published = centred(features @ self.weights + self.biases)
        ours = centred(points["Logits"])
        # The one factor that differs from image to image is the embedding's length.
        factors = (ours * published).sum(axis=1) / (published**2).sum(axis=1)
        self.assertBetween(factors.mean(), 0.5, 2.0)
        error = ours / factors[:, np.newaxis] - published
        self.assertLess(np.abs(error).max(), (0.2 if quantize else 1e-3) * published.std())
        self.assertEqual(values[_HEAD + "Conv2d_1d_1x1_normalize/biases"].any(), False)

    def test_ranges(self):
        values = published_head.read_values(
            Checkpoint(self.write(quantize=True)), config(quantize=True)
        )

        def range_of(name: str) -> tuple[float, float]:
            return values[f"{_HEAD}{name}/min"], values[f"{_HEAD}{name}/max"]

        self.assertEqual(range_of("Conv2d_1c_1x1_negative/weights_quant"), (0, 1))
        self.assertEqual(range_of("Conv2d_1c_1x1_negative/act_quant"), (0, 6))
        kernel = values[_HEAD + "Conv2d_1d_1x1_normalize/weights"]
        self.assertEqual(
            range_of("Conv2d_1d_1x1_normalize/weights_quant"), (kernel.min(), kernel.max())
        )
        cosines = range_of("Conv2d_1d_1x1_normalize/act_quant")
        scale = values[_HEAD + "scale_factor"]
        np.testing.assert_allclose(
            range_of("Mul/activation_Mul_quant"), np.multiply(cosines, scale), rtol=1e-5
        )
        for low, high in (cosines, range_of("Mul/activation_Mul_quant")):
            self.assertBetween(0, low, high)

    def test_equal_bytes(self):
        prefix = self.write(quantize=True)
        first, second = (
            published_head.read_values(Checkpoint(prefix), config(quantize=True)) for _ in range(2)
        )
        for name, value in first.items():
            self.assertEqual(value.tobytes(), second[name].tobytes(), name)

    def test_description(self):
        values = {_HEAD + "scale_factor": np.float32(12.34)}
        self.assertIn(
            "last layer (MobilenetV1/Logits/Conv2d_1c_1x1/weights), without training; scale factor "
            "12.3.",
            published_head.describe(values, config(quantize=True)),
        )

    def test_another_number_of_classes(self):
        prefix = self.write(quantize=False)
        with self.assertRaisesRegex(ValueError, f"of 8 classes, got one of 7 in {prefix}; .*--num"):
            published_head.read_values(Checkpoint(prefix), config(quantize=False, num_classes=8))

    def test_incomplete_base(self):
        missing = {"MobilenetV1/Conv2d_0/weights": None}
        with self.assertRaisesRegex(ValueError, "(?s)does not hold all of it.*Conv2d_0/weights"):
            published_head.read_values(
                Checkpoint(self.write(quantize=False, changed=missing)), config(quantize=False)
            )
        with self.assertRaisesRegex(ValueError, "it has no quantisation ranges"):
            published_head.read_values(
                Checkpoint(self.write(quantize=False)), config(quantize=True)
            )

    def test_values_that_are_not_finite(self):
        bad = {_HEAD + "Conv2d_1c_1x1/biases": np.full(_CLASSES, np.nan, np.float32)}
        with self.assertRaisesRegex(ValueError, "finite values in .*1c_1x1/biases, got NaN"):
            published_head.read_values(
                Checkpoint(self.write(quantize=False, changed=bad)), config(quantize=False)
            )


if __name__ == "__main__":
    absltest.main()
