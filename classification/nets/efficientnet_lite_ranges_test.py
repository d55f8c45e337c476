"""Tests of efficientnet_lite_ranges.py: ranges and means, by hand and from the network's graph."""

import functools

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import (
    efficientnet_lite,
    efficientnet_lite_blocks,
    efficientnet_lite_ranges,
    l2norm_network,
    variable_values,
)
from classification.nets.fake_quant import LEAST_MAGNITUDE, Quantization

_NETWORK = efficientnet_lite.NETWORKS[0]
_VARIANT = efficientnet_lite_blocks.VARIANTS[0]
_SCOPE = "efficientnet-lite0/"
_HEAD = "efficientnet-lite0/Logits/"
_PER_CHANNEL = "FakeQuantWithMinMaxVarsPerChannel"


def build():
    """Builds the quantised network in the default graph."""
    images = tf.placeholder(tf.float32, [1, 32, 32, 3])
    l2norm_network.l2norm_network(_NETWORK, images, 3, quantization=Quantization(per_channel=True))


@functools.cache
def base_shapes():
    """The shapes of the variables of the quantised network's base, by name."""
    with tf.Graph().as_default():
        build()
        return {
            v.op.name: v.shape.as_list()
            for v in tf.global_variables()
            if not v.op.name.startswith(_HEAD)
        }


def start_values():
    """The base's variables before training: kernels of 0, mean 0 and variance 1 of each channel."""
    ones = ("/gamma", "/moving_variance")
    return {
        name: np.full(shape, name.endswith(ones), np.float32)
        for name, shape in base_shapes().items()
        if "_quant/" not in name
    }


def random_values():
    """Values as training may give them."""
    random = np.random.default_rng(1)
    values = {}
    for name, value in start_values().items():
        drawn = random.normal(0, 0.5, value.shape)
        if name.endswith("/moving_variance"):
            drawn = np.exp(drawn)
        values[name] = drawn.astype(np.float32)
    return values


def calibrate(values):
    return efficientnet_lite_ranges.calibrate(values, variant=_VARIANT)


class FeaturesTest(parameterized.TestCase):
    def means(self, beta, gamma):
        """The means of features with these parameters of batch norm."""
        values = start_values()
        for name, numbers in (("beta", beta), ("gamma", gamma)):
            part = values[f"{_SCOPE}head/tpu_batch_normalization/{name}"]
            part[: len(numbers)] = numbers
        mean = calibrate(values).mean_features
        self.assertEqual((mean.shape, mean.dtype), ((1280,), np.float64))
        return mean[: len(beta)]

    @parameterized.parameters(
        # Half of the values are 0, and the others have the mean 2 / sqrt(2 pi).
        (0.0, 1.0, 1 / np.sqrt(2 * np.pi)),
        (0.0, 0.5, 0.5 / np.sqrt(2 * np.pi)),
        # In the middle between the limits.
        (3.0, 0.1, 3.0),
        (3.0, 5.0, 3.0),
        # Far from the limits, and outside them.
        (2.0, 0.125, 2.0),
        (-9.0, 1.0, 0.0),
        (20.0, 2.0, 6.0),
        # Always the same value.
        (1.5, 0.0, 1.5),
        (-1.5, 0.0, 0.0),
        (7.0, 0.0, 6.0),
    )
    def test_closed_cases(self, beta, gamma, expected):
        for sign in (1, -1):
            np.testing.assert_allclose(self.means([beta], [sign * gamma]), [expected], atol=1e-7)

    def test_relu6_is_symmetric(self):
        beta, gamma = np.linspace(-8, 14, 23), np.geomspace(0.1, 10, 23)
        # 6 minus a Relu6 is that of 6 minus the value.
        np.testing.assert_allclose(
            self.means(beta, gamma), 6 - self.means(6 - beta, gamma), atol=1e-6
        )

    def test_equals_samples(self):
        beta = np.array([-2.0, -0.5, 0.0, 1.0, 3.0, 5.5, 7.0])
        gamma = np.array([1.0, 0.3, -2.0, 4.0, 1.5, 0.5, -3.0])
        samples = np.random.default_rng(1).normal(size=[200_000, 1])
        expected = np.clip(beta + gamma * samples, 0, 6).mean(axis=0)
        # The standard error of the mean is below 0.007.
        np.testing.assert_allclose(self.means(beta, gamma), expected, atol=0.03)


class ActivationsTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.values = start_values()

    def set(self, block, norm, *, beta, gamma):
        """Sets batch norm's parameters of the first channels."""
        for name, numbers in (("beta", beta), ("gamma", gamma)):
            part = self.values[f"{_SCOPE}blocks_{block}/tpu_batch_normalization_{norm}/{name}"]
            part[: len(numbers)] = numbers

    def check(self, expected):
        ranges = calibrate(self.values).ranges
        for name, limits in expected.items():
            found = ranges[f"{_SCOPE}{name}/act_quant"]
            self.assertEqual([(x.shape, x.dtype) for x in found], 2 * [((), np.float32)])
            np.testing.assert_allclose(found, limits, rtol=1e-6, err_msg=name)

    def test_relu6(self):
        self.set(1, 1, beta=[-9.0, 2.0], gamma=[5.0])
        names = ("stem/conv2d", "head/conv2d", "blocks_0/depthwise_conv2d", "blocks_1/conv2d")
        self.check(dict.fromkeys([*names, "blocks_1/depthwise_conv2d"], (0.0, 6.0)))

    def test_sums_along_the_blocks(self):
        # Each block adds a variance of 1; four standard deviations are the range.
        projections = {f"blocks_{i}/conv2d_1": (-4.0, 4.0) for i in range(1, 16)}
        counts = {2: 2, 4: 2, 6: 2, 7: 3, 9: 2, 10: 3, 12: 2, 13: 3, 14: 4}
        sums = {f"blocks_{i}/add": np.multiply((-4, 4), np.sqrt(n)) for i, n in counts.items()}
        self.check({"blocks_0/conv2d": (-4.0, 4.0), **projections, **sums})

    def test_channels_with_the_least_and_the_greatest_value(self):
        # In two channels of blocks 5 to 7; the others have the mean 0 and the deviation 1.
        self.set(5, 2, beta=[1.0, -2.0], gamma=[0.5, 2.0])
        self.set(6, 2, beta=[10.0, 0.0], gamma=[-1.0, 1.5])
        self.set(7, 2, beta=[-1.0, 30.0], gamma=[2.0, 0.0])
        self.check(
            {
                "blocks_5/conv2d_1": (-2 - 4 * 2, -2 + 4 * 2),
                "blocks_6/conv2d_1": (-4 * 1.5, 10 + 4),
                "blocks_6/add": (-2 - 4 * 2.5, 11 + 4 * np.sqrt(1.25)),
                "blocks_7/conv2d_1": (-1 - 4 * 2, 30),
                "blocks_7/add": (-4 * np.sqrt(3), 28 + 4 * 2.5),
                # The next block begins a sum of its own.
                "blocks_8/conv2d_1": (-4.0, 4.0),
                "blocks_9/add": (-4 * np.sqrt(2), 4 * np.sqrt(2)),
            }
        )

    @parameterized.parameters((100.0, (0.0, 104.0)), (-100.0, (-104.0, 0.0)))
    def test_ranges_contain_zero(self, beta, limits):
        self.set(0, 1, beta=[beta] * 16, gamma=[])
        self.check({"blocks_0/conv2d": limits})


class GraphTest(absltest.TestCase):
    def test_ranges_are_those_of_the_quantised_base(self):
        found = calibrate(random_values()).ranges
        shapes = {
            f"{n}/{s}": list(x.shape)
            for n, r in found.items()
            for s, x in zip(("min", "max"), r, strict=True)
        }
        self.assertEqual(shapes, {n: s for n, s in base_shapes().items() if "_quant/" in n})
        self.assertLen(found, 2 * 49 + 9)
        self.assertIn(_NETWORK.features_range, found)

    def test_kernels_have_the_range_of_their_values(self):
        values = random_values()
        # A channel of zeros also needs a scale.
        values[_SCOPE + "stem/conv2d/kernel"][..., 5] = 0.0
        found = calibrate(values).ranges
        config = tf.ConfigProto()
        # TensorFlow's optimiser replaces g / sqrt(v) by g rsqrt(v), which is not rounded correctly.
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        with tf.Graph().as_default() as graph, tf.Session(config=config) as session:
            build()
            nodes = {
                op.name.removesuffix("/" + _PER_CHANNEL): op.inputs[0]
                for op in graph.get_operations()
                if op.type == _PER_CHANNEL and not op.name.startswith(_HEAD)
            }
            variable_values.load(
                session,
                {v: values[v.op.name] for v in tf.global_variables() if v.op.name in values},
            )
            kernels = session.run(nodes)
        self.assertLen(kernels, 49)
        for name, kernel in kernels.items():
            low, high = found[name]
            axes = tuple(range(kernel.ndim - 1))
            expected = np.maximum(np.abs(kernel).max(axis=axes), np.float32(LEAST_MAGNITUDE))
            np.testing.assert_array_equal(high, expected, err_msg=name)
            np.testing.assert_array_equal(low, -expected, err_msg=name)
            self.assertGreater(np.ptp(high), 0.1, name)
        self.assertEqual(found[_SCOPE + "stem/conv2d/weights_quant"][1][5], np.float32(1e-6))


if __name__ == "__main__":
    absltest.main()
