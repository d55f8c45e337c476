"""Tests of mobilenet_v1_l2norm.py: names, shapes, and what the head computes."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification import mobilenet_v1_l2norm, variable_values
from classification.fake_quant import Quantization

_CLASSES = 7
# Of Conv2d_0 and of each Conv2d_N_pointwise, at a depth multiplier of 1/4.
_DEPTHS = (8, 16, 32, 32, 64, 64, *(6 * (128,)), 256, 256)
_STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_BASE = "MobilenetV1/"
_HEAD = "MobilenetV1/Logits/"
_LEARNED = Quantization(learned_embedding_range=True)


def build(inputs, num_classes=_CLASSES, *, is_training=False, quantization=None, **options):
    if isinstance(inputs, int):
        inputs = tf.placeholder(tf.float32, [None, inputs, inputs, 3], "input")
    options = {"depth_multiplier": 0.25} | options
    with mobilenet_v1_l2norm.mobilenet_v1_l2norm_arg_scope(
        is_training=is_training, quantization=quantization
    ):
        return mobilenet_v1_l2norm.mobilenet_v1_l2norm(inputs, num_classes, **options)


def _float_variables():
    """The contract's names and shapes."""
    shapes = {"MobilenetV1/Conv2d_0/weights": [3, 3, 3, 8]}
    for i in range(1, 14):
        before, after = _DEPTHS[i - 1 : i + 1]
        shapes[f"{_BASE}Conv2d_{i}_depthwise/depthwise_weights"] = [3, 3, before, 1]
        shapes[f"{_BASE}Conv2d_{i}_pointwise/weights"] = [1, 1, before, after]
    for name, shape in list(shapes.items()):
        channels = shape[-2] if "depthwise" in name else shape[-1]
        for part in ("beta", "gamma", "moving_mean", "moving_variance"):
            shapes[f"{name.rsplit('/', 1)[0]}/BatchNorm/{part}"] = [channels]
    return shapes | {
        _HEAD + "Conv2d_1c_1x1_negative/weights": [1, 1, 256, 1024],
        _HEAD + "Conv2d_1c_1x1_negative/biases": [1024],
        _HEAD + "Conv2d_1d_1x1_normalize/weights": [1, 1, 1024, _CLASSES],
        _HEAD + "Conv2d_1d_1x1_normalize/biases": [_CLASSES],
        _HEAD + "scale_factor": [],
    }


def _quantised_places(*, learned):
    """Scopes of the fake-quant nodes."""
    layers = ["MobilenetV1/MobilenetV1/Conv2d_0"]
    for i in range(1, 14):
        layers += [f"MobilenetV1/MobilenetV1/Conv2d_{i}_{kind}wise" for kind in ("depth", "point")]
    layers += [_HEAD + "Conv2d_1c_1x1_negative", _HEAD + "Conv2d_1d_1x1_normalize"]
    scopes = [f"{layer}/{kind}_quant" for layer in layers for kind in ("weights", "act")]
    scopes += [_HEAD + "Normalize_1a/activation_Mul_quant", _HEAD + "Mul/activation_Mul_quant"]
    return scopes if learned else [*scopes, _HEAD + "act_quant"]


def _quantised_variables(*, is_training, learned):
    shapes = _float_variables()
    constant = _HEAD + "Normalize_1a/activation_Mul_quant"
    for scope in _quantised_places(learned=True):
        for limit in ("min", "max"):
            if is_training or learned or scope != constant:
                shapes[f"{scope}/{limit}"] = []
            if is_training and (learned or scope != constant) and "weights" not in scope:
                for part in ("biased", "local_step"):
                    shapes[f"{scope}/{scope}/{limit}/{part}"] = []
    return shapes


def _shapes():
    return {
        v.op.name: v.shape.as_list() for v in tf.global_variables() if v.op.name != "global_step"
    }


def fake_quant_names():
    """Names of the graph's fake-quant nodes, in alphabetical order."""
    operations = tf.get_default_graph().get_operations()
    return sorted(op.name for op in operations if op.type == "FakeQuantWithMinMaxVars")


