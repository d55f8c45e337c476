"""Tests of mobilenet_v1.py: its batch norm, and its modes."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import l2norm_network, mobilenet_v1, variable_values
from classification.nets.batch_norm import BatchNorm
from classification.nets.fake_quant import Quantization
from classification.nets.l2norm_network import TrainingOptions
from classification.nets.layers import Mode

_HEAD = "MobilenetV1/Logits/"
_LAST = "Conv2d_13_pointwise"


class _BaseTestCase(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(tf.Graph().as_default())
        tf.train.create_global_step()
        random = np.random.default_rng(1)
        colours = random.uniform(-0.8, 0.8, [4, 1, 1, 3])
        noise = random.uniform(-0.2, 0.2, [4, 32, 32, 3])
        self.images = (colours + noise).astype(np.float32)
        self.session = self.enter_context(tf.Session())

    def build(self, mode=Mode.TRAINING, *, quantize=False, batch_norm_decay=0.9, reuse=None):
        """Builds the network, with its base in this mode; returns the end points."""
        _, end_points = l2norm_network.l2norm_network(
            mobilenet_v1.NETWORK,
            tf.constant(self.images),
            3,
            depth_multiplier=0.25,
            batch_norm=BatchNorm(decay=batch_norm_decay),
            quantization=Quantization() if quantize else None,
            training=None if mode is Mode.INFERENCE else TrainingOptions(base_mode=mode),
            reuse=reuse,
        )
        return end_points

    def start(self):
        """Sets variables to values that differ from the initial ones, as training would."""
        random = np.random.default_rng(2)
        self.session.run(tf.global_variables_initializer())
        values = {}
        for variable in tf.global_variables():
            name, shape = variable.op.name.split("/")[-1], variable.shape.as_list()
            if name == "gamma":
                values[variable] = random.uniform(3, 5, shape)
            elif name in ("beta", "moving_mean"):
                values[variable] = random.normal(0, 0.1, shape)
            elif name == "moving_variance":
                values[variable] = random.uniform(0.5, 1.5, shape)
        variable_values.load(self.session, values)
        # The folded kernels of a frozen base.
        self.session.run(tf.local_variables_initializer())

    def update(self):
        """Runs the updates of a step; returns names of all variables, and of those that changed."""
        variables = {v.op.name: v for v in tf.global_variables()}
        before = self.session.run(variables)
        self.session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        after = self.session.run(variables)
        moved = {name for name in before if before[name].tobytes() != after[name].tobytes()}
        return set(variables), moved


class FrozenTest(_BaseTestCase):
    @parameterized.parameters(True, False)
    def test_trains_only_the_head(self, quantize):
        self.build(Mode.FROZEN, quantize=quantize)
        self.assertCountEqual(
            [v.op.name for v in tf.trainable_variables()],
            [
                _HEAD + "Conv2d_1c_1x1_negative/weights",
                _HEAD + "Conv2d_1c_1x1_negative/biases",
                _HEAD + "Conv2d_1d_1x1_normalize/weights",
                _HEAD + "scale_factor",
            ],
        )

    @parameterized.parameters(True, False)
    def test_updates_only_the_head(self, quantize):
        self.build(Mode.FROZEN, quantize=quantize)
        self.start()
        _, moved = self.update()
        self.assertEmpty([name for name in moved if not name.startswith(_HEAD)])
        # The ranges of a quantised head move.
        self.assertEqual(bool(moved), quantize)

    @parameterized.parameters(True, False)
    def test_computes_the_same_as_inference(self, quantize):
        batch = self.build(quantize=quantize)
        training = self.build(Mode.FROZEN, quantize=quantize, reuse=True)
        evaluation = self.build(Mode.INFERENCE, quantize=quantize, reuse=True)
        self.start()
        ours, expected, other = self.session.run([training[_LAST], evaluation[_LAST], batch[_LAST]])
        # Folding changes how a float network rounds: by up to 1e-5, for values of up to 6.
        np.testing.assert_allclose(ours, expected, rtol=0, atol=0 if quantize else 3e-5)
        self.assertGreater(np.abs(ours - other).max(), 0.5)

    @parameterized.parameters(True, False)
    def test_statistics_only_updates_statistics(self, quantize):
        end_points = self.build(Mode.STATISTICS_ONLY, quantize=quantize)
        self.assertEmpty([v for v in tf.trainable_variables() if not v.op.name.startswith(_HEAD)])
        self.start()
        names, moved = self.update()
        base = {name for name in names if not name.startswith((_HEAD, "global_step"))}
        adapting = ("/moving_mean", "/moving_variance")
        if quantize:
            adapting += ("/max", "/biased", "/local_step", "weights_quant/min")
        unlike = {name for name in base - moved if name.endswith(adapting)}
        # The least activation after a Relu6 stays zero.
        self.assertEmpty([name for name in unlike if not name.endswith("min/biased")])
        self.assertEmpty([name for name in moved & base if not name.endswith(adapting)])
        expected = self.build(quantize=quantize, reuse=True)
        np.testing.assert_allclose(*self.session.run([end_points[_LAST], expected[_LAST]]))

    def test_inference_updates_nothing(self):
        self.build(Mode.INFERENCE)
        self.assertEmpty(tf.get_collection(tf.GraphKeys.UPDATE_OPS))


class BatchNormTest(_BaseTestCase):
    def test_batch_norm_decay(self):
        moves = []
        for decay in (0.9, 0.6):
            with tf.Graph().as_default(), tf.Session() as session:
                tf.set_random_seed(1)
                tf.train.create_global_step()
                self.build(batch_norm_decay=decay)
                (variance,) = (
                    v
                    for v in tf.global_variables()
                    if v.op.name == "MobilenetV1/Conv2d_0/BatchNorm/moving_variance"
                )
                session.run(tf.global_variables_initializer())
                session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
                moves.append(session.run(variance) - 1)
        np.testing.assert_allclose(moves[1], 4 * moves[0], rtol=1e-4)


if __name__ == "__main__":
    absltest.main()
