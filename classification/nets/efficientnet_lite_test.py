"""Tests of efficientnet_lite.py: variables, blocks, feature maps, fake-quant nodes and modes."""

import functools

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import (
    efficientnet_lite,
    efficientnet_lite_blocks,
    l2norm_network,
    variable_values,
)
from classification.nets.fake_quant import Quantization
from classification.nets.l2norm_network import TrainingOptions
from classification.nets.layers import Mode

_NETWORKS = {network.name: network for network in efficientnet_lite.NETWORKS}
_SCOPE = "efficientnet-lite0/"
_HEAD = "efficientnet-lite0/Logits/"
_CLASSES = 3
_QUANTIZATION = Quantization(per_channel=True)
# Of the blocks of Lite0: arXiv 1905.11946, table 1.
_KERNEL_SIZES = (3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 3)
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
_DEPTHS = (16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320)
_HEAD_POINTS = ("AvgPool_1a", "Features", "Normalize_1a", "Embedding", "Logits", "Predictions")
_RESIDUAL = (2, 4, 6, 7, 9, 10, 12, 13, 14)


def build(inputs, *, name="efficientnet_lite0", num_classes=_CLASSES, **options):
    """Builds a network in the default graph; returns its end points."""
    if isinstance(inputs, int):
        inputs = tf.placeholder(tf.float32, [1, inputs, inputs, 3])
    return l2norm_network.l2norm_network(_NETWORKS[name], inputs, num_classes, **options)[1]


@functools.cache
def published(name):
    """A network for the image size that it was published for: graph, end points and variables."""
    with tf.Graph().as_default() as graph:
        end_points = build(_NETWORKS[name].image_size, name=name)
        shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    return graph, end_points, shapes


def convolutions():
    """The scope, the kernel's name and shape, and the batch norm of Lite0's convolutions."""
    norm = "tpu_batch_normalization"
    found = [("stem", "conv2d/kernel", [3, 3, 3, 32], norm)]
    before = 32
    for i, (size, depth) in enumerate(zip(_KERNEL_SIZES, _DEPTHS, strict=True)):
        block, inner = f"blocks_{i}", before * (6 if i else 1)
        kernels = [
            ("depthwise_conv2d/depthwise_kernel", [size, size, inner, 1]),
            ("conv2d_1/kernel" if i else "conv2d/kernel", [1, 1, inner, depth]),
        ]
        if i:
            kernels.insert(0, ("conv2d/kernel", [1, 1, before, inner]))
        for number, (kernel, shape) in enumerate(kernels):
            found.append((block, kernel, shape, f"{norm}_{number}" if number else norm))
        before = depth
    return [*found, ("head", "conv2d/kernel", [1, 1, 320, 1280], norm)]


class VariablesTest(parameterized.TestCase):
    def test_names_are_those_of_the_published_checkpoints(self):
        _, _, shapes = published("efficientnet_lite0")
        for name, shape in {
            "stem/conv2d/kernel": [3, 3, 3, 32],
            "blocks_0/depthwise_conv2d/depthwise_kernel": [3, 3, 32, 1],
            "blocks_0/tpu_batch_normalization/beta": [32],
            "blocks_0/conv2d/kernel": [1, 1, 32, 16],
            "blocks_1/conv2d/kernel": [1, 1, 16, 96],
            "blocks_1/tpu_batch_normalization_1/moving_variance": [96],
            "blocks_1/conv2d_1/kernel": [1, 1, 96, 24],
            "blocks_1/tpu_batch_normalization_2/gamma": [24],
            "head/conv2d/kernel": [1, 1, 320, 1280],
            "head/tpu_batch_normalization/gamma": [1280],
        }.items():
            self.assertEqual(shapes.get(_SCOPE + name), shape, name)

    def test_the_base_has_no_others(self):
        expected = {}
        for scope, kernel, shape, norm in convolutions():
            expected[f"{_SCOPE}{scope}/{kernel}"] = shape
            channels = shape[-2] if "depthwise" in kernel else shape[-1]
            for part in ("beta", "gamma", "moving_mean", "moving_variance"):
                expected[f"{_SCOPE}{scope}/{norm}/{part}"] = [channels]
        self.assertLen(expected, 5 * 49)
        _, _, shapes = published("efficientnet_lite0")
        self.assertEqual({n: s for n, s in shapes.items() if not n.startswith(_HEAD)}, expected)

    # The number of parameters of the published classifiers, and of their blocks.
    @parameterized.parameters(
        ("efficientnet_lite0", 4_652_008, 16),
        ("efficientnet_lite1", 5_416_680, 21),
        ("efficientnet_lite2", 6_092_072, 21),
        ("efficientnet_lite3", 8_197_096, 24),
        ("efficientnet_lite4", 13_006_568, 30),
    )
    def test_parameters(self, name, parameters, num_blocks):
        _, end_points, shapes = published(name)
        scope = name.replace("_", "-") + "/"
        self.assertEqual({variable.partition("/")[0] + "/" for variable in shapes}, {scope})
        base = {n: s for n, s in shapes.items() if not n.startswith(scope + "Logits/")}
        trained = [int(np.prod(s)) for n, s in base.items() if "/moving_" not in n]
        # The published last layer has 1,000 classes.
        self.assertEqual(sum(trained) + 1281 * 1000, parameters)
        self.assertLen([n for n in end_points if n.startswith("blocks_")], num_blocks)
        if name == "efficientnet_lite0":
            self.assertEqual(sum(int(np.prod(s)) for s in base.values()), 3_413_024)

    def test_initial_kernels(self):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(1)
            build(32)
            session.run(tf.global_variables_initializer())
            kernels = {
                v.op.name: session.run(v) for v in tf.global_variables() if "kernel" in v.op.name
            }
        # He et al., arXiv 1502.01852, equation 14.
        for name, fan_out in (
            ("head/conv2d/kernel", 1280),
            ("blocks_15/conv2d_1/kernel", 320),
            ("blocks_14/depthwise_conv2d/depthwise_kernel", 25),
        ):
            kernel = kernels[_SCOPE + name]
            np.testing.assert_allclose(kernel.std(), np.sqrt(2 / fan_out), rtol=0.05, err_msg=name)
            # The normal distribution is not truncated.
            self.assertGreater(np.abs(kernel).max(), 3 * kernel.std())