def start(session):
    """Variables such that the embedding depends on the image."""
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
    """Noise of another colour each, in [-1, 1]."""
    random = np.random.default_rng(2)
    colours = random.uniform(-0.8, 0.8, [count, 1, 1, 3])
    return (colours + random.uniform(-0.2, 0.2, [count, size, size, 3])).astype(np.float32)


class _GraphTestCase(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(tf.Graph().as_default())
        self.session = self.enter_context(tf.Session())
        tf.train.create_global_step()


class NamesTest(_GraphTestCase):
    @parameterized.parameters(True, False)
    def test_float_variables(self, is_training):
        build(32, is_training=is_training)
        self.assertEqual(_shapes(), _float_variables())

    @parameterized.product(is_training=[True, False], learned=[True, False])
    def test_quantised_variables(self, is_training, learned):
        quantization = Quantization(learned_embedding_range=learned)
        build(32, is_training=is_training, quantization=quantization)
        self.assertEqual(_shapes(), _quantised_variables(is_training=is_training, learned=learned))

    def test_trained_variables(self):
        build(32, is_training=True, quantization=Quantization())
        untrained = ("moving_mean", "moving_variance", "normalize/biases")
        expected = [name for name in _float_variables() if not name.endswith(untrained)]
        self.assertCountEqual([v.op.name for v in tf.trainable_variables()], expected)

    @parameterized.product(is_training=[True, False], learned=[True, False])
    def test_fake_quant_nodes(self, is_training, learned):
        build(
            32,
            is_training=is_training,
            quantization=Quantization(learned_embedding_range=learned),
            dropout_keep_prob=0.5,
        )
        # Dropout, in training alone, brings none.
        places = _quantised_places(learned=learned)
        expected = sorted(f"{place}/FakeQuantWithMinMaxVars" for place in places)
        self.assertEqual(fake_quant_names(), expected)

    def test_output_nodes(self):
        logits, end_points = build(32)
        self.assertEqual(logits.name, "MobilenetV1/Logits/SpatialSqueeze:0")
        self.assertIs(end_points["Logits"], logits)
        self.assertEqual(end_points["Predictions"].name, "MobilenetV1/Predictions/Reshape_1:0")

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
        self.assertLen(end_points, 27 + 5)

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
    def test_without_classes_there_is_the_embedding(self, num_classes):
        embedding, end_points = build(32, num_classes)
        self.assertEqual(embedding.shape.as_list(), [None, 1, 1, 1024])
        self.assertIs(end_points["Embedding"], embedding)
        self.assertNotIn("Logits", end_points)
        head = [name for name in _shapes() if name.startswith(_HEAD)]
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
        # Else the test would say nothing about the image.
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
        # A normal distribution cut off at two deviations has .880 of its deviation.
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

    def test_embedding_is_quantised_as_tflite_does(self):
        _, end_points = build(tf.constant(images(32)), quantization=Quantization())
        start(self.session)
        normalized, embedding = self.session.run(
            [end_points["Normalize_1a"], end_points["Embedding"]]
        )
        expected = np.clip(np.round(normalized * 128), -128, 127) / 128
        self.assertGreater(np.mean(embedding == expected), 0.99)
        np.testing.assert_allclose(embedding, expected, atol=1.01 / 128)

    def test_embedding_is_quantised_as_learned(self):
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
        ([1, None, None, 3], {}, "global_pool=True takes any"),
        ([1, 32, 32, 3], {"depth_multiplier": 0}, "above 0, got 0"),
        ([1, 32, 32, 3], {"num_classes": -1}, "at least 0, got -1"),
        ([1, 32, 32, 3], {"dropout_keep_prob": 0.0}, r"in \(0, 1\], got 0.0"),
        ([1, 32, 32, 3], {"dropout_keep_prob": 1.1}, r"in \(0, 1\], got 1.1"),
    )
    def test_value_error(self, shape, options, message):
        with self.assertRaisesRegex(ValueError, message):
            build(tf.placeholder(tf.float32, shape), **options)


if __name__ == "__main__":
    absltest.main()
