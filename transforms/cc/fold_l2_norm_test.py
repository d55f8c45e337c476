"""Tests of fold_l2_norm: which kernels it folds, to which values, and what it does not change."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from transforms import graph_transforms, testing

_NORM_OPS = ("Square", "Sum", "Maximum", "Rsqrt", "Sqrt", "RealDiv")


def kernel(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def graph_of(build, input_shape=(1, 2, 2, 8)) -> bytes:
    """Returns the graph of x -> build(x), with the nodes x and y."""
    with tf.Graph().as_default() as graph:
        tf.identity(build(tf.placeholder(tf.float32, input_shape, name="x")), name="y")
    return graph.as_graph_def().SerializeToString()


def conv(x: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(x, w, strides=1, padding="SAME")


def fold(graph: bytes) -> bytes:
    return graph_transforms.transform(graph, inputs=["x"], outputs=["y"], transforms="fold_l2_norm")


class FoldTest(parameterized.TestCase):
    def assert_same_outputs(self, before: bytes, after: bytes, input_shape=(1, 2, 2, 8)):
        """Asserts that the outputs of both are equal bit for bit, and vary."""
        x = {"x:0": kernel(*input_shape, seed=1)}
        expected, actual = (testing.run(graph, "y:0", x) for graph in (before, after))
        np.testing.assert_array_equal(actual, expected)
        self.assertGreater(np.ptp(expected), 0)

    def assert_folded(self, graph: bytes, input_shape=(1, 2, 2, 8)) -> bytes:
        folded = fold(graph)
        left = testing.ops(folded)
        self.assertEqual([op for op in _NORM_OPS if left[op]], [])
        self.assert_same_outputs(graph, folded, input_shape)
        return folded

    def assert_untouched(self, graph: bytes):
        self.assertEqual(testing.nodes(fold(graph)), testing.nodes(graph))

    @parameterized.parameters(
        ((1, 1, 8, 2), -2),
        ((1, 1, 8, 2), 2),
        ((3, 3, 8, 4), -2),
        ((3, 3, 8, 4), (0, 1, 2)),
        ((1, 1, 8, 1), -2),
        ((1, 1, 8, 5000), -2),
        ((5, 1, 8, 3), 3),
    )
    def test_any_size_and_axis(self, shape, axis):
        w = kernel(*shape)
        graph = graph_of(lambda x: conv(x, tf.nn.l2_normalize(tf.constant(w), axis=axis)))
        folded = self.assert_folded(graph)
        name = testing.nodes(folded)["Conv2D"].input[1]
        norms = np.sqrt((testing.constant(folded, name) ** 2).sum(axis=axis))
        np.testing.assert_allclose(norms, np.ones_like(norms), rtol=1e-5)

    def test_large_kernel(self):
        w = kernel(1, 1, 1024, 5000)  # 20 MB: above the limit of TensorFlow's fold_constants.
        graph = graph_of(
            lambda x: conv(x, tf.nn.l2_normalize(tf.constant(w), axis=-2)), (1, 1, 1, 1024)
        )
        folded = self.assert_folded(graph, (1, 1, 1, 1024))
        self.assertLess(len(folded), 21e6)

    def test_fake_quant_node_is_kept(self):
        def build(x):
            w = tf.nn.l2_normalize(tf.identity(tf.constant(kernel(1, 1, 8, 4))), axis=-2)
            w = tf.fake_quant_with_min_max_vars(w, -0.9, 0.9, narrow_range=True, name="quant")
            return tf.nn.bias_add(conv(x, w), [0.0, 1.0, 2.0, 3.0])

        folded = self.assert_folded(graph_of(build))
        quant = testing.nodes(folded)["quant"]
        self.assertEqual(quant.op, "FakeQuantWithMinMaxVars")
        self.assertEqual(testing.constant(folded, quant.input[1]), np.float32(-0.9))
        self.assertEqual(testing.nodes(folded)[quant.input[0]].op, "Const")

    def test_folded_batch_norm_is_kept(self):
        def build(x):
            w = tf.nn.l2_normalize(tf.constant(kernel(1, 1, 8, 4)), axis=-2)
            return conv(x, tf.constant(kernel(4)) * w)

        folded = self.assert_folded(graph_of(build))
        self.assertEqual(testing.ops(folded)["Mul"], 1)

    def test_depthwise_convolution(self):
        def build(x):
            w = tf.nn.l2_normalize(tf.constant(kernel(3, 3, 8, 1)), axis=[0, 1])
            return tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "SAME")

        self.assert_folded(graph_of(build))

    def test_division_by_norm(self):
        w = kernel(1, 1, 8, 4)
        for norm in (
            lambda c: tf.norm(c, axis=-2, keepdims=True),
            lambda c: tf.sqrt(tf.reduce_sum(tf.square(c), axis=-2, keepdims=True)),
        ):

            def build(x, norm=norm):
                c = tf.constant(w)
                return conv(x, c / norm(c))

            self.assert_folded(graph_of(build))

    def test_shared_kernel(self):
        def build(x):
            w = tf.nn.l2_normalize(tf.constant(kernel(1, 1, 8, 8)), axis=-2)
            return conv(conv(x, w), w)

        self.assertEqual(testing.ops(self.assert_folded(graph_of(build)))["Const"], 1)

    def test_raw_kernel_is_kept_if_used_elsewhere(self):
        def build(x):
            c = tf.constant(kernel(1, 1, 8, 8), name="raw")
            return conv(x, tf.nn.l2_normalize(c, axis=-2)) + tf.reduce_mean(c)

        folded = self.assert_folded(graph_of(build))
        self.assertIn("raw", testing.nodes(folded))

    def test_normalised_activations_are_not_folded(self):
        graph = graph_of(lambda x: conv(tf.nn.l2_normalize(x, -1), tf.constant(kernel(1, 1, 8, 4))))
        self.assert_untouched(graph)

    def test_constants_that_are_not_kernels_are_not_folded(self):
        def matmul(x):
            w = tf.nn.l2_normalize(tf.constant(kernel(8, 4)), axis=0)
            return tf.matmul(tf.reshape(x, [4, 8]), w)

        def added(x):
            return x + tf.nn.l2_normalize(tf.constant(kernel(8)), axis=0)

        for build in (matmul, added):
            self.assert_untouched(graph_of(build))

    def test_kernels_without_normalisation_are_not_folded(self):
        def scaled_by_another_norm(x):
            a, b = tf.constant(kernel(1, 1, 8, 4)), tf.constant(kernel(1, 1, 8, 4, seed=2))
            return conv(x, a * tf.rsqrt(tf.reduce_sum(tf.square(b), -2, keepdims=True)))

        def scaled_by_a_variance(x):
            return conv(x, tf.constant(kernel(1, 1, 8, 4)) * tf.rsqrt(tf.constant([1.0, 2, 3, 4])))

        def computed(x):
            w = tf.nn.l2_normalize(tf.reshape(x, [2, 2, 8, 1]), axis=-2)
            return conv(x, w)

        for build in (scaled_by_another_norm, scaled_by_a_variance, computed):
            self.assert_untouched(graph_of(build))

    def test_fed_kernel_is_not_folded(self):
        w = kernel(1, 1, 8, 2)
        graph = graph_of(lambda x: conv(x, tf.nn.l2_normalize(tf.constant(w, name="w"), axis=-2)))
        folded = graph_transforms.transform(
            graph, inputs=["x", "w"], outputs=["y"], transforms="fold_l2_norm"
        )
        self.assertEqual(testing.nodes(folded), testing.nodes(graph))

    def test_folding_twice(self):
        w = kernel(1, 1, 8, 2)
        graph = graph_of(lambda x: conv(x, tf.nn.l2_normalize(tf.constant(w), axis=-2)))
        once = fold(graph)
        self.assertEqual(fold(once), once)

    def test_variable_is_an_error(self):
        graph = graph_of(
            lambda x: conv(x, tf.nn.l2_normalize(tf.get_variable("w", [1, 1, 8, 2]), axis=-2))
        )
        with self.assertRaisesRegex(ValueError, r"variables \(w\); freeze it first"):
            fold(graph)


if __name__ == "__main__":
    absltest.main()
