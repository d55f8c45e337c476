"""Tests of l2norm_network.py: shapes, trained variables, and results of the head."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import l2norm_network, mobilenet_v1, variable_values
from classification.nets.fake_quant import Quantization
from classification.nets.l2norm_network import TrainingOptions
from classification.nets.layers import Mode

_CLASSES = 7
_LABELS = [0, 1, 2, 0]
# Channels of Conv2d_0 and of each Conv2d_N_pointwise, for a depth multiplier of 1/4.
_DEPTHS = (8, 16, 32, 32, 64, 64, *(6 * (128,)), 256, 256)
_STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_HEAD = "MobilenetV1/Logits/"
_LEARNED = Quantization(learned_embedding_range=True)


def build(inputs, num_classes=_CLASSES, **options):
    if isinstance(inputs, int):
        inputs = tf.placeholder(tf.float32, [None, inputs, inputs, 3], "input")
    options = {"depth_multiplier": 0.25} | options
    return l2norm_network.l2norm_network(mobilenet_v1.NETWORK, inputs, num_classes, **options)


def start(session):
    """Sets variables to values with which the embedding depends on the image."""
    random = np.random.default_rng(1)
    session.run(tf.global_variables_initializer())
    values = {}
    for variable in tf.global_variables():
        name, shape = variable.op.name.split("/")[-1], variable.shape.as_list()
        if name == "gamma":
            values[variable] = random.uniform(4, 8, shape)
        elif name in ("beta", "moving_mean"):
            values[variable] = random.normal(0, 0.05, shape)
        elif variable.op.name.endswith("negative/biases"):
            values[variable] = random.normal(0, 0.1, shape)
        elif name == "scale_factor":
            values[variable] = 12.5
    variable_values.load(session, values)


def images(size, count=2):
    """Noisy images, each of a different colour, in [-1, 1]."""
    random = np.random.default_rng(2)
    colours = random.uniform(-0.8, 0.8, [count, 1, 1, 3])
    return (colours + random.uniform(-0.2, 0.2, [count, size, size, 3])).astype(np.float32)


class _GraphTestCase(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(tf.Graph().as_default())
        self.session = self.enter_context(tf.Session())
        tf.train.create_global_step()


class VariablesTest(_GraphTestCase):
    def test_other_scope(self):
        build(32, quantization=Quantization(), scope="other")
        names = [v.op.name for v in tf.global_variables()]
        self.assertIn("other/Conv2d_0/weights", names)
        self.assertIn("other/other/Conv2d_0/act_quant/max", names)
        self.assertEmpty([name for name in names if "MobilenetV1" in name])

    @parameterized.parameters(None, Quantization(), _LEARNED)
    def test_reuse(self, quantization):
        inputs = tf.constant(images(32))
        first, _ = build(inputs, quantization=quantization)
        variables = tf.global_variables()
        second, _ = build(inputs, quantization=quantization, reuse=True)
        self.assertEqual(tf.global_variables(), variables)
        start(self.session)
        np.testing.assert_array_equal(*self.session.run([first, second]))

    def test_nothing_to_reuse(self):
        with self.assertRaisesRegex(ValueError, "does not exist"):
            build(32, reuse=True)


class TrainedTest(_GraphTestCase):
    def build(self, *, quantization=None, **options):
        return build(
            tf.constant(images(32, len(_LABELS))),
            quantization=quantization,
            training=TrainingOptions(**options),
        )

    @parameterized.parameters(None, Quantization())
    def test_every_trained_variable_has_a_gradient(self, quantization):
        logits, _ = self.build(quantization=quantization, dropout_keep_prob=1.0)
        loss = tf.losses.sparse_softmax_cross_entropy(_LABELS, logits)
        variables = tf.trainable_variables()
        gradients = tf.gradients(loss, variables)
        start(self.session)
        for variable, gradient in zip(variables, self.session.run(gradients), strict=True):
            self.assertTrue(np.all(np.isfinite(gradient)), variable.op.name)
            self.assertGreater(np.abs(gradient).max(), 0, variable.op.name)

    def test_known_embedding_range_stays(self):
        self.build(quantization=Quantization())
        limits = [v for v in tf.global_variables() if "Normalize_1a/" in v.op.name]
        self.assertLen(limits, 2)
        start(self.session)
        self.session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        self.assertEqual(self.session.run(limits), [-1.0, 127 / 128])

    @parameterized.parameters((Mode.TRAINING, 15), (Mode.FROZEN, 1))
    def test_weight_decay(self, base_mode, count):
        # With a frozen base, only the embedding's layer is decayed.
        self.build(base_mode=base_mode)
        start(self.session)
        decayed = [
            v
            for v in tf.trainable_variables()
            if v.op.name.endswith("/weights") and "normalize" not in v.op.name
        ]
        self.assertLen(decayed, count)
        self.assertLen(tf.losses.get_regularization_losses(), count)
        squares = [np.sum(value.astype(np.float64) ** 2) for value in self.session.run(decayed)]
        decay = self.session.run(tf.losses.get_regularization_loss())
        np.testing.assert_allclose(decay, 0.00004 * np.sum(squares) / 2, rtol=1e-5)

    @parameterized.parameters(
        (TrainingOptions(dropout_keep_prob=0.5), True),
        (TrainingOptions(dropout_keep_prob=1.0), False),
        (None, False),
    )
    def test_drops_only_in_training(self, training, drops):
        logits, _ = build(tf.constant(images(32)), training=training)
        start(self.session)
        difference = self.session.run(logits) - self.session.run(logits)
        self.assertEqual(np.abs(difference).max() > 0.01, drops)


class ShapesTest(_GraphTestCase):
    def check(self, size, multiplier, end_points):
        for i, depth in enumerate(_DEPTHS):
            size = -(-size // _STRIDES[i])
            channels = int(depth * 4 * multiplier)
            name = f"Conv2d_{i}_pointwise" if i else "Conv2d_0"
            self.assertEqual(end_points[name].shape.as_list(), [None, size, size, channels])
            if i:
                before = int(_DEPTHS[i - 1] * 4 * multiplier)
                shape = end_points[f"Conv2d_{i}_depthwise"].shape
                self.assertEqual(shape.as_list(), [None, size, size, before])
        self.assertEqual(end_points["AvgPool_1a"].shape.as_list(), [None, 1, 1, channels])
        for name in ("Normalize_1a", "Embedding"):
            self.assertEqual(end_points[name].shape.as_list(), [None, 1, 1, 1024])
        for name in ("Logits", "Predictions"):
            self.assertEqual(end_points[name].shape.as_list(), [None, _CLASSES])
        self.assertLen(end_points, 27 + 6)

    @parameterized.parameters(32, 33, 96, 128, 224, 240, 288)
    def test_image_sizes(self, size):
        self.check(size, 0.25, build(size)[1])

    @parameterized.parameters(0.25, 0.5, 0.75, 1.0)
    def test_depth_multipliers(self, multiplier):
        self.check(224, multiplier, build(224, depth_multiplier=multiplier)[1])

    def test_channels_are_at_least_eight(self):
        _, end_points = build(32, depth_multiplier=0.01)
        self.assertEqual(end_points["Conv2d_0"].shape[-1], 8)
        self.assertEqual(end_points["Conv2d_13_pointwise"].shape[-1], 10)

    @parameterized.parameters(0, None)
    def test_no_classes_returns_the_embedding(self, num_classes):
        embedding, end_points = build(32, num_classes)
        self.assertEqual(embedding.shape.as_list(), [None, 1, 1, 1024])
        self.assertIs(end_points["Embedding"], embedding)
        self.assertNotIn("Logits", end_points)
        head = [v.op.name for v in tf.global_variables() if v.op.name.startswith(_HEAD)]
        layer = _HEAD + "Conv2d_1c_1x1_negative/"
        self.assertCountEqual(head, [layer + "weights", layer + "biases"])


class NumbersTest(_GraphTestCase):
    def value(self, name):
        (variable,) = (v for v in tf.global_variables() if v.op.name == _HEAD + name)
        return self.session.run(variable)

    def test_head(self):
        _, end_points = build(tf.constant(images(64)))
        start(self.session)
        results = self.session.run(end_points)
        pooled = results["Conv2d_13_pointwise"].mean((1, 2))
        np.testing.assert_allclose(results["AvgPool_1a"][:, 0, 0], pooled, rtol=1e-5)
        # Otherwise the test would pass for any image.
        self.assertGreater(np.abs(pooled[0] - pooled[1]).max(), 0.1)
        embedding = pooled @ self.value("Conv2d_1c_1x1_negative/weights")[0, 0]
        embedding += self.value("Conv2d_1c_1x1_negative/biases")
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
        np.testing.assert_allclose(results["Embedding"][:, 0, 0], embedding, rtol=1e-4, atol=1e-6)
        self.assertLess(embedding.min(), -0.01)
        kernel = self.value("Conv2d_1d_1x1_normalize/weights")[0, 0]
        cosines = embedding @ (kernel / np.linalg.norm(kernel, axis=0))
        np.testing.assert_allclose(results["Logits"], 12.5 * cosines, rtol=1e-4, atol=1e-5)
        exponentials = np.exp(results["Logits"])
        np.testing.assert_allclose(
            results["Predictions"], exponentials / exponentials.sum(1, keepdims=True), rtol=1e-5
        )

    def test_initial_values(self):
        build(32)
        self.session.run(tf.global_variables_initializer())
        self.assertEqual(self.value("scale_factor"), 10.0)
        weights = self.value("Conv2d_1c_1x1_negative/weights")
        # A normal distribution truncated at two standard deviations has .880 of the deviation.
        self.assertBetween(np.abs(weights).max(), 0.179, 0.18)
        np.testing.assert_allclose(weights.std(), 0.88 * 0.09, rtol=0.01)
        limit = np.sqrt(6 / (1024 + _CLASSES))
        weights = np.abs(self.value("Conv2d_1d_1x1_normalize/weights"))
        self.assertBetween(weights.max(), 0.99 * limit, limit)

    def test_global_pool(self):
        inputs = tf.constant(images(96))
        logits, end_points = build(inputs)
        others, other_points = build(
            tf.placeholder_with_default(inputs, [None, None, None, 3]),
            global_pool=True,
            reuse=True,
        )
        start(self.session)
        np.testing.assert_allclose(*self.session.run([logits, others]), rtol=1e-4, atol=1e-5)
        pooled, expected, embedding = self.session.run(
            [other_points["global_pool"], end_points["AvgPool_1a"], other_points["Embedding"]]
        )
        np.testing.assert_allclose(pooled, expected, rtol=1e-5)
        self.assertEqual(embedding.shape, (2, 1, 1, 1024))
        np.testing.assert_allclose(np.linalg.norm(embedding, axis=-1), 1, rtol=1e-5)

    @parameterized.parameters((224, 7, 7), (240, 8, 7), (288, 9, 9))
    def test_pooling_window(self, size, feature_map, window):
        _, end_points = build(size, 0)
        feature_maps = np.random.default_rng(3).uniform(size=[1, feature_map, feature_map, 256])
        pooled = self.session.run(
            end_points["AvgPool_1a"], {end_points["Conv2d_13_pointwise"]: feature_maps}
        )
        expected = feature_maps[:, :window, :window].mean((1, 2), keepdims=True)
        np.testing.assert_allclose(pooled, expected, rtol=1e-5)

    def test_quantises_embedding_as_tflite(self):
        _, end_points = build(tf.constant(images(32)), quantization=Quantization())
        start(self.session)
        normalized, embedding = self.session.run(
            [end_points["Normalize_1a"], end_points["Embedding"]]
        )
        expected = np.clip(np.round(normalized * 128), -128, 127) / 128
        self.assertGreater(np.mean(embedding == expected), 0.99)
        np.testing.assert_allclose(embedding, expected, atol=1.01 / 128)

    def test_quantises_embedding_as_learned(self):
        _, end_points = build(tf.constant(images(32)), quantization=_LEARNED)
        start(self.session)
        low, high = (v for v in tf.global_variables() if "Normalize_1a" in v.op.name)
        variable_values.load(self.session, {low: -0.1, high: 0.155})
        normalized, embedding = self.session.run(
            [end_points["Normalize_1a"], end_points["Embedding"]]
        )
        expected = np.round(np.clip(normalized, -0.1, 0.155) * 1000) / 1000
        np.testing.assert_allclose(embedding, expected, atol=0.00101)
        self.assertGreater(np.mean(np.abs(embedding - expected) < 1e-5), 0.99)


class BadArgumentsTest(_GraphTestCase):
    @parameterized.parameters(
        ([32, 32, 3], {}, "got a tensor of rank 3"),
        (None, {}, "got a tensor of rank None"),
        ([1, 31, 32, 3], {}, "at least 32 x 32 pixels, got 31 x 32"),
        ([1, 32, 32, None], {}, "known number of channels"),
        ([1, None, None, 3], {}, "pass global_pool=True"),
        ([1, 32, 32, 3], {"depth_multiplier": 0}, "above 0, got 0"),
        ([1, 32, 32, 3], {"num_classes": -1}, "at least 0, got -1"),
    )
    def test_refuses(self, shape, options, message):
        with self.assertRaisesRegex(ValueError, message):
            build(tf.placeholder(tf.float32, shape), **options)

    @parameterized.parameters(
        ({"dropout_keep_prob": 0.0}, r"in \(0, 1\], got 0.0"),
        ({"dropout_keep_prob": 1.1}, r"in \(0, 1\], got 1.1"),
        ({"base_mode": Mode.INFERENCE}, "got INFERENCE; use FROZEN"),
    )
    def test_refuses_training_options(self, options, message):
        with self.assertRaisesRegex(ValueError, message):
            TrainingOptions(**options)


if __name__ == "__main__":
    absltest.main()
