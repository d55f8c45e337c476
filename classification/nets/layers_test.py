"""Tests of layers.py: compares folded batch norm with batch norm, numerically."""

import dataclasses

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import layers, variable_values
from classification.nets.batch_norm import BatchNorm
from classification.nets.fake_quant import Quantization
from classification.nets.layers import LayerOptions, Mode

_CHANNELS = 3
_OUTPUTS = 5
_EPSILON = 0.001
_DECAY = 0.9
_BATCH_NORM = BatchNorm(decay=_DECAY, epsilon=_EPSILON)
_KINDS = ("conv", "depthwise")


class _LayerTestCase(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.graph = self.enter_context(tf.Graph().as_default())
        tf.train.create_global_step()
        self.random = np.random.default_rng(1)
        self.images = self.draw([4, 6, 6, _CHANNELS])
        self.inputs = tf.constant(self.images)
        self.session = self.enter_context(tf.Session())

    def draw(self, shape):
        return self.random.normal(0.3, 1.0, shape).astype(np.float32)

    def build(
        self,
        kind,
        mode=Mode.TRAINING,
        *,
        batch_norm=_BATCH_NORM,
        quantize=False,
        delay=0,
        weight_decay=0.0,
        scope="layer",
        **arguments,
    ):
        """Builds a layer; returns its activations."""
        options = LayerOptions(
            mode,
            batch_norm=batch_norm,
            quantization=Quantization(delay=delay) if quantize else None,
            weight_decay=weight_decay,
        )
        if kind == "conv":
            net, limits = layers.conv2d(self.inputs, _OUTPUTS, 3, options, scope=scope, **arguments)
        else:
            net, limits = layers.depthwise_conv2d(self.inputs, 3, options, scope=scope, **arguments)
        self.assertEqual(limits is not None, quantize)
        return net

    def start(self):
        """Sets the variables to random values, which are the same in all scopes."""
        self.session.run(tf.global_variables_initializer())
        self.values = {}
        values = {}
        for variable in tf.global_variables():
            name = variable.op.name.split("/")[-1]
            if "_quant" in variable.op.name or name == "global_step":
                continue
            if name not in self.values:
                value = self.draw(variable.shape.as_list())
                positive = name in ("gamma", "moving_variance")
                self.values[name] = 0.2 + np.abs(value) if positive else value
            values[variable] = self.values[name]
        variable_values.load(self.session, values)

    def value(self, name):
        (variable,) = (v for v in tf.global_variables() if v.op.name.endswith(name))
        return self.session.run(variable)

    def fake_quant_node(self, suffix):
        (node,) = (
            op
            for op in self.graph.get_operations()
            if op.type == "FakeQuantWithMinMaxVars" and f"/{suffix}/" in op.name
        )
        return node

    def run_unrounded(self):
        """The layer's result without its two roundings, and its kernel."""
        weights = self.fake_quant_node("weights_quant")
        activations = self.fake_quant_node("act_quant")
        kernel = self.session.run(weights.inputs[0])
        return self.session.run(activations.inputs[0], {weights.outputs[0]: kernel}), kernel

    def convolution(self, kind):
        """The convolution with the original kernel."""
        if kind == "conv":
            kernel = self.values["weights"]
            return self.session.run(tf.nn.conv2d(self.images, kernel, 1, "SAME"))
        kernel = self.values["depthwise_weights"]
        return self.session.run(tf.nn.depthwise_conv2d(self.images, kernel, [1, 1, 1, 1], "SAME"))

    def batch_norm(self, raw, mean, variance):
        """Ioffe and Szegedy, arXiv 1502.03167, algorithm 2, line 11."""
        scale = self.values["gamma"] / np.sqrt(variance + _EPSILON)
        return (raw - mean) * scale + self.values["beta"]

    def folded_kernel(self, kind):
        """W g rsqrt(v + eps), with the moving variance."""
        factor = self.values["gamma"] / np.sqrt(self.values["moving_variance"] + _EPSILON)
        if kind == "conv":
            return self.values["weights"] * factor
        return self.values["depthwise_weights"] * factor.reshape([1, 1, -1, 1])


class FoldTest(_LayerTestCase):
    @parameterized.product(kind=_KINDS, quantize=[True, False])
    def test_inference_uses_moving_statistics(self, kind, quantize):
        outputs = self.build(kind, Mode.INFERENCE, quantize=quantize)
        self.start()
        expected = self.batch_norm(
            self.convolution(kind), self.values["moving_mean"], self.values["moving_variance"]
        )
        outputs = self.run_unrounded()[0] if quantize else self.session.run(outputs)
        np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)
        self.assertEmpty(tf.get_collection(tf.GraphKeys.UPDATE_OPS))

    @parameterized.product(kind=_KINDS, quantize=[True, False])
    def test_training_uses_batch_statistics(self, kind, quantize):
        outputs = self.build(kind, quantize=quantize)
        self.start()
        raw = self.convolution(kind)
        expected = self.batch_norm(raw, raw.mean((0, 1, 2)), raw.var((0, 1, 2)))
        outputs = self.run_unrounded()[0] if quantize else self.session.run(outputs)
        np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)

    @parameterized.product(kind=_KINDS, quantize=[True, False])
    def test_frozen_batch_norm_uses_moving_statistics(self, kind, quantize):
        frozen = dataclasses.replace(_BATCH_NORM, freeze=True)
        outputs = self.build(kind, quantize=quantize, batch_norm=frozen)
        self.start()
        expected = self.batch_norm(
            self.convolution(kind), self.values["moving_mean"], self.values["moving_variance"]
        )
        trained = [v.op.name for v in tf.trainable_variables()]
        self.assertLen([name for name in trained if name.endswith(("/gamma", "/beta"))], 2)
        outputs = self.run_unrounded()[0] if quantize else self.session.run(outputs)
        np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        # The ranges of a quantised layer's kernel and activations still move.
        self.assertLen(updates, 8 if quantize else 0)
        self.session.run(updates)
        for name in ("moving_mean", "moving_variance"):
            np.testing.assert_array_equal(self.value(name), self.values[name])

    @parameterized.product(kind=_KINDS, mode=[Mode.TRAINING, Mode.INFERENCE])
    def test_folds_moving_variance_into_quantised_kernel(self, kind, mode):
        self.build(kind, mode, quantize=True)
        self.start()
        _, kernel = self.run_unrounded()
        expected = self.folded_kernel(kind)
        np.testing.assert_allclose(kernel, expected, rtol=1e-5, atol=1e-6)
        if mode is Mode.TRAINING:
            self.session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
            np.testing.assert_allclose(self.value("weights_quant/max"), expected.max(), rtol=1e-5)
            np.testing.assert_allclose(self.value("weights_quant/min"), expected.min(), rtol=1e-5)

    @parameterized.parameters(*_KINDS)
    def test_quantised_result_is_close_to_float(self, kind):
        floats = self.build(kind, scope="float")
        quantized = self.build(kind, quantize=True, scope="folded")
        self.start()
        floats, quantized = self.session.run([floats, quantized])
        step = (floats.max() - min(floats.min(), 0)) / 255
        error = np.abs(floats - quantized).max()
        self.assertBetween(error, 0.4 * step, 8 * step)

    @parameterized.product(kind=_KINDS, quantize=[True, False])
    def test_moving_averages_use_unbiased_variance(self, kind, quantize):
        self.build(kind, quantize=quantize)
        self.start()
        raw = self.convolution(kind).reshape([4 * 6 * 6, -1])
        self.session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        for name, batch in (
            ("moving_mean", raw.mean(0)),
            ("moving_variance", raw.var(0, ddof=1)),
        ):
            expected = _DECAY * self.values[name] + (1 - _DECAY) * batch
            np.testing.assert_allclose(self.value(name), expected, rtol=1e-5, atol=1e-6)

    @parameterized.parameters(*_KINDS)
    def test_gradients_equal_those_of_batch_norm(self, kind):
        gradients = []
        for scope, quantize in (("float", False), ("folded", True)):
            # During the delay nothing is rounded.
            outputs = self.build(kind, quantize=quantize, delay=1, scope=scope)
            variables = [v for v in tf.trainable_variables() if v.op.name.startswith(scope)]
            self.assertLen(variables, 3)
            if not gradients:
                slope = self.draw(outputs.shape.as_list())
            loss = tf.reduce_sum(outputs * slope)
            gradients.append(tf.gradients(loss, [*variables, self.inputs]))
        self.start()
        for expected, folded in zip(*self.session.run(gradients), strict=True):
            scale = np.abs(expected).max()
            np.testing.assert_allclose(folded, expected, rtol=0, atol=1e-5 * scale)

    def test_stride_and_relu6(self):
        for scope, quantize in (("float", False), ("folded", True)):
            outputs = self.build(
                "conv", quantize=quantize, delay=1, scope=scope, stride=2, relu6=True
            )
            self.assertEqual(outputs.shape.as_list(), [4, 3, 3, _OUTPUTS])
            self.start()
            kernel = self.values["weights"]
            raw = self.session.run(tf.nn.conv2d(self.images, kernel, 2, "SAME"))
            expected = self.batch_norm(raw, raw.mean((0, 1, 2)), raw.var((0, 1, 2)))
            np.testing.assert_allclose(
                self.session.run(outputs), np.clip(expected, 0, 6), rtol=1e-5, atol=1e-5
            )


