"""Tests of layers.py: a range for each channel of a kernel, and the names of variables."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import layers, variable_values
from classification.nets.batch_norm import BatchNorm
from classification.nets.fake_quant import Quantization
from classification.nets.layers import LayerOptions, Mode

_CHANNELS = 3
_OUTPUTS = {"conv": 5, "depthwise": _CHANNELS}
_EPSILON = 0.001
_KINDS = tuple(_OUTPUTS)
_QUANTIZATION = Quantization(per_channel=True)


class _LayerTestCase(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.graph = self.enter_context(tf.Graph().as_default())
        tf.train.create_global_step()
        self.random = np.random.default_rng(1)
        self.images = self.random.normal(0.3, 1.0, [4, 6, 6, _CHANNELS]).astype(np.float32)
        self.session = self.enter_context(tf.Session())

    def build(self, kind, mode=Mode.INFERENCE, *, quantization=_QUANTIZATION, **arguments):
        """Builds a layer in a block; returns its activations."""
        options = LayerOptions(
            mode,
            batch_norm=BatchNorm(epsilon=_EPSILON),
            quantization=quantization,
            kernel_name="kernel",
            depthwise_kernel_name="depthwise_kernel",
        )
        arguments = {"batch_norm_scope": "norm_1", "scope": "layer"} | arguments
        inputs = tf.constant(self.images)
        with tf.variable_scope("block"):
            if kind == "conv":
                return layers.conv2d(inputs, _OUTPUTS[kind], 3, options, **arguments)[0]
            return layers.depthwise_conv2d(inputs, 3, options, **arguments)[0]

    def start(self):
        """Sets the variables to random values; returns them by the last parts of their names."""
        self.session.run(tf.global_variables_initializer())
        values = {}
        for variable in tf.global_variables():
            if "_quant" in variable.op.name or variable.op.name == "global_step":
                continue
            value = self.random.normal(0.3, 1.0, variable.shape.as_list())
            if variable.op.name.endswith(("/gamma", "/moving_variance")):
                value = 0.2 + np.abs(value)
            values[variable] = value.astype(np.float32)
        variable_values.load(self.session, values)
        self.session.run(tf.local_variables_initializer())
        return {variable.op.name.split("/")[-1]: value for variable, value in values.items()}

    def folded(self, kind, values):
        """The kernel as [height, width, inputs, outputs] or [height, width, channels]."""
        factor = values["gamma"] / np.sqrt(values["moving_variance"] + np.float32(_EPSILON))
        return (values["kernel"] if kind == "conv" else values["depthwise_kernel"][..., 0]) * factor

    def fake_quant_node(self, op_type):
        (node,) = (op for op in self.graph.get_operations() if op.type == op_type)
        return node

    def variable(self, name):
        (found,) = (v for v in tf.global_variables() if v.op.name == name)
        return found


class PerChannelTest(_LayerTestCase):
    @parameterized.parameters(*_KINDS)
    def test_kernel_is_rounded_to_levels_of_each_channel(self, kind):
        self.build(kind)
        values = self.start()
        kernel = self.folded(kind, values)
        magnitudes = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1)))
        for name, limits in (("min", -magnitudes), ("max", magnitudes)):
            variable = self.variable(f"block/layer/weights_quant/{name}")
            self.assertEqual(variable.shape.as_list(), [_OUTPUTS[kind]])
            variable_values.load(self.session, {variable: limits})
        node = self.fake_quant_node("FakeQuantWithMinMaxVarsPerChannel")
        scale = magnitudes / 127
        quanta = self.session.run(node.outputs[0]) / scale
        np.testing.assert_allclose(quanta, np.round(quanta), atol=1e-4)
        np.testing.assert_allclose(quanta, kernel / scale, atol=0.501)
        np.testing.assert_allclose(np.abs(quanta).reshape([-1, len(scale)]).max(0), 127, rtol=1e-5)

    @parameterized.parameters(*_KINDS)
    def test_result_is_that_of_batch_norm_with_the_rounded_kernel(self, kind):
        outputs = self.build(kind, relu6=True)
        values = self.start()
        node = self.fake_quant_node("FakeQuantWithMinMaxVarsPerChannel")
        kernel = self.session.run(node.outputs[0])
        self.assertGreater(np.abs(kernel - self.folded(kind, values)).max(), 1e-3)
        if kind == "conv":
            net = tf.nn.conv2d(self.images, kernel, 1, "SAME")
        else:
            net = tf.nn.depthwise_conv2d(self.images, kernel[..., np.newaxis], [1] * 4, "SAME")
        factor = values["gamma"] / np.sqrt(values["moving_variance"] + _EPSILON)
        expected = self.session.run(net) + values["beta"] - values["moving_mean"] * factor
        expected = np.clip(expected, 0, 6)
        # The initial range of activations is 0..6.
        error = np.abs(self.session.run(outputs) - expected)
        self.assertLess(error.max(), 0.51 * 6 / 255)
        self.assertGreater(error.max(), 0.3 * 6 / 255)

    @parameterized.product(kind=_KINDS, mode=[Mode.TRAINING, Mode.STATISTICS_ONLY])
    def test_training_moves_the_ranges(self, kind, mode):
        self.build(kind, mode)
        values = self.start()
        # Two moving statistics, two limits of the kernel, three variables for each limit of the
        # activations.
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        self.assertLen(updates, 10)
        self.session.run(updates)
        kernel = self.folded(kind, values)
        expected = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1)))
        low, high = (self.variable(f"block/layer/weights_quant/{x}") for x in ("min", "max"))
        np.testing.assert_allclose(self.session.run(high), expected, rtol=1e-5)
        np.testing.assert_allclose(self.session.run(low), -expected, rtol=1e-5)

    @parameterized.parameters(*_KINDS)
    def test_folding_once_equals_folding_at_every_step(self, kind):
        frozen = self.build(kind, Mode.FROZEN)
        self.assertEmpty(tf.trainable_variables())
        with tf.variable_scope("", reuse=True):
            inference = self.build(kind)
        self.start()
        once, every = self.session.run([frozen, inference])
        np.testing.assert_array_equal(once, every)
        self.assertGreater(np.ptp(once), 1.0)


class NamesTest(_LayerTestCase):
    @parameterized.product(
        kind_and_name=[("conv", "kernel"), ("depthwise", "depthwise_kernel")],
        quantization=[None, _QUANTIZATION],
        mode=[*Mode],
    )
    def test_batch_norm_beside_the_layer(self, kind_and_name, quantization, mode):
        kind, name = kind_and_name
        self.build(kind, mode, quantization=quantization)
        parts = ("beta", "gamma", "moving_mean", "moving_variance")
        self.assertCountEqual(
            [v.op.name for v in tf.model_variables() if "_quant/" not in v.op.name],
            [f"block/layer/{name}", *(f"block/norm_1/{part}" for part in parts)],
        )

    def test_batch_norm_inside_the_layer(self):
        self.build("conv", batch_norm_scope=None)
        self.assertContainsSubset(
            {"block/layer/kernel", "block/layer/BatchNorm/gamma"},
            {v.op.name for v in tf.global_variables()},
        )

    @parameterized.parameters(None, _QUANTIZATION)
    def test_reuse(self, quantization):
        first = self.build("conv", quantization=quantization)
        variables = tf.global_variables()
        with tf.variable_scope("", reuse=True):
            second = self.build("conv", quantization=quantization)
        self.assertEqual(tf.global_variables(), variables)
        self.start()
        np.testing.assert_array_equal(*self.session.run([first, second]))

    def test_two_layers_of_a_block(self):
        self.build("conv", scope="a", batch_norm_scope="norm")
        self.build("conv", scope="b", batch_norm_scope="norm_1")
        names = {v.op.name for v in tf.global_variables()}
        self.assertContainsSubset({"block/norm/gamma", "block/norm_1/gamma"}, names)
        with self.assertRaisesRegex(ValueError, "block/norm/beta already exists"):
            self.build("conv", scope="c", batch_norm_scope="norm")


if __name__ == "__main__":
    absltest.main()
