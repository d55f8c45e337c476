"""Tests of published_head.py: published classifiers as networks of this project."""

import dataclasses
import functools
import os
import pathlib

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.deployment import deployable, published_head
from classification.nets import checkpoint_testing, factory, networks, variable_values
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from classification.nets.variable_names import limits
from imprinting.embedding.moments import Moments

_CLASSES = 5
_LITE = ModelConfig(
    network="efficientnet_lite0",
    image_size=32,
    num_classes=_CLASSES,
    quantize=True,
    labels=tuple("abcde"),
)
_MOBILENET = dataclasses.replace(_LITE, network="mobilenet_v1", depth_multiplier=0.25)
_MODELS = {"lite": _LITE, "mobilenet": _MOBILENET}
_STEM = "efficientnet-lite0/stem/conv2d/kernel"


def float_of(model: ModelConfig) -> ModelConfig:
    return dataclasses.replace(model, quantize=False)


def channels_of(model: ModelConfig) -> int:
    return 1280 if model.network == "efficientnet_lite0" else 256


def rows_of(model: ModelConfig, classes: int = _CLASSES) -> np.ndarray:
    random = np.random.default_rng(2)
    rows = random.normal(0, 0.05, [channels_of(model), classes]) * random.uniform(0.5, 2, classes)
    return rows.astype(np.float32)


@functools.cache
def base(network: str, *, ranges: bool) -> dict[str, np.ndarray]:
    """Random values of a base, with which the features depend on the image."""
    model = next(m for m in _MODELS.values() if m.network == network)
    random = np.random.default_rng(1)
    values = {}
    for variable in deployable.variables(model if ranges else float_of(model)):
        name, shape = variable.op.name, variable.shape.as_list()
        if name.startswith(networks.get(network).names.head):
            continue
        if name.endswith("/min"):
            value = np.full(shape, -3.0 if "weights" in name else 0.0)
        elif name.endswith("/max"):
            value = np.full(shape, 3.0 if "weights" in name else 6.0)
        elif name.endswith(("kernel", "weights")):
            fan_in = np.prod(shape[:2]) * (1 if "depthwise" in name else shape[2])
            value = random.normal(0, np.sqrt(2 / fan_in), shape)
        elif name.endswith(("/gamma", "/moving_variance")):
            value = random.uniform(0.8, 1.2, shape)
        else:
            value = random.normal(0, 0.1, shape)
        values[name] = np.asarray(value, np.float32)
    return values


def photos(count: int) -> np.ndarray:
    random = np.random.default_rng(3)
    colours = random.integers(0, 256, [count, 1, 1, 3])
    return np.clip(colours + random.integers(-60, 60, [count, 32, 32, 3]), 0, 255).astype(np.uint8)


