"""Tests of fake_quant.py: a range for each channel of a kernel, and quantised images."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import fake_quant, variable_values
from classification.nets.fake_quant import Quantization

_PER_CHANNEL = Quantization(per_channel=True)
_DELAYED = Quantization(per_channel=True, delay=2)
# A convolution's kernel and a depthwise one; both have five channels.
_SHAPES = {"conv": (3, 3, 2, 5), "depthwise": (3, 3, 5, 1)}


def kernel(kind, seed=1):
    """Random values, with a range of its own in each channel."""
    values = np.random.default_rng(seed).normal(size=[*_SHAPES[kind]])
    factors = np.geomspace(0.1, 10, 5)
    return (values * factors.reshape([5, 1] if kind == "depthwise" else [5])).astype(np.float32)


def by_channel(values):
    """The values of a kernel as [values, channels]."""
    return values.reshape([-1, 5])


def rounded(values, magnitudes):
    """The nearest of 255 levels that are symmetric around 0, of each channel of a kernel."""
    scale = np.asarray(magnitudes, np.float64) / 127
    flat = by_channel(values).astype(np.float64)
    return (np.clip(np.round(flat / scale), -127, 127) * scale).reshape(values.shape)


class _GraphTestCase(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(tf.Graph().as_default())
        tf.train.create_global_step()
        self.session = self.enter_context(tf.Session())

    def start(self):
        self.session.run(tf.global_variables_initializer())
        self.updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)

    def variable(self, name):
        (found,) = (v for v in tf.global_variables() if v.op.name == name)
        return found

    def set_step(self, step):
        variable_values.load(self.session, {self.variable("global_step"): step})


class WeightsTest(_GraphTestCase):
    def build(self, kind, *, is_training=True, quantization=_PER_CHANNEL):
        self.inputs = tf.placeholder(tf.float32, _SHAPES[kind])
        outputs = fake_quant.quantize_weights(
            self.inputs, "layer", quantization=quantization, is_training=is_training
        )
        self.assertEqual(outputs.shape.as_list(), [*_SHAPES[kind]])
        self.start()
        return outputs

    def run_step(self, outputs, values):
        return self.session.run([outputs, self.updates], {self.inputs: values})[0]

    def ranges(self):
        return self.session.run([self.variable(f"layer/weights_quant/{x}") for x in ("min", "max")])

    @parameterized.parameters(*_SHAPES)
    def test_each_channel_has_the_range_of_its_values(self, kind):
        outputs = self.build(kind)
        for seed in (1, 2):
            values = kernel(kind, seed)
            magnitudes = np.abs(by_channel(values)).max(axis=0)
            quantised = self.run_step(outputs, values)
            error = by_channel(quantised - rounded(values, magnitudes))
            np.testing.assert_allclose(error / magnitudes, np.zeros_like(error), atol=1e-6)
            self.assertGreater(np.abs(quantised - values).max(), 1e-3)
            low, high = self.ranges()
            np.testing.assert_array_equal(high, magnitudes)
            np.testing.assert_array_equal(low, -magnitudes)

    @parameterized.parameters(*_SHAPES)
    def test_variables(self, kind):
        self.build(kind)
        self.assertEmpty(tf.trainable_variables())
        self.assertLen(tf.global_variables(), 3)
        low, high = self.ranges()
        np.testing.assert_array_equal(low, np.full(5, -6.0))
        np.testing.assert_array_equal(high, np.full(5, 6.0))

    @parameterized.parameters(*_SHAPES)
    def test_inference_reads_the_variables(self, kind):
        outputs = self.build(kind, is_training=False)
        self.assertEmpty(self.updates)
        magnitudes = np.array([0.1, 0.2, 0.5, 1.0, 5.0], np.float32)
        for name, limits in (("min", -magnitudes), ("max", magnitudes)):
            variable_values.load(
                self.session, {self.variable(f"layer/weights_quant/{name}"): limits}
            )
        values = kernel(kind)
        error = by_channel(self.run_step(outputs, values) - rounded(values, magnitudes))
        np.testing.assert_allclose(error / magnitudes, np.zeros_like(error), atol=1e-6)

    def test_depthwise_kernel_of_one_channel(self):
        outputs = fake_quant.quantize_weights(
            tf.constant([[[[0.4]]], [[[-1.27]]]]), "a", quantization=_PER_CHANNEL, is_training=True
        )
        self.start()
        np.testing.assert_allclose(self.session.run(outputs).ravel(), [0.4, -1.27], atol=1e-6)
        self.assertEqual(self.variable("a/weights_quant/max").shape.as_list(), [1])

    def test_channel_of_zeros(self):
        outputs = self.build("conv")
        values = kernel("conv")
        values[..., 3] = 0
        quantised = self.run_step(outputs, values)
        np.testing.assert_array_equal(quantised[..., 3], np.zeros([3, 3, 2]))
        self.assertTrue(np.isfinite(quantised).all())
        self.assertEqual(self.ranges()[1][3], np.float32(fake_quant.LEAST_MAGNITUDE))

    @parameterized.parameters(*_SHAPES)
    def test_gradient_is_the_identity(self, kind):
        outputs = self.build(kind)
        slope = tf.constant(kernel(kind, 3))
        gradient = tf.gradients(tf.reduce_sum(outputs * slope), self.inputs)[0]
        value = self.session.run(gradient, {self.inputs: kernel(kind)})
        np.testing.assert_allclose(value, kernel(kind, 3), rtol=1e-6)

    @parameterized.parameters(*_SHAPES)
    def test_delay(self, kind):
        outputs = self.build(kind, quantization=_DELAYED)
        values = kernel(kind)
        for step in range(4):
            self.set_step(step)
            error = np.abs(self.run_step(outputs, values) - values).max()
            if step < 2:
                self.assertEqual(error, 0)
            else:
                self.assertGreater(error, 1e-3)
            # Ranges are also learned during the delay.
            np.testing.assert_array_equal(self.ranges()[1], np.abs(by_channel(values)).max(axis=0))

    def test_delay_is_ignored_in_inference(self):
        outputs = self.build("conv", quantization=_DELAYED, is_training=False)
        values = kernel("conv")
        self.assertGreater(np.abs(self.run_step(outputs, values) - values).max(), 1e-3)


class InputTest(_GraphTestCase):
    _IMAGES = np.array([-1.0, -0.9999, -0.5, 0.0, 0.003, 0.004, 0.1, 0.99, 1.0], np.float32)
    _QUANTISED = np.array([-128, -128, -64, 0, 0, 1, 13, 127, 127]) / 128

    def build(self, quantization=_PER_CHANNEL, *, is_training=False):
        outputs = fake_quant.quantize_input(
            tf.constant(self._IMAGES), quantization=quantization, is_training=is_training
        )
        self.start()
        return outputs

    @parameterized.parameters(True, False)
    def test_levels_are_those_of_a_tflite(self, is_training):
        outputs = self.build(is_training=is_training)
        np.testing.assert_array_equal(self.session.run(outputs), self._QUANTISED)
        self.assertEqual([v.op.name for v in tf.global_variables()], ["global_step"])
        self.assertEmpty(self.updates)

    def test_every_pixel_is_a_level(self):
        pixels = ((np.arange(256) - 128) / 128).astype(np.float32)
        outputs = fake_quant.quantize_input(
            tf.constant(pixels), quantization=_PER_CHANNEL, is_training=False
        )
        np.testing.assert_array_equal(self.session.run(outputs), pixels)

    def test_delay(self):
        outputs = self.build(_DELAYED, is_training=True)
        for step, expected in ((1, self._IMAGES), (2, self._QUANTISED)):
            self.set_step(step)
            np.testing.assert_array_equal(self.session.run(outputs), expected)

    def test_delay_is_ignored_in_inference(self):
        np.testing.assert_array_equal(self.session.run(self.build(_DELAYED)), self._QUANTISED)


if __name__ == "__main__":
    absltest.main()
