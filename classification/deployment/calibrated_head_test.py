"""Tests of calibrated_head.py: values of the head, and what the network computes with them."""

import dataclasses
import functools
import os
import pathlib

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.deployment import calibrated_head, deployable, published_head
from classification.nets import checkpoint_testing, factory, networks, variable_values
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from classification.nets.variable_names import limits

_CLASSES = 5
_QUANTISED = ModelConfig(
    network="efficientnet_lite0",
    image_size=32,
    num_classes=_CLASSES,
    quantize=True,
    labels=tuple("abcde"),
)
_FLOAT = dataclasses.replace(_QUANTISED, quantize=False)
_NETWORK = networks.get("efficientnet_lite0")
_NAMES = _NETWORK.names
_KERNEL = "efficientnet-lite0/head/dense/kernel"
_BIASES = "efficientnet-lite0/head/dense/bias"
_STEM = "efficientnet-lite0/stem/conv2d/kernel"


@functools.cache
def base_shapes() -> dict[str, list[int]]:
    shapes = {v.op.name: v.shape.as_list() for v in deployable.variables(_FLOAT)}
    return {name: shape for name, shape in shapes.items() if not name.startswith(_NAMES.head)}


@functools.cache
def base() -> dict[str, np.ndarray]:
    """Random values of the base, with which the features depend on the image."""
    random = np.random.default_rng(1)
    values = {}
    for name, shape in base_shapes().items():
        if name.endswith("kernel"):
            fan_in = np.prod(shape[:2]) * (1 if "depthwise" in name else shape[2])
            value = random.normal(0, np.sqrt(2 / fan_in), shape)
        elif name.endswith(("/gamma", "/moving_variance")):
            value = random.uniform(0.8, 1.2, shape)
        else:
            value = random.normal(0, 0.1, shape)
        values[name] = value.astype(np.float32)
    return values


def random_rows(classes: int = _CLASSES) -> np.ndarray:
    """The kernel of a last layer, whose rows have different lengths, float32 [1280, classes]."""
    random = np.random.default_rng(2)
    rows = random.normal(0, 0.05, [1280, classes]) * random.uniform(0.5, 2.0, classes)
    return rows.astype(np.float32)


@functools.cache
def made(model: ModelConfig) -> dict[str, np.ndarray]:
    return calibrated_head.make_values(base(), random_rows(), model)


def mean_features() -> np.ndarray:
    assert _NETWORK.calibrate is not None
    return _NETWORK.calibrate(base()).mean_features


class MakeValuesTest(parameterized.TestCase):
    def range_of(self, name: str) -> tuple[np.ndarray, ...]:
        return tuple(made(_QUANTISED)[limit] for limit in limits(name))

    @parameterized.parameters(_FLOAT, _QUANTISED)
    def test_are_those_of_the_networks_variables(self, model):
        values = made(model)
        shapes = {v.op.name: v.shape.as_list() for v in deployable.variables(model)}
        self.assertEqual({name: list(value.shape) for name, value in values.items()}, shapes)
        self.assertEqual({value.dtype for value in values.values()}, {np.dtype(np.float32)})
        deployable.check_values(values, Checkpoint("made"))
        for name, value in base().items():
            np.testing.assert_array_equal(values[name], value)
        # 49 kernels and as many results, 9 sums, and 5 ranges of the head.
        ranges = [name for name in values if name.endswith("_quant/max")]
        self.assertLen(ranges, (2 * 49 + 9 + 5) * model.quantize)

    def test_class_vectors_are_rows_of_unit_length(self):
        vectors = made(_QUANTISED)[_NAMES.class_vectors][0, 0]
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), np.ones(_CLASSES), rtol=1e-5)
        lengths = np.linalg.norm(random_rows(), axis=0)
        self.assertGreater(lengths.max() / lengths.min(), 1.5)
        np.testing.assert_allclose(vectors * lengths, random_rows(), rtol=1e-5, atol=1e-9)
        np.testing.assert_array_equal(made(_QUANTISED)[_NAMES.class_biases], np.zeros(_CLASSES))

    def test_embedding_is_features_minus_their_mean(self):
        values = made(_QUANTISED)
        np.testing.assert_array_equal(values[_NAMES.embedding_kernel][0, 0], np.eye(1280))
        mean = mean_features()
        self.assertGreater(np.ptp(mean), 0.1)
        np.testing.assert_allclose(-values[_NAMES.embedding_biases], mean, atol=5.1e-5)

    def test_scale_factor(self):
        self.assertEqual(made(_FLOAT)[_NAMES.scale_factor], 46)
        self.assertEqual(made(_QUANTISED)[_NAMES.scale_factor], 46)

    def test_ranges(self):
        low, high = self.range_of(_NAMES.embedding_kernel_range)
        np.testing.assert_array_equal(low, np.full(1280, -1.0))
        np.testing.assert_array_equal(high, np.ones(1280))
        mean = mean_features()
        np.testing.assert_allclose(
            self.range_of(_NAMES.embedding_input_range), (-mean.max(), 6 - mean.min()), atol=6e-5
        )
        # There is room for imprinted classes.
        self.assertEqual(self.range_of(_NAMES.class_vectors_range), (-0.5, 0.5))
        self.assertEqual(self.range_of(_NAMES.cosines_range), (-0.5, 0.5))
        self.assertEqual(self.range_of(_NAMES.logits_range), (-23, 23))

    def test_ranges_of_the_base_are_calibrated(self):
        assert _NETWORK.calibrate is not None
        ranges = _NETWORK.calibrate(base()).ranges
        self.assertIn(_NETWORK.features_range, ranges)
        for name, expected in ranges.items():
            for found, limit in zip(self.range_of(name), expected, strict=True):
                np.testing.assert_array_equal(found, limit)

    def test_range_of_large_components(self):
        rows = np.full([1280, 3], 1e-3, np.float32)
        rows[7, 0], rows[8, 1] = 5, -3
        model = dataclasses.replace(
            _QUANTISED, num_classes=3, labels=None, learned_embedding_range=True
        )
        values = calibrated_head.make_values(base(), rows, model)
        low, high = (values[limit] for limit in limits(_NAMES.class_vectors_range))
        vectors = values[_NAMES.class_vectors]
        self.assertEqual((low, high), (vectors.min(), vectors.max()))
        self.assertLess(low, -0.9)
        self.assertGreater(high, 0.9)
        # A network with a range in variables also gets that of a .tflite.
        found = [values[limit] for limit in limits(_NAMES.embedding_range)]
        self.assertEqual(found, [-1, 127 / 128])