class BlocksTest(parameterized.TestCase):
    def test_lite0(self):
        blocks = list(efficientnet_lite_blocks.blocks(efficientnet_lite_blocks.VARIANTS[0]))
        self.assertEqual([block.scope for block in blocks], [f"blocks_{i}" for i in range(16)])
        self.assertEqual(tuple(block.kernel_size for block in blocks), _KERNEL_SIZES)
        self.assertEqual(tuple(block.stride for block in blocks), _STRIDES)
        self.assertEqual(tuple(block.depth for block in blocks), _DEPTHS)
        self.assertEqual([block.expansion for block in blocks], [1] + 15 * [6])
        self.assertEqual(tuple(i for i, b in enumerate(blocks) if b.is_residual), _RESIDUAL)

    # The depths of the stages are those of Google's networks.
    @parameterized.parameters(
        (0, (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
        (1, (16, 24, 40, 80, 112, 192, 320), (1, 3, 3, 4, 4, 5, 1)),
        (2, (16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)),
        (3, (24, 32, 48, 96, 136, 232, 384), (1, 3, 3, 5, 5, 6, 1)),
        (4, (24, 32, 56, 112, 160, 272, 448), (1, 4, 4, 6, 6, 8, 1)),
    )
    def test_stages(self, number, depths, counts):
        blocks = list(efficientnet_lite_blocks.blocks(efficientnet_lite_blocks.VARIANTS[number]))
        expected = [d for d, count in zip(depths, counts, strict=True) for _ in range(count)]
        self.assertEqual([block.depth for block in blocks], expected)
        self.assertTrue(all(block.depth % 8 == 0 for block in blocks))
        # All blocks of a stage but the first are residual.
        firsts = np.cumsum([0, *counts[:-1]])
        self.assertEqual([i for i, b in enumerate(blocks) if not b.is_residual], list(firsts))
        self.assertTrue(all(block.stride == 1 for block in blocks if block.is_residual))


class ShapesTest(parameterized.TestCase):
    @parameterized.parameters(
        ("efficientnet_lite0", 224, [112, 56, 28, 14, 7]),
        ("efficientnet_lite1", 240, [120, 60, 30, 15, 8]),
        ("efficientnet_lite2", 260, [130, 65, 33, 17, 9]),
    )
    def test_feature_maps(self, name, image_size, sizes):
        graph, end_points, _ = published(name)
        pooled = sizes[-1]
        self.assertEqual(_NETWORKS[name].image_size, image_size)
        base = [net.shape.as_list() for net in end_points.values()][: -len(_HEAD_POINTS)]
        self.assertEqual([*dict.fromkeys(shape[1] for shape in base)], sizes)
        self.assertTrue(all(shape[1] == shape[2] for shape in base))
        self.assertEqual(base[-1], [1, pooled, pooled, 1280])
        for point in _HEAD_POINTS:
            expected = [1, _CLASSES] if point in _HEAD_POINTS[-2:] else [1, 1, 1, 1280]
            self.assertEqual(end_points[point].shape.as_list(), expected)
        # The pool covers the complete map.
        features = np.random.default_rng(1).uniform(size=[1, pooled, pooled, 1280])
        with tf.Session(graph=graph) as session:
            mean = session.run(end_points["AvgPool_1a"], {end_points["head"]: features})
        np.testing.assert_allclose(mean, features.mean((1, 2), keepdims=True), rtol=1e-5)

    def test_depth_multiplier(self):
        with (
            tf.Graph().as_default(),
            self.assertRaisesRegex(
                ValueError,
                "no depth multiplier for efficientnet_lite0, which has one width, got 0.5",
            ),
        ):
            build(32, depth_multiplier=0.5)


class QuantisedTest(absltest.TestCase):
    def test_fake_quant_nodes(self):
        with tf.Graph().as_default() as graph:
            build(32, quantization=_QUANTIZATION)
            shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
            nodes = {
                op.name: op.type
                for op in graph.get_operations()
                if op.type.startswith("FakeQuantWithMinMaxVars")
            }
        expected = {_SCOPE + "input_quant/FakeQuantWithMinMaxVars": []}
        layers = [
            (f"{_SCOPE}{s}/{k.rpartition('/')[0]}", shape) for s, k, shape, _ in convolutions()
        ]
        layers.append((_HEAD + "Conv2d_1c_1x1_negative", [1, 1, 1280, 1280]))
        for layer, shape in layers:
            channels = shape[-1] if shape[-1] != 1 else shape[-2]
            name = f"{layer}/weights_quant/FakeQuantWithMinMaxVarsPerChannel"
            expected[name] = [channels]
            expected[f"{layer}/act_quant/FakeQuantWithMinMaxVars"] = []
        per_tensor = [f"{_SCOPE}blocks_{i}/act_quant" for i in _RESIDUAL]
        per_tensor += [
            _HEAD + "act_quant",
            _HEAD + "Normalize_1a/activation_Mul_quant",
            _HEAD + "Conv2d_1d_1x1_normalize/weights_quant",
            _HEAD + "Conv2d_1d_1x1_normalize/act_quant",
            _HEAD + "Mul/activation_Mul_quant",
        ]
        expected |= {f"{place}/FakeQuantWithMinMaxVars": [] for place in per_tensor}
        self.assertCountEqual(nodes, expected)
        self.assertLen(expected, 1 + 2 * 50 + 9 + 5)
        for name, shape in expected.items():
            place, _, type_ = name.rpartition("/")
            self.assertEqual(nodes[name], type_)
            # The result of an addition has a name of its own.
            if place in per_tensor[: len(_RESIDUAL)]:
                place = place.replace("/act_quant", "/add/act_quant")
            if not place.endswith(
                ("input_quant", "Logits/act_quant", "Normalize_1a/activation_Mul_quant")
            ):
                for limit in ("min", "max"):
                    self.assertEqual(shapes.pop(f"{place}/{limit}"), shape)
        self.assertEmpty([name for name in shapes if "_quant/" in name])


class _ValuesTestCase(parameterized.TestCase):
    """Builds networks for small noisy images of several colours."""

    def setUp(self):
        super().setUp()
        self.enter_context(tf.Graph().as_default())
        tf.train.create_global_step()
        random = np.random.default_rng(1)
        colours = random.uniform(-0.8, 0.8, [4, 1, 1, 3])
        noise = random.uniform(-0.2, 0.2, [4, 32, 32, 3])
        self.images = tf.constant(colours + noise, tf.float32)
        self.session = self.enter_context(tf.Session())

    def build(self, mode, *, quantization=_QUANTIZATION, **options):
        training = TrainingOptions(base_mode=mode) if mode is not Mode.INFERENCE else None
        return build(self.images, training=training, quantization=quantization, **options)

    def start(self):
        """Sets variables to values that differ from the initial ones, as training would."""
        random = np.random.default_rng(2)
        tf.set_random_seed(1)
        self.session.run(tf.global_variables_initializer())
        values = {}
        for variable in tf.global_variables():
            name, shape = variable.op.name.split("/")[-1], variable.shape.as_list()
            if name == "gamma":
                values[variable] = random.uniform(0.8, 1.2, shape)
            elif name in ("beta", "moving_mean"):
                values[variable] = random.normal(0, 0.1, shape)
            elif name == "moving_variance":
                values[variable] = random.uniform(0.5, 1.5, shape)
        variable_values.load(self.session, values)
        self.session.run(tf.local_variables_initializer())


class NumbersTest(_ValuesTestCase):
    def test_equals_a_network_of_single_operations(self):
        end_points = self.build(Mode.INFERENCE, quantization=None)
        variables = {v.op.name.removeprefix(_SCOPE): v for v in tf.global_variables()}

        def layer(net, scope, kernel, norm, *, stride=1, relu6=True):
            weights = variables[f"{scope}/{kernel}"]
            if "depthwise" in kernel:
                net = tf.nn.depthwise_conv2d(net, weights, [1, stride, stride, 1], "SAME")
            else:
                net = tf.nn.conv2d(net, weights, stride, "SAME")
            gamma, beta, mean, variance = (
                variables[f"{scope}/{norm}/{part}"]
                for part in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            net = (net - mean) / tf.sqrt(variance + 0.001) * gamma + beta
            return tf.clip_by_value(net, 0.0, 6.0) if relu6 else net

        expected, net = {}, self.images
        for scope, kernel, _, norm in convolutions():
            number = int(scope.removeprefix("blocks_")) if scope.startswith("blocks_") else None
            if "depthwise" in kernel:
                stride = _STRIDES[number]
            else:
                stride = 2 if scope == "stem" else 1
            is_last = kernel == ("conv2d_1/kernel" if number else "conv2d/kernel")
            is_projection = number is not None and is_last
            net = layer(net, scope, kernel, norm, stride=stride, relu6=not is_projection)
            if is_projection and number in _RESIDUAL:
                net += expected[f"blocks_{number - 1}"]
            expected[scope] = net
        self.start()
        self.assertLen(expected, 18)
        ours, expected = self.session.run([{name: end_points[name] for name in expected}, expected])
        for name, value in expected.items():
            error = np.abs(ours[name] - value).max()
            self.assertLess(error, 1e-4 * np.abs(value).max(), name)

    def test_every_trained_variable_has_a_gradient(self):
        end_points = self.build(Mode.TRAINING)
        loss = tf.losses.sparse_softmax_cross_entropy([0, 1, 2, 0], end_points["Logits"])
        variables = tf.trainable_variables()
        # Kernels, gamma and beta; kernel, biases, class vectors and scale factor of the head.
        self.assertLen(variables, 3 * 49 + 4)
        gradients = tf.gradients(loss, variables)
        self.start()
        for variable, gradient in zip(variables, self.session.run(gradients), strict=True):
            self.assertTrue(np.all(np.isfinite(gradient)), variable.op.name)
            self.assertGreater(np.abs(gradient).max(), 0, variable.op.name)


class ModesTest(_ValuesTestCase):
    def update(self):
        """Runs the updates of a step; returns names of all variables, and of those that changed."""
        variables = {v.op.name: v for v in tf.global_variables()}
        before = self.session.run(variables)
        self.session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        after = self.session.run(variables)
        return {name for name in before if before[name].tobytes() != after[name].tobytes()}

    def test_frozen_equals_inference(self):
        frozen = self.build(Mode.FROZEN)["head"]
        self.assertLen(tf.trainable_variables(), 4)
        inference = self.build(Mode.INFERENCE, reuse=True)["head"]
        self.start()
        np.testing.assert_array_equal(*self.session.run([frozen, inference]))
        moved = self.update()
        self.assertNotEmpty(moved)
        self.assertEmpty([name for name in moved if not name.startswith(_HEAD)])

    def test_statistics_only_moves_statistics(self):
        self.build(Mode.STATISTICS_ONLY)
        self.assertLen(tf.trainable_variables(), 4)
        self.start()
        moved = {name for name in self.update() if not name.startswith(_HEAD)}
        statistics = [v.op.name for v in tf.global_variables() if "/moving_" in v.op.name]
        self.assertLen(statistics, 2 * 49)
        self.assertContainsSubset(statistics, moved)
        ranges = moved - set(statistics)
        self.assertEmpty([name for name in ranges if "_quant/" not in name])
        for name in ("blocks_2/add/act_quant/max", "blocks_2/conv2d/weights_quant/min"):
            self.assertIn(_SCOPE + name, ranges)

    def test_inference_updates_nothing(self):
        self.build(Mode.INFERENCE)
        self.assertEmpty(tf.get_collection(tf.GraphKeys.UPDATE_OPS))


if __name__ == "__main__":
    absltest.main()