def run(values: dict[str, np.ndarray], model: ModelConfig) -> dict[str, np.ndarray]:
    """End points for some photos."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        end_points = factory.build(tf.constant((photos(8) - 128.0) / 128.0, tf.float32), model)
        variable_values.load(session, {v: values[v.op.name] for v in tf.global_variables()})
        names = ("Features", "Embedding", "Logits")
        return session.run({name: end_points[name] for name in names})


class PublishedHeadTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.create_tempdir().full_path, "published")

    def write(self, model: ModelConfig, changed: dict | None = None) -> Checkpoint:
        """Writes a published classifier with the values in `changed` replaced or left out."""
        published = networks.get(model.network).published
        rows = rows_of(model)
        if published.has_ranges:
            rows = rows[np.newaxis, np.newaxis]
        values = {
            **base(model.network, ranges=published.has_ranges and model.quantize),
            published.kernel: rows,
            published.biases: np.linspace(-0.1, 0.1, _CLASSES).astype(np.float32),
            **(changed or {}),
        }
        values = {name: value for name, value in values.items() if value is not None}
        deployable.write(self.folder, float_of(_LITE), values)
        return Checkpoint(os.path.join(self.folder, "model.ckpt"))

    @parameterized.product(model=tuple(_MODELS), quantize=(False, True), count=(0, 64))
    def test_computes_cosines_of_the_embedding(self, model, quantize, count):
        model = dataclasses.replace(_MODELS[model], quantize=quantize)
        checkpoint = self.write(model)
        self.assertTrue(published_head.is_published(checkpoint))
        read = published_head.read(checkpoint, model, photos(count) if count else None)
        wanted = {v.op.name: v.shape.as_list() for v in deployable.variables(model)}
        self.assertEqual({name: list(v.shape) for name, v in read.values.items()}, wanted)
        deployable.check_values(read.values, checkpoint)

        names = networks.get(model.network).names
        points = run(read.values, model)
        kernel, vectors = (
            read.values[name][0, 0].astype(np.float64)
            for name in (names.embedding_kernel, names.class_vectors)
        )
        self.assertEqual(np.count_nonzero(kernel - np.eye(*kernel.shape)) > 0, count > 0)
        embedded = points["Features"][:, 0, 0] @ kernel + read.values[names.embedding_biases]
        embedded /= np.linalg.norm(embedded, axis=1, keepdims=True)
        cosines = (points["Embedding"][:, 0, 0] * embedded).sum(axis=1)
        least = 0.97 if quantize else 0.9999
        if quantize and count and model.network == "mobilenet_v1":
            # These features vary so little that one scale for the entire kernel is coarse.
            least = 0.85
        self.assertGreater(cosines.min(), least)
        expected = read.values[names.scale_factor] * points["Embedding"][:, 0, 0] @ vectors
        np.testing.assert_allclose(points["Logits"], expected, atol=1.0 if quantize else 0.02)

    @parameterized.parameters(
        (0, "minus their mean, computed from batch norm. With 500 photos"),
        (59, "from batch norm; 59 photos are too few for more. With 500 photos"),
        (60, "features whitened by those of 60 photos."),
    )
    def test_says_what_it_did(self, count, expected):
        images = photos(count) if count else None
        read = published_head.read(self.write(_MOBILENET), _MOBILENET, images)
        self.assertIn(expected, read.description)
        self.assertIn("last layer (MobilenetV1/Logits/Conv2d_1c_1x1/weights)", read.description)
        names = networks.get("mobilenet_v1").names
        scale = float(read.values[names.scale_factor])
        self.assertIn(f"scale factor {scale:.1f}.", read.description)

    def test_equal_bytes(self):
        checkpoint = self.write(_MOBILENET)
        first, second = (
            published_head.read(checkpoint, _MOBILENET, photos(60)).values for _ in range(2)
        )
        for name, value in first.items():
            self.assertEqual(value.tobytes(), second[name].tobytes(), name)

    def test_made_of_its_values(self):
        made = published_head.make_values(
            base("efficientnet_lite0", ranges=False), rows_of(_LITE), _LITE, None
        )
        read = published_head.read_any_values(self.write(_LITE), _LITE)
        self.assertEqual(set(read), set(made))
        for name, value in read.items():
            self.assertEqual(value.tobytes(), made[name].tobytes(), name)
        # 49 kernels and as many results, 9 sums, and 5 ranges of the head.
        ranges = [name for name in made if name.endswith("_quant/max")]
        self.assertLen(ranges, 2 * 49 + 9 + 5)
        calibrate = networks.get("efficientnet_lite0").calibrate
        assert calibrate is not None
        for name, expected in calibrate(made).ranges.items():
            for limit, value in zip(limits(name), expected, strict=True):
                np.testing.assert_array_equal(made[limit], value)

    def test_made_with_moments(self):
        random = np.random.default_rng(0)
        moments = Moments.of(random.gamma(0.5, size=[100, 1280]))
        values = base("efficientnet_lite0", ranges=False)
        made = published_head.make_values(values, rows_of(_LITE), _LITE, moments)
        kernel = made[networks.get("efficientnet_lite0").names.embedding_kernel][0, 0]
        self.assertGreater(np.count_nonzero(kernel), 0.99 * 1280**2)

    def test_result_is_a_network_of_this_project(self):
        values = published_head.read_any_values(self.write(_LITE), _LITE)
        deployable.write(self.folder, _LITE, values)
        checkpoint = Checkpoint(os.path.join(self.folder, "model.ckpt"))
        self.assertFalse(published_head.is_published(checkpoint))
        again = published_head.read_any_values(checkpoint, _LITE)
        for name, value in values.items():
            np.testing.assert_array_equal(again[name], value)

    def test_another_number_of_classes(self):
        prefix = str(pathlib.Path(self.create_tempdir().full_path, "saved"))
        shapes = {n: list(v.shape) for n, v in base("efficientnet_lite0", ranges=False).items()}
        published = networks.get("efficientnet_lite0").published
        shapes |= {published.kernel: [1280, 4], published.biases: [4]}
        checkpoint_testing.save(prefix, shapes)
        with self.assertRaisesRegex(
            ValueError, f"of 5 classes, got one of 4 in {prefix}; give the right --num_classes"
        ):
            published_head.read(Checkpoint(prefix), _LITE)

    def test_incomplete_base(self):
        kernel = networks.get("efficientnet_lite0").published.kernel
        for name, value in ((_STEM, None), (_STEM, np.zeros([3, 3, 3, 8], np.float32))):
            with self.assertRaisesRegex(ValueError, f"(?s)does not hold all of it.*{_STEM}"):
                published_head.read(self.write(_LITE, {name: value}), _LITE)
        with self.assertRaisesRegex(ValueError, f"cannot be read as a checkpoint: .*{kernel}"):
            published_head.read(self.write(_LITE, {kernel: None}), _LITE)
        with self.assertRaisesRegex(ValueError, "it has no quantisation ranges"):
            published_head.read(self.write(float_of(_MOBILENET)), _MOBILENET)

    def test_values_that_are_not_finite(self):
        biases = networks.get("efficientnet_lite0").published.biases
        for name, shape in ((biases, [_CLASSES]), (_STEM, [3, 3, 3, 32])):
            value = np.full(shape, np.nan, np.float32)
            with self.assertRaisesRegex(ValueError, f"finite values in {name}, got NaN"):
                published_head.read(self.write(_LITE, {name: value}), _LITE)


if __name__ == "__main__":
    absltest.main()