class NetworkTest(absltest.TestCase):
    def test_computes_cosines_of_centred_features(self):
        random = np.random.default_rng(3)
        images = random.uniform(-0.8, 0.8, [8, 1, 1, 3]) + random.uniform(-0.2, 0.2, [8, 32, 32, 3])
        values = made(_FLOAT)
        with tf.Graph().as_default(), tf.Session() as session:
            end_points = factory.build(tf.constant(images, tf.float32), _FLOAT)
            variables = tf.global_variables()
            variable_values.load(session, {v: values[v.op.name] for v in variables})
            names = ("AvgPool_1a", "Embedding", "Logits")
            features, embedding, logits = session.run([end_points[name] for name in names])
        self.assertGreater(features.std(axis=0).max(), 0.01)
        centred = features[:, 0, 0] - mean_features()
        expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        np.testing.assert_allclose(embedding[:, 0, 0], expected, atol=1e-4)
        rows = random_rows() / np.linalg.norm(random_rows(), axis=0)
        np.testing.assert_allclose(logits, 46 * expected @ rows, atol=5e-3)


class ReadValuesTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.create_tempdir().full_path, "published")

    def write(self, changed: dict[str, np.ndarray | None]) -> Checkpoint:
        """Writes a published classifier with the values in `changed` replaced or left out."""
        values = base() | {_KERNEL: random_rows(), _BIASES: np.zeros(_CLASSES, np.float32)}
        values = {n: v for n, v in (values | changed).items() if v is not None}
        deployable.write(self.folder, _FLOAT, values)
        return Checkpoint(os.path.join(self.folder, "model.ckpt"))

    def test_equals_values_made_of_its_parts(self):
        checkpoint = self.write({})
        self.assertTrue(published_head.is_published(checkpoint))
        for read, model in (
            (calibrated_head.read_values, _FLOAT),
            (published_head.read_any_values, _QUANTISED),
        ):
            values = read(checkpoint, model)
            self.assertEqual(set(values), set(made(model)))
            for name, value in values.items():
                self.assertEqual(value.tobytes(), made(model)[name].tobytes(), name)
        self.assertIn(f"({_KERNEL}), without", published_head.describe(values, _QUANTISED))

    def test_result_is_a_network_of_this_project(self):
        deployable.write(self.folder, _QUANTISED, made(_QUANTISED))
        checkpoint = Checkpoint(os.path.join(self.folder, "model.ckpt"))
        self.assertFalse(published_head.is_published(checkpoint))
        read = published_head.read_any_values(checkpoint, _QUANTISED)
        for name, value in made(_QUANTISED).items():
            np.testing.assert_array_equal(read[name], value)

    def test_another_number_of_classes(self):
        prefix = str(pathlib.Path(self.create_tempdir().full_path, "saved"))
        checkpoint_testing.save(prefix, base_shapes() | {_KERNEL: [1280, 4], _BIASES: [4]})
        with self.assertRaisesRegex(
            ValueError, f"of 5 classes, got one of 4 in {prefix}; give the right --num_classes"
        ):
            calibrated_head.read_values(Checkpoint(prefix), _QUANTISED)

    def test_incomplete_base(self):
        for name, value in ((_STEM, None), (_STEM, np.zeros([3, 3, 3, 8], np.float32))):
            with self.assertRaisesRegex(ValueError, f"(?s)does not hold all of it.*{_STEM}"):
                calibrated_head.read_values(self.write({name: value}), _QUANTISED)
        with self.assertRaisesRegex(ValueError, f"cannot be read as a checkpoint: .*{_KERNEL}"):
            calibrated_head.read_values(self.write({_KERNEL: None}), _QUANTISED)

    def test_base_of_another_type(self):
        with self.assertRaisesRegex(ValueError, f"expected {_STEM} to be float32, got float64"):
            calibrated_head.read_values(self.write({_STEM: np.zeros([3, 3, 3, 32])}), _FLOAT)

    @parameterized.parameters((_KERNEL, np.nan), (_STEM, np.inf))
    def test_values_that_are_not_finite(self, name, value):
        values = (base() | {_KERNEL: random_rows()})[name].copy()
        values.flat[5] = value
        with self.assertRaisesRegex(ValueError, f"finite values in {name}, got NaN or infinity"):
            calibrated_head.read_values(self.write({name: values}), _QUANTISED)


if __name__ == "__main__":
    absltest.main()
