"""Tests of networks.py and network.py: the list, and a network that a test adds to it."""

from unittest import mock

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import factory, layers, model_config, networks
from classification.nets.l2norm_network import TrainingOptions
from classification.nets.model_config import ModelConfig
from classification.nets.network import Base, Network, PublishedClassifier
from imprinting.base.photo_crop import Crop

_NAMES = ("mobilenet_v1", *(f"efficientnet_lite{number}" for number in range(5)))


def _build_base(inputs, options, *, depth_multiplier=1.0, scope):
    """Two layers with a stride of 4 each."""
    del depth_multiplier, scope
    first, _ = layers.conv2d(inputs, 4, 4, options, stride=4, relu6=True, scope="first")
    last, last_range = layers.depthwise_conv2d(
        first, 3, options, stride=4, relu6=True, scope="last"
    )
    return Base({"first": first, "last": last}, last_range)


_TOY = Network(
    name="toy",
    title="Toy",
    scope="Toy",
    image_size=48,
    num_classes=3,
    embedding_size=8,
    build_base=_build_base,
    initializer=lambda: tf.truncated_normal_initializer(stddev=0.5),
    features_range="Toy/last/act_quant",
    published=PublishedClassifier(kernel="Toy/dense/kernel", biases="Toy/dense/bias"),
)


class NetworksTest(parameterized.TestCase):
    def test_names(self):
        self.assertEqual(tuple(networks.NETWORKS), _NAMES)
        self.assertIn(networks.DEFAULT, _NAMES)
        for name in _NAMES:
            self.assertEqual(networks.get(name).name, name)

    def test_unknown_name(self):
        with self.assertRaisesRegex(
            ValueError, "a network out of mobilenet_v1, efficientnet_lite0, .*, got 'resnet'"
        ):
            networks.get("resnet")

    @parameterized.parameters(
        ([], None),
        (["global_step", "other/weights"], None),
        (["MobilenetV1/Conv2d_0/weights", "global_step"], "mobilenet_v1"),
        (["efficientnet-lite0/stem/conv2d/kernel"], "efficientnet_lite0"),
        (["x", "efficientnet-lite1/Logits/scale_factor", "y/z"], "efficientnet_lite1"),
        (["efficientnet-lite1/a", "efficientnet-lite10/a"], "efficientnet_lite1"),
        (["efficientnet-lite10/a", "MobilenetV1_1/a", "a/MobilenetV1/b"], None),
        # Of two networks.
        (["MobilenetV1/a", "efficientnet-lite0/a"], None),
    )
    def test_network_of_variables(self, variables, expected):
        found = networks.of_variables(variables)
        self.assertEqual(found and found.name, expected)

    def test_crops_and_quantisation(self):
        mobilenet, *others = (networks.get(name) for name in _NAMES)
        self.assertEqual((mobilenet.crop, mobilenet.per_channel), (Crop.STRETCHED, False))
        self.assertEqual({(n.crop, n.per_channel) for n in others}, {(Crop.SQUARE, True)})

    def test_sizes(self):
        found = [networks.get(name) for name in _NAMES]
        sizes = [(n.image_size, n.num_classes, n.embedding_size) for n in found]
        lite = [(size, 1000, 1280) for size in (224, 240, 260, 280, 300)]
        self.assertEqual(sizes, [(224, 1001, 1024), *lite])
        scopes = ["MobilenetV1", *(f"efficientnet-lite{number}" for number in range(5))]
        self.assertEqual([network.scope for network in found], scopes)
        self.assertEqual(found[2].title, "EfficientNet-Lite1")


class AddedNetworkTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        # What the line in networks.py does.
        self.enter_context(mock.patch.dict(networks.NETWORKS, {_TOY.name: _TOY}))
        self.enter_context(tf.Graph().as_default())
        tf.train.create_global_step()
        tf.set_random_seed(1)
        random = np.random.default_rng(1)
        self.images = tf.constant(random.uniform(-1, 1, [6, 48, 48, 3]), tf.float32)

    def build(self, *, quantize=False, **options):
        model = ModelConfig(network="toy", image_size=48, num_classes=3, quantize=quantize)
        return factory.build(self.images, model, **options)

    def test_is_found(self):
        self.assertIs(networks.get("toy"), _TOY)
        self.build()
        names = [v.op.name for v in tf.global_variables()]
        self.assertIs(networks.of_variables(names), _TOY)
        self.assertContainsSubset(
            [_TOY.names.class_vectors, "Toy/first/weights", "Toy/last/BatchNorm/gamma"], names
        )

    def test_model_json(self):
        folder = self.create_tempdir().full_path
        model = ModelConfig(network="toy", image_size=48, num_classes=3, labels=("a", "b", "c"))
        model.write(folder)
        known = model_config.read(folder)
        self.assertEqual(known, model)
        self.assertEqual(known.describe(), "toy, float, 3 classes, 48 x 48 pixels")
        end_points = factory.build(self.images, known)
        self.assertEqual(end_points["last"].shape.as_list(), [6, 3, 3, 4])
        self.assertEqual(end_points["Embedding"].shape.as_list(), [6, 1, 1, 8])

    def test_quantised(self):
        self.build(quantize=True)
        nodes = [op.name for op in tf.get_default_graph().get_operations() if "FakeQ" in op.type]
        self.assertCountEqual(
            [name.rpartition("/")[0] for name in nodes if "Logits" not in name],
            ["Toy/input_quant"]
            + [f"Toy/{s}/{q}_quant" for s in ("first", "last") for q in ("weights", "act")],
        )
        self.assertContainsSubset(
            {f"{_TOY.features_range}/max", "Toy/first/weights_quant/max"},
            {v.op.name for v in tf.global_variables()},
        )

    @parameterized.parameters(True, False)
    def test_training(self, quantize):
        end_points = self.build(quantize=quantize, training=TrainingOptions(dropout_keep_prob=1.0))
        loss = tf.losses.sparse_softmax_cross_entropy([0, 1, 2, 0, 1, 2], end_points["Logits"])
        step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            before = session.run(tf.trainable_variables())
            losses = [session.run([loss, step, updates])[0] for _ in range(30)]
            after = session.run(tf.trainable_variables())
        # Two kernels, gamma and beta twice; kernel, biases, class vectors and scale factor.
        self.assertLen(before, 10)
        for old, new in zip(before, after, strict=True):
            self.assertGreater(np.abs(new - old).max(), 0)
        self.assertLess(losses[-1], 0.5 * losses[0])

    def test_depth_multiplier(self):
        model = ModelConfig(network="toy", num_classes=3, depth_multiplier=0.5)
        with self.assertRaisesRegex(ValueError, "no depth multiplier for toy, which has one width"):
            factory.build(self.images, model)


if __name__ == "__main__":
    absltest.main()