class FrozenTest(_LayerTestCase):
    @parameterized.product(kind=_KINDS, quantize=[True, False])
    def test_trains_and_updates_nothing(self, kind, quantize):
        self.build(kind, Mode.FROZEN, quantize=quantize, weight_decay=0.1)
        self.assertEmpty(tf.trainable_variables())
        self.assertEmpty(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        self.assertEmpty(tf.losses.get_regularization_losses())

    @parameterized.product(kind=_KINDS, quantize=[True, False])
    def test_training_trains_and_updates(self, kind, quantize):
        self.build(kind, quantize=quantize, weight_decay=0.1)
        self.assertLen(tf.trainable_variables(), 3)
        # Two moving statistics, two limits of the weights' range, and three variables for each of
        # the two limits of the activations' range.
        self.assertLen(tf.get_collection(tf.GraphKeys.UPDATE_OPS), 10 if quantize else 2)
        # Depthwise kernels are not decayed.
        self.assertLen(tf.losses.get_regularization_losses(), 1 if kind == "conv" else 0)

    def test_statistics_only_trains_nothing(self):
        self.build("conv", Mode.STATISTICS_ONLY, weight_decay=0.1)
        self.assertEmpty(tf.trainable_variables())
        self.assertEmpty(tf.losses.get_regularization_losses())
        self.assertLen(tf.get_collection(tf.GraphKeys.UPDATE_OPS), 2)

    @parameterized.product(kind=_KINDS, quantize=[True, False])
    def test_folding_once_equals_folding_at_every_step(self, kind, quantize):
        options = {"quantize": quantize, "relu6": True}
        outputs = [self.build(kind, Mode.INFERENCE, scope="every", **options)]
        outputs.append(self.build(kind, Mode.FROZEN, scope="once", **options))
        self.start()
        self.session.run(tf.local_variables_initializer())
        every, once = self.session.run(outputs)
        np.testing.assert_allclose(once, every, atol=1e-5)
        self.assertGreater(np.ptp(once), 1.0)
        # Later values of the variables have no effect on what was folded once.
        variable_values.load(
            self.session,
            {v: 2 * self.session.run(v) for v in tf.global_variables() if "gamma" in v.op.name},
        )
        every, after = self.session.run(outputs)
        np.testing.assert_array_equal(after, once)
        self.assertGreater(np.abs(every - once).max(), 0.1)


class ProductTest(_LayerTestCase):
    def test_product_equals_convolution(self):
        self.inputs = tf.constant(self.draw([4, 1, 1, _CHANNELS]))
        results = []
        for mode in (Mode.TRAINING, Mode.INFERENCE):
            with tf.variable_scope("", reuse=tf.AUTO_REUSE):
                net, _ = layers.conv2d(self.inputs, _OUTPUTS, 1, LayerOptions(mode), scope="1x1")
            results.append([net, *tf.gradients(tf.square(net), tf.trainable_variables())])
        self.assertIn("MatMul", {op.type for op in self.graph.get_operations()})
        self.start()
        for ours, expected in zip(*self.session.run(results), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-5)
        self.assertEqual(ours.shape, (_OUTPUTS,))


class BiasesTest(_LayerTestCase):
    def test_biases_replace_batch_norm(self):
        outputs = self.build("conv", batch_norm=None)
        self.start()
        expected = self.convolution("conv") + self.values["biases"]
        np.testing.assert_allclose(self.session.run(outputs), expected, rtol=1e-6)
        self.assertCountEqual(
            [v.op.name for v in tf.trainable_variables()], ["layer/weights", "layer/biases"]
        )

    def test_untrained_biases_start_at_zero(self):
        self.build("conv", batch_norm=None, train_biases=False)
        self.assertEqual([v.op.name for v in tf.trainable_variables()], ["layer/weights"])
        self.session.run(tf.global_variables_initializer())
        np.testing.assert_array_equal(self.value("layer/biases"), np.zeros(_OUTPUTS))


class NormalizedWeightsTest(_LayerTestCase):
    def unit_kernel(self):
        kernel = self.values["weights"]
        return kernel / np.linalg.norm(kernel, axis=2, keepdims=True)

    def test_result(self):
        outputs = self.build("conv", batch_norm=None, normalize_weights=True)
        self.start()
        expected = tf.nn.conv2d(self.images, self.unit_kernel(), 1, "SAME")
        expected = self.session.run(expected) + self.values["biases"]
        np.testing.assert_allclose(self.session.run(outputs), expected, rtol=1e-5, atol=1e-5)

    def test_quantises_the_unit_vectors(self):
        self.build("conv", quantize=True, batch_norm=None, normalize_weights=True)
        self.start()
        _, kernel = self.run_unrounded()
        np.testing.assert_allclose(np.linalg.norm(kernel, axis=2), 1, rtol=1e-6)
        np.testing.assert_allclose(kernel, self.unit_kernel(), rtol=1e-5, atol=1e-7)
        self.session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        np.testing.assert_allclose(self.value("weights_quant/max"), kernel.max(), rtol=1e-6)


if __name__ == "__main__":
    absltest.main()
