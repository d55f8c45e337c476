"""Tests of batch_norm.py: folding, and the gradients of a batch's statistics."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from classification.nets import batch_norm, variable_values

_CHANNELS = 3
_COUNT = 4 * 6 * 6
_DECAY = 0.9
_EPSILON = 0.01


class _BatchTestCase(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(tf.Graph().as_default())
        self.random = np.random.default_rng(1)
        self.batch = self.draw([4, 6, 6, _CHANNELS])
        self.values = self.batch.reshape([_COUNT, -1])
        self.inputs = tf.constant(self.batch)
        self.session = self.enter_context(tf.Session())

    def draw(self, shape):
        return self.random.normal(0.3, 1.0, shape).astype(np.float32)


class StatisticsTest(_BatchTestCase):
    _NAMES = ("beta", "gamma", "moving_mean", "moving_variance")

    def build(self, *, trainable=True):
        params = batch_norm.BatchNorm(decay=_DECAY, epsilon=_EPSILON)
        return batch_norm.Statistics(_CHANNELS, params, trainable)

    def start(self):
        """Sets beta, gamma, mean and variance; returns their values."""
        numbers = [self.draw([_CHANNELS]) for _ in self._NAMES]
        numbers[3] = 0.2 + np.abs(numbers[3])
        variable_values.load(self.session, dict(zip(tf.global_variables(), numbers, strict=True)))
        return numbers

    def test_variables(self):
        self.build()
        self.assertEqual([v.op.name for v in tf.global_variables()], list(self._NAMES))
        self.assertEqual([v.op.name for v in tf.trainable_variables()], ["beta", "gamma"])
        self.session.run(tf.global_variables_initializer())
        for value, expected in zip(
            self.session.run(tf.global_variables()), (0, 1, 0, 1), strict=True
        ):
            np.testing.assert_array_equal(value, np.full(_CHANNELS, expected))

    def test_untrainable(self):
        self.build(trainable=False)
        self.assertEmpty(tf.trainable_variables())

    def test_moving_statistics(self):
        fold = self.build().fold()
        beta, gamma, mean, variance = self.start()
        self.assertIsNone(fold.output)
        (factor,), bias = self.session.run([fold.kernel, fold.bias])
        expected = gamma / np.sqrt(variance + _EPSILON)
        np.testing.assert_allclose(factor, expected, rtol=1e-6)
        np.testing.assert_allclose(bias, beta - mean * expected, rtol=1e-5)
        self.assertEmpty(tf.get_collection(tf.GraphKeys.UPDATE_OPS))

    def test_correctly_rounded(self):
        config = tf.ConfigProto()
        # TensorFlow's optimiser would replace g / sqrt(v) by g rsqrt(v).
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        self.session = self.enter_context(tf.Session(config=config))
        params = batch_norm.BatchNorm(epsilon=_EPSILON)
        fold = batch_norm.Statistics(1000, params, True).fold(correctly_rounded=True)
        numbers = [self.draw([1000]) for _ in self._NAMES]
        numbers[3] = 0.2 + np.abs(numbers[3])
        variable_values.load(self.session, dict(zip(tf.global_variables(), numbers, strict=True)))
        beta, gamma, mean, variance = numbers
        self.assertIsNone(fold.output)
        (factor,), bias = self.session.run([fold.kernel, fold.bias])
        # Sum, square root and quotient of float32 have the same result on each processor.
        expected = gamma / np.sqrt(variance + np.float32(_EPSILON))
        self.assertEqual(expected.dtype, np.float32)
        np.testing.assert_array_equal(factor, expected)
        np.testing.assert_allclose(bias, beta - mean * expected, rtol=1e-5, atol=1e-6)

    def test_batch_statistics(self):
        fold = self.build().fold_with_batch(batch_norm.batch_moments(self.inputs))
        beta, gamma, _, variance = self.start()
        factors, output, bias = self.session.run(fold)
        # The factors of the kernel depend only on the moving variance.
        kernel = np.prod(factors, axis=0)
        np.testing.assert_allclose(kernel, gamma / np.sqrt(variance + _EPSILON), rtol=1e-5)
        deviation = np.sqrt(self.values.var(0) + _EPSILON)
        np.testing.assert_allclose(
            self.batch * kernel * output + bias,
            (self.batch - self.values.mean(0)) / deviation * gamma + beta,
            rtol=1e-5,
            atol=1e-5,
        )

    def test_batch_moves_averages(self):
        self.build().fold_with_batch(batch_norm.batch_moments(self.inputs))
        *untouched, mean, variance = self.start()
        self.session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        values = self.session.run(tf.global_variables())
        np.testing.assert_array_equal(values[:2], untouched)
        for value, old, new in (
            (values[2], mean, self.values.mean(0)),
            (values[3], variance, self.values.var(0, ddof=1)),
        ):
            np.testing.assert_allclose(value, _DECAY * old + (1 - _DECAY) * new, rtol=1e-5)


class BatchMomentsTest(_BatchTestCase):
    def test_values(self):
        mean, variance, count = self.session.run(batch_norm.batch_moments(self.inputs))
        self.assertEqual(count, _COUNT)
        np.testing.assert_allclose(mean, self.values.mean(0), rtol=1e-5)
        np.testing.assert_allclose(variance, self.values.var(0, ddof=1), rtol=1e-5)

    def test_gradients_equal_nn_moments(self):
        ours = batch_norm.batch_moments(self.inputs)[:2]
        theirs = tf.nn.moments(self.inputs, [0, 1, 2])
        slope = self.draw([_CHANNELS])
        # TensorFlow divides the variance by N, we divide by N - 1.
        factors = (1, _COUNT / (_COUNT - 1))
        for our, their, factor in zip(ours, theirs, factors, strict=True):
            gradient, expected = self.session.run(
                [tf.gradients(value, self.inputs, slope)[0] for value in (our, their)]
            )
            np.testing.assert_allclose(gradient, factor * expected, rtol=1e-4, atol=1e-8)

    def test_gradients_equal_finite_differences(self):
        loss = tf.add_n(
            [tf.reduce_sum(value**2) for value in batch_norm.batch_moments(self.inputs)[:2]]
        )
        gradient = self.session.run(tf.gradients(loss, self.inputs)[0])
        change = self.draw(self.batch.shape)
        above, below = (
            self.session.run(loss, {self.inputs: self.batch + step * change})
            for step in (0.01, -0.01)
        )
        np.testing.assert_allclose((above - below) / 0.02, np.sum(gradient * change), rtol=1e-3)

    def test_single_value_per_channel(self):
        net = tf.constant(self.batch[:1, :1, :1])
        mean, variance, _ = batch_norm.batch_moments(net)
        gradient = tf.gradients([mean, variance], net)[0]
        mean, variance, gradient = self.session.run([mean, variance, gradient])
        np.testing.assert_array_equal(mean, self.batch[0, 0, 0])
        np.testing.assert_array_equal(variance, np.zeros(_CHANNELS))
        np.testing.assert_array_equal(gradient, np.ones([1, 1, 1, _CHANNELS]))


class PointwiseMomentsTest(_BatchTestCase):
    """The moments without the convolution, against those of its results."""

    _OUTPUTS = 5

    def setUp(self):
        super().setUp()
        self.kernel = tf.constant(self.draw([1, 1, _CHANNELS, self._OUTPUTS]))

    def both(self, inputs):
        convolved = tf.nn.conv2d(inputs, self.kernel, strides=1, padding="SAME")
        moments = batch_norm.pointwise_moments(inputs, self.kernel)
        return moments, batch_norm.batch_moments(convolved)

    def test_values(self):
        for ours, expected in zip(*self.session.run(self.both(self.inputs)), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-5)

    def test_gradients(self):
        d_mean, d_variance = self.draw([self._OUTPUTS]), self.draw([self._OUTPUTS])
        found = [
            tf.gradients([mean, variance], [self.inputs, self.kernel], [d_mean, d_variance])
            for mean, variance, _ in self.both(self.inputs)
        ]
        for ours, expected in zip(*self.session.run(found), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)

    def test_small_variance_next_to_the_mean(self):
        inputs = tf.constant(6 + 1e-3 * self.batch)
        ours, _ = self.session.run(self.both(inputs))
        values = np.float64(self.session.run(inputs)).reshape([_COUNT, _CHANNELS])
        expected = (values @ np.float64(self.session.run(self.kernel)[0, 0])).var(0, ddof=1)
        np.testing.assert_allclose(ours.variance, expected, rtol=1e-3)

    def test_single_value(self):
        inputs = tf.constant(self.batch[:1, :1, :1])
        ours, _ = self.both(inputs)
        gradient = tf.gradients([ours.mean, ours.variance], inputs)[0]
        mean, variance, gradient, kernel = self.session.run(
            [ours.mean, ours.variance, gradient, self.kernel]
        )
        np.testing.assert_allclose(mean, self.batch[0, 0, 0] @ kernel[0, 0], rtol=1e-6)
        np.testing.assert_array_equal(variance, np.zeros(self._OUTPUTS))
        np.testing.assert_allclose(gradient[0, 0, 0], kernel[0, 0].sum(axis=1), rtol=1e-6)


class AffineTest(_BatchTestCase):
    def test_equals_product_and_sum(self):
        random = np.random.default_rng(1)
        channels = self.inputs.shape[-1]
        scale, offset = (
            tf.constant(random.normal(size=channels).astype(np.float32)) for _ in range(2)
        )
        weights = random.normal(size=self.inputs.shape.as_list()).astype(np.float32)
        results = []
        for net in (
            batch_norm.affine(self.inputs, scale, offset),
            self.inputs * scale + offset,
        ):
            results.append([net, *tf.gradients(net, [self.inputs, scale, offset], weights)])
        for ours, expected in zip(*self.session.run(results), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


if __name__ == "__main__":
    absltest.main()
