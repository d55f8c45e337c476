"""Tests of mobilenet_v1_l2norm.py in training: what moves, what stays, and the loss."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification import mobilenet_v1_l2norm, variable_values
from classification.fake_quant import Quantization

_CLASSES = 3
_LABELS = [0, 1, 2, 0]
_WEIGHT_DECAY = 0.001
_LEARNING_RATE = 0.01
_HEAD = "MobilenetV1/Logits/"


class _TrainingTestCase(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(tf.Graph().as_default())
        self.step = tf.train.create_global_step()
        random = np.random.default_rng(1)
        colours = random.uniform(-0.8, 0.8, [len(_LABELS), 1, 1, 3])
        noise = random.uniform(-0.2, 0.2, [len(_LABELS), 32, 32, 3])
        self.images = (colours + noise).astype(np.float32)
        self.session = self.enter_context(tf.Session())

    def build(self, *, is_training=True, quantize=False, batch_norm_decay=0.9, **options):
        options = {"depth_multiplier": 0.25, "dropout_keep_prob": 1.0} | options
        with mobilenet_v1_l2norm.mobilenet_v1_l2norm_arg_scope(
            is_training=is_training,
            weight_decay=_WEIGHT_DECAY,
            batch_norm_decay=batch_norm_decay,
            quantization=Quantization() if quantize else None,
        ):
            return mobilenet_v1_l2norm.mobilenet_v1_l2norm(
                tf.constant(self.images), _CLASSES, **options
            )

    def start(self):
        """Variables of a base that is somewhat trained: its statistics are not the initial ones."""
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

    def state(self):
        variables = [v for v in tf.global_variables() if v.op.name != "global_step"]
        return self.session.run({v.op.name: v for v in variables})

    def train(self, logits, *, steps):
        """Makes training steps; returns each one's loss, and the variables before and after."""
        tf.losses.sparse_softmax_cross_entropy(_LABELS, logits)
        loss = tf.losses.get_total_loss()
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        optimizer = tf.train.GradientDescentOptimizer(_LEARNING_RATE)
        with tf.control_dependencies(updates):
            train = optimizer.minimize(loss, global_step=self.step)
        self.start()
        before = self.state()
        losses = [self.session.run([loss, train])[0] for _ in range(steps)]
        return losses, before, self.state()

    def moved(self, before, after):
        """Names of the variables that are no longer the same to the last byte."""
        return {name for name in before if before[name].tobytes() != after[name].tobytes()}


class FrozenBaseTest(_TrainingTestCase):
    @parameterized.parameters(True, False)
    def test_only_the_head_moves(self, quantize):
        logits, _ = self.build(quantize=quantize, freeze_base=True)
        losses, before, after = self.train(logits, steps=2)
        moved = self.moved(before, after)
        self.assertEmpty([name for name in moved if not name.startswith(_HEAD)])
        trained = {
            _HEAD + "Conv2d_1c_1x1_negative/weights",
            _HEAD + "Conv2d_1c_1x1_negative/biases",
            _HEAD + "Conv2d_1d_1x1_normalize/weights",
            _HEAD + "scale_factor",
        }
        self.assertEqual({v.op.name for v in tf.trainable_variables()}, trained)
        self.assertContainsSubset(trained, moved)
        if quantize:
            self.assertIn(_HEAD + "Conv2d_1c_1x1_negative/act_quant/max", moved)
        self.assertLess(losses[1], losses[0])

    def test_loss_has_the_weight_decay_of_the_head_alone(self):
        logits, end_points = self.build(freeze_base=True)
        (loss,), before, _ = self.train(logits, steps=1)
        weights = before[_HEAD + "Conv2d_1c_1x1_negative/weights"]
        variable_values.load(
            self.session,
            {v: before[v.op.name] for v in tf.global_variables() if v.op.name in before},
        )
        probabilities = self.session.run(end_points["Predictions"])
        entropy = -np.mean(np.log(probabilities[range(len(_LABELS)), _LABELS]))
        decay = _WEIGHT_DECAY * np.sum(weights.astype(np.float64) ** 2) / 2
        np.testing.assert_allclose(loss, entropy + decay, rtol=1e-5)
        self.assertLen(tf.losses.get_regularization_losses(), 1)

    @parameterized.parameters(True, False)
    def test_base_runs_on_moving_statistics(self, quantize):
        _, batch = self.build(quantize=quantize)
        _, training = self.build(quantize=quantize, freeze_base=True, reuse=True)
        _, evaluation = self.build(quantize=quantize, is_training=False, reuse=True)
        self.start()
        name = "Conv2d_13_pointwise"
        ours, expected, other = self.session.run([training[name], evaluation[name], batch[name]])
        np.testing.assert_array_equal(ours, expected)
        self.assertGreater(np.abs(ours - other).max(), 0.5)

    @parameterized.parameters(True, False)
    def test_statistics_move_when_asked(self, quantize):
        logits, end_points = self.build(
            quantize=quantize, freeze_base=True, update_base_statistics=True
        )
        _, expected = self.build(quantize=quantize, reuse=True)
        _, before, after = self.train(logits, steps=2)
        base = {name for name in before if not name.startswith(_HEAD)}
        moved = self.moved(before, after) & base
        adapting = ("/moving_mean", "/moving_variance")
        if quantize:
            adapting += ("/max", "/biased", "/local_step", "weights_quant/min")
        unlike = {name for name in base - moved if name.endswith(adapting)}
        # The least activation behind a Relu6 is zero, and remains so.
        self.assertEmpty([name for name in unlike if not name.endswith("min/biased")])
        self.assertEmpty([name for name in moved if not name.endswith(adapting)])
        name = "Conv2d_13_pointwise"
        np.testing.assert_allclose(*self.session.run([end_points[name], expected[name]]))


class WholeNetworkTest(_TrainingTestCase):
    @parameterized.parameters(True, False)
    def test_everything_trained_moves(self, quantize):
        logits, _ = self.build(quantize=quantize)
        _, before, after = self.train(logits, steps=1)
        moved = self.moved(before, after)
        self.assertContainsSubset({v.op.name for v in tf.trainable_variables()}, moved)
        self.assertNotIn(_HEAD + "Conv2d_1d_1x1_normalize/biases", moved)
        constant = [name for name in before if "Normalize_1a/" in name]
        self.assertLen(constant, 2 if quantize else 0)
        self.assertNoCommonElements(constant, moved)

    def test_weight_decay(self):
        self.build()
        self.start()
        decayed = [
            v
            for v in tf.trainable_variables()
            if v.op.name.endswith("/weights") and "normalize" not in v.op.name
        ]
        self.assertLen(decayed, 15)
        squares = [np.sum(value.astype(np.float64) ** 2) for value in self.session.run(decayed)]
        decay = self.session.run(tf.losses.get_regularization_loss())
        np.testing.assert_allclose(decay, _WEIGHT_DECAY * np.sum(squares) / 2, rtol=1e-5)

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


class DropoutTest(_TrainingTestCase):
    @parameterized.parameters((True, 0.5, True), (True, 1.0, False), (False, 0.5, False))
    def test_drops_in_training_alone(self, is_training, keep_prob, drops):
        logits, _ = self.build(is_training=is_training, dropout_keep_prob=keep_prob)
        self.start()
        difference = self.session.run(logits) - self.session.run(logits)
        self.assertEqual(np.abs(difference).max() > 0.01, drops)


if __name__ == "__main__":
    absltest.main()
