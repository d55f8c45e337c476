"""Tests of fake_quant.py: ranges, levels, delay and gradients."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import fake_quant, variable_values
from classification.nets.fake_quant import Quantization

_QUANTIZATION = Quantization()
# In this range zero is one of 255 levels of 0.005; otherwise the range would be nudged.
_WEIGHTS = np.array([[-0.5, 0.1, 0.3], [0.7, 0.77, -0.25]], np.float32)


def _rounded(values, low, high, *, levels=256):
    """The fake quantisation of values, in float64 (arXiv 1712.05877, section 3)."""
    first = 256 - levels
    scale = (high - low) / (levels - 1)
    zero = np.clip(np.round(first - low / scale), first, 255)
    low, high = (first - zero) * scale, (255 - zero) * scale
    return np.round((np.clip(values, low, high) - low) / scale) * scale + low


class _GraphTestCase(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(tf.Graph().as_default())
        tf.train.create_global_step()
        self.inputs = tf.placeholder(tf.float32, [None, 3], "inputs")
        self.session = self.enter_context(tf.Session())

    def start(self):
        self.session.run(tf.global_variables_initializer())
        self.updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)

    def variable(self, name):
        (found,) = (v for v in tf.global_variables() if v.op.name == name)
        return found

    def load(self, name, value):
        variable_values.load(self.session, {self.variable(name): value})

    def value(self, name):
        return self.session.run(self.variable(name))

    def run_step(self, output, values):
        """The output for a batch; also runs the updates."""
        return self.session.run([output, self.updates], {self.inputs: values})[0]


class WeightsTest(_GraphTestCase):
    def build(self, *, is_training=True, quantization=_QUANTIZATION):
        outputs = fake_quant.quantize_weights(
            self.inputs, "layer", quantization=quantization, is_training=is_training
        )
        self.start()
        return outputs

    def test_range_is_that_of_the_values(self):
        outputs = self.build()
        quantized = self.run_step(outputs, _WEIGHTS)
        np.testing.assert_allclose(quantized, _rounded(_WEIGHTS, -0.5, 0.77, levels=255), atol=1e-6)
        self.assertEqual(self.value("layer/weights_quant/min"), -0.5)
        self.assertEqual(self.value("layer/weights_quant/max"), np.float32(0.77))

    def test_range_follows_the_last_batch(self):
        outputs = self.build()
        self.run_step(outputs, 3 * _WEIGHTS)
        self.run_step(outputs, _WEIGHTS)
        self.assertEqual(self.value("layer/weights_quant/max"), np.float32(0.77))

    @parameterized.parameters((1.0, 0.0, 1.7), (-1.0, -1.7, 0.0))
    def test_range_contains_zero(self, sign, low, high):
        outputs = self.build()
        self.run_step(outputs, sign * np.array([[0.2, 1.7, 0.9]], np.float32))
        np.testing.assert_allclose(self.value("layer/weights_quant/min"), low)
        np.testing.assert_allclose(self.value("layer/weights_quant/max"), high)

    def test_levels_are_255(self):
        outputs = self.build()
        values = np.linspace(-1, 1, 9999, dtype=np.float32).reshape(-1, 3)
        quantized = self.run_step(outputs, values)
        self.assertLen(np.unique(quantized), 255)
        # Zero is in the middle of a symmetric range with 255 levels, but not with 256.
        np.testing.assert_allclose(quantized, np.round(values * 127) / 127, atol=1e-6)

    def test_inference_reads_the_variables(self):
        outputs = self.build(is_training=False)
        self.assertEmpty(self.updates)
        quantized = self.run_step(outputs, 9 * _WEIGHTS)
        np.testing.assert_allclose(
            quantized, _rounded(9 * _WEIGHTS, -6.0, 6.0, levels=255), atol=1e-5
        )
        self.load("layer/weights_quant/min", -1.0)
        self.load("layer/weights_quant/max", 1.54)
        quantized = self.run_step(outputs, 9 * _WEIGHTS)
        np.testing.assert_allclose(
            quantized, _rounded(9 * _WEIGHTS, -1.0, 1.54, levels=255), atol=1e-5
        )

    def test_all_zero(self):
        outputs = self.build()
        np.testing.assert_array_equal(self.run_step(outputs, np.zeros([2, 3])), np.zeros([2, 3]))

    def test_gradient_is_the_identity(self):
        outputs = self.build()
        gradient = tf.gradients(tf.reduce_sum(outputs * outputs), self.inputs)[0]
        value, quantized = self.session.run([gradient, outputs], {self.inputs: _WEIGHTS})
        np.testing.assert_allclose(value, 2 * quantized, rtol=1e-6)


class ActivationsTest(_GraphTestCase):
    def build(self, *, is_training=True, quantization=_QUANTIZATION, **options):
        outputs, _ = fake_quant.quantize_activations(
            self.inputs, "layer", quantization=quantization, is_training=is_training, **options
        )
        self.start()
        return outputs

    def test_moving_averages(self):
        decay = 0.9
        outputs = self.build(quantization=Quantization(range_decay=decay))
        random = np.random.default_rng(1)
        sums = np.zeros(2)
        for step in range(1, 6):
            batch = (random.normal(size=[4, 3]) * step).astype(np.float32)
            quantized = self.run_step(outputs, batch)
            sums = decay * sums + (1 - decay) * np.array([batch.min(), batch.max()])
            low, high = sums / (1 - decay**step)
            np.testing.assert_allclose(self.value("layer/act_quant/min"), low, rtol=1e-5)
            np.testing.assert_allclose(self.value("layer/act_quant/max"), high, rtol=1e-5)
            # The batch is quantised with the averages as they are after its own update.
            level = (high - low) / 255
            error = np.abs(quantized - _rounded(batch, low, high))
            self.assertLess(np.max(error), 1.01 * level)
            self.assertLess(np.mean(error), 0.01 * level)
        prefix = "layer/act_quant/layer/act_quant/"
        for name, total in zip(("min", "max"), sums, strict=True):
            np.testing.assert_allclose(self.value(f"{prefix}{name}/biased"), total, rtol=1e-5)
            self.assertEqual(self.value(f"{prefix}{name}/local_step"), 5.0)

    def test_first_batch_sets_the_range(self):
        self.run_step(self.build(), _WEIGHTS)
        np.testing.assert_allclose(self.value("layer/act_quant/min"), -0.5, rtol=1e-4)
        np.testing.assert_allclose(self.value("layer/act_quant/max"), 0.77, rtol=1e-4)

    @parameterized.parameters((1.0, 0.0, 1.7), (-1.0, -1.7, 0.0))
    def test_range_contains_zero(self, sign, low, high):
        self.run_step(self.build(), sign * np.array([[0.2, 1.7, 0.9]], np.float32))
        np.testing.assert_allclose(self.value("layer/act_quant/min"), low, rtol=1e-4)
        np.testing.assert_allclose(self.value("layer/act_quant/max"), high, rtol=1e-4)

    def test_levels_are_256(self):
        outputs = self.build(is_training=False, relu6=True)
        quantized = self.run_step(outputs, np.linspace(0, 6, 9999).reshape(-1, 3))
        self.assertLen(np.unique(quantized), 256)

    @parameterized.parameters((True, 0.0), (False, -6.0))
    def test_initial_range(self, relu6, low):
        outputs = self.build(is_training=False, relu6=relu6)
        self.assertEmpty(self.updates)
        self.assertEqual(self.value("layer/act_quant/min"), low)
        self.assertEqual(self.value("layer/act_quant/max"), 6.0)
        values = np.array([[-7.0, 0.1, 7.0]])
        np.testing.assert_allclose(
            self.run_step(outputs, values), _rounded(values, low, 6.0), atol=1e-5
        )

    def test_inference_reads_the_variables(self):
        outputs = self.build(is_training=False, suffix="other")
        self.load("layer/other/min", -1.0)
        self.load("layer/other/max", 1.55)
        values = np.array([[-7.0, 0.1, 7.0]])
        np.testing.assert_allclose(
            self.run_step(outputs, values), _rounded(values, -1.0, 1.55), atol=1e-6
        )

    def test_clips_without_rounding(self):
        outputs, _ = fake_quant.quantize_activations(
            self.inputs,
            "layer",
            quantization=Quantization(round_activations=False),
            is_training=False,
        )
        self.start()
        self.load("layer/act_quant/min", -1.0)
        self.load("layer/act_quant/max", 1.5)
        values = np.array([[-7.0, 0.1234, 7.0]])
        np.testing.assert_allclose(self.run_step(outputs, values), [[-1.0, 0.1234, 1.5]])

    def test_gradient_is_zero_outside_the_range(self):
        outputs = self.build(is_training=False, relu6=True)
        gradient = tf.gradients(outputs, self.inputs)[0]
        values = np.array([[-0.5, 0.1, 3.0], [5.9, 6.1, 100.0]])
        np.testing.assert_array_equal(
            self.session.run(gradient, {self.inputs: values}), [[0, 1, 1], [1, 0, 0]]
        )

    def test_range_has_no_gradient(self):
        outputs = self.build()
        gradient = tf.gradients(outputs, self.inputs)[0]
        self.run_step(outputs, [[0.0, 1.0, 2.0]])
        # The largest value extends the range, but is still clipped to it.
        values = self.session.run(gradient, {self.inputs: [[0.0, 1.0, 255.0]]})
        np.testing.assert_array_equal(values, [[1, 1, 0]])

    def test_trains_no_variable(self):
        self.build()
        self.assertEmpty(tf.trainable_variables())
        self.assertLen(tf.global_variables(), 1 + 6)


class Relu6Test(_GraphTestCase):
    def build(self, quantization=_QUANTIZATION):
        inputs = self.inputs + 0.0
        outputs, _ = fake_quant.quantize_relu6(
            inputs, "ours", quantization=quantization, is_training=True
        )
        expected, _ = fake_quant.quantize_activations(
            tf.nn.relu6(inputs), "theirs", quantization=quantization, is_training=True, relu6=True
        )
        self.start()
        return [[net, tf.gradients(net, inputs)[0]] for net in (outputs, expected)]

    def test_equals_quantised_relu6(self):
        results = self.build()
        self.run_step(results, [[-1.0, 0.5, 4.0]])
        # The range now ends below 4: some values are above it, some above 6, some below 0.
        batch = [[-0.5, 0.0, 0.004], [1.0, 3.9, 4.5], [5.9, 6.0, 7.0]]
        (ours, gradient), (expected, expected_gradient) = self.run_step(results, batch)
        np.testing.assert_array_equal(ours, expected)
        np.testing.assert_array_equal(gradient, expected_gradient)
        self.assertEqual(set(gradient.ravel()), {0.0, 1.0})

    def test_gradient_during_the_delay(self):
        results = self.build(Quantization(delay=5))
        self.run_step(results, [[0.1, 0.2, 0.3]])
        (_, gradient), _ = self.run_step(results, [[-0.5, 5.9, 7.0]])
        np.testing.assert_array_equal(gradient, [[0, 1, 0]])


class DelayTest(_GraphTestCase):
    _VALUES = np.array([[-1.0, 0.123456, 1.0]], np.float32)
    _QUANTIZATION = Quantization(delay=2)

    def quantize(self, kind, **options):
        options = {"quantization": self._QUANTIZATION, "is_training": True} | options
        if kind == "weights":
            return fake_quant.quantize_weights(self.inputs, "layer", **options)
        if kind == "activations":
            return fake_quant.quantize_activations(self.inputs, "layer", **options)[0]
        if kind == "range":
            return fake_quant.quantize_with_range(
                self.inputs, "layer", (-1.0, 1.0), suffix="q", **options
            )
        _, limits = fake_quant.quantize_activations(self.inputs, "layer", **options)
        return fake_quant.quantize_like(self.inputs, limits, **options)

    @parameterized.parameters("weights", "activations", "range", "like")
    def test_quantises_after_the_delay(self, kind):
        outputs = self.quantize(kind)
        self.start()
        for step in range(4):
            self.load("global_step", step)
            quantized = self.run_step(outputs, self._VALUES)
            error = abs(quantized[0, 1] - self._VALUES[0, 1])
            if step < 2:
                np.testing.assert_array_equal(quantized, self._VALUES)
            else:
                self.assertBetween(error, 1e-5, 1 / 254)

    @parameterized.parameters(("weights", "weights_quant"), ("activations", "act_quant"))
    def test_learns_ranges_during_the_delay(self, kind, suffix):
        outputs = self.quantize(kind)
        self.start()
        self.run_step(outputs, self._VALUES)
        np.testing.assert_allclose(self.value(f"layer/{suffix}/min"), -1.0, rtol=1e-4)
        np.testing.assert_allclose(self.value(f"layer/{suffix}/max"), 1.0, rtol=1e-4)

    @parameterized.parameters("weights", "activations", "range", "like")
    def test_delay_is_ignored_in_inference(self, kind):
        outputs = self.quantize(kind, is_training=False)
        self.start()
        quantized = self.run_step(outputs, self._VALUES)
        self.assertGreater(abs(quantized[0, 1] - self._VALUES[0, 1]), 1e-5)


class KnownRangeTest(_GraphTestCase):
    _VALUES = np.array([[-2.0, 0.4001, 2.0]], np.float32)

    def build(self, *, is_training):
        outputs = fake_quant.quantize_with_range(
            self.inputs,
            "layer",
            fake_quant.TFLITE_L2_NORM_RANGE,
            quantization=_QUANTIZATION,
            is_training=is_training,
            suffix="q",
        )
        self.start()
        return outputs

    @parameterized.parameters(True, False)
    def test_levels_equal_tflite(self, is_training):
        quantized = self.run_step(self.build(is_training=is_training), self._VALUES)
        np.testing.assert_array_equal(quantized, [[-1.0, 51 / 128, 127 / 128]])

    def test_ignores_the_variables(self):
        outputs = self.build(is_training=True)
        self.assertEqual(self.value("layer/q/min"), -1.0)
        self.assertEqual(self.value("layer/q/max"), 127 / 128)
        self.load("layer/q/max", 5.0)
        np.testing.assert_array_equal(
            self.run_step(outputs, self._VALUES), [[-1.0, 51 / 128, 127 / 128]]
        )
        self.assertCountEqual(
            [v.op.name for v in tf.get_collection(fake_quant.CONSTANT_RANGES)],
            ["layer/q/min", "layer/q/max"],
        )

    def test_inference_has_no_variables(self):
        self.build(is_training=False)
        self.assertEqual([v.op.name for v in tf.global_variables()], ["global_step"])


class LikeTest(_GraphTestCase):
    def build(self, *, is_training):
        options = {"quantization": _QUANTIZATION, "is_training": is_training}
        other, limits = fake_quant.quantize_activations(5 * self.inputs, "layer", **options)
        names = [v.op.name for v in tf.global_variables()]
        outputs = fake_quant.quantize_like(self.inputs, limits, **options)
        self.assertEqual([v.op.name for v in tf.global_variables()], names)
        self.start()
        return outputs, other

    def test_inference_reads_the_other_variables(self):
        outputs, _ = self.build(is_training=False)
        self.load("layer/act_quant/min", -1.0)
        self.load("layer/act_quant/max", 1.55)
        values = np.array([[-7.0, 0.1, 7.0]])
        np.testing.assert_allclose(
            self.run_step(outputs, values), _rounded(values, -1.0, 1.55), atol=1e-6
        )

    def test_training_uses_the_other_range(self):
        outputs, other = self.build(is_training=True)
        # The range of five times the values is -1..1.55.
        values = np.array([[-0.2, 0.1234, 0.31]])
        quantized, _ = self.run_step((outputs, other), values)
        np.testing.assert_allclose(quantized, _rounded(values, -1.0, 1.55), atol=1e-5)


class QuantizationTest(parameterized.TestCase):
    def test_refuses_negative_delay(self):
        with self.assertRaisesRegex(ValueError, "delay of at least 0, got -1"):
            Quantization(delay=-1)

    @parameterized.parameters(0.0, 1.0, -0.5, 1.5, float("nan"))
    def test_refuses_range_decay(self, decay):
        with self.assertRaisesRegex(ValueError, f"between 0 and 1, got {decay}"):
            Quantization(range_decay=decay)


if __name__ == "__main__":
    absltest.main()
