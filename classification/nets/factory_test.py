"""Tests of factory.py: the names and shapes of the variables in a network's checkpoints."""

import dataclasses

import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import factory
from classification.nets.l2norm_network import TrainingOptions
from classification.nets.model_config import ModelConfig

_CLASSES = 7
# Channels of Conv2d_0 and of each Conv2d_N_pointwise, for a depth multiplier of 1/4.
_DEPTHS = (8, 16, 32, 32, 64, 64, *(6 * (128,)), 256, 256)
_BASE = "MobilenetV1/"
_HEAD = "MobilenetV1/Logits/"
_FLOAT = ModelConfig(image_size=32, depth_multiplier=0.25, num_classes=_CLASSES)


def _quantised(learned):
    return dataclasses.replace(_FLOAT, quantize=True, learned_embedding_range=learned)


def build(model, *, is_training=False, **options):
    size = model.image_size
    images = tf.placeholder(tf.float32, [None, size, size, 3], "input")
    training = TrainingOptions() if is_training else None
    return factory.build(images, model, training=training, **options)


def _float_variables():
    """The names and shapes that checkpoints must have."""
    shapes = {"MobilenetV1/Conv2d_0/weights": [3, 3, 3, 8]}
    for i in range(1, 14):
        before, after = _DEPTHS[i - 1 : i + 1]
        shapes[f"{_BASE}Conv2d_{i}_depthwise/depthwise_weights"] = [3, 3, before, 1]
        shapes[f"{_BASE}Conv2d_{i}_pointwise/weights"] = [1, 1, before, after]
    for name, shape in list(shapes.items()):
        channels = shape[-2] if "depthwise" in name else shape[-1]
        for part in ("beta", "gamma", "moving_mean", "moving_variance"):
            shapes[f"{name.rsplit('/', 1)[0]}/BatchNorm/{part}"] = [channels]
    return shapes | {
        _HEAD + "Conv2d_1c_1x1_negative/weights": [1, 1, 256, 1024],
        _HEAD + "Conv2d_1c_1x1_negative/biases": [1024],
        _HEAD + "Conv2d_1d_1x1_normalize/weights": [1, 1, 1024, _CLASSES],
        _HEAD + "Conv2d_1d_1x1_normalize/biases": [_CLASSES],
        _HEAD + "scale_factor": [],
    }


def _quantised_places(*, learned):
    """Scopes of the fake-quant nodes."""
    layers = ["MobilenetV1/MobilenetV1/Conv2d_0"]
    for i in range(1, 14):
        layers += [f"MobilenetV1/MobilenetV1/Conv2d_{i}_{kind}wise" for kind in ("depth", "point")]
    layers += [_HEAD + "Conv2d_1c_1x1_negative", _HEAD + "Conv2d_1d_1x1_normalize"]
    scopes = [f"{layer}/{kind}_quant" for layer in layers for kind in ("weights", "act")]
    scopes += [_HEAD + "Normalize_1a/activation_Mul_quant", _HEAD + "Mul/activation_Mul_quant"]
    return scopes if learned else [*scopes, _HEAD + "act_quant"]


def _quantised_variables(*, is_training, learned):
    shapes = _float_variables()
    constant = _HEAD + "Normalize_1a/activation_Mul_quant"
    for scope in _quantised_places(learned=True):
        for limit in ("min", "max"):
            if is_training or learned or scope != constant:
                shapes[f"{scope}/{limit}"] = []
            if is_training and (learned or scope != constant) and "weights" not in scope:
                for part in ("biased", "local_step"):
                    shapes[f"{scope}/{scope}/{limit}/{part}"] = []
    return shapes


def _shapes():
    return {
        v.op.name: v.shape.as_list() for v in tf.global_variables() if v.op.name != "global_step"
    }


def _fake_quant_names():
    """Names of the graph's fake-quant nodes, in alphabetical order."""
    operations = tf.get_default_graph().get_operations()
    return sorted(op.name for op in operations if op.type == "FakeQuantWithMinMaxVars")


class _GraphTestCase(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(tf.Graph().as_default())
        tf.train.create_global_step()


class NamesTest(_GraphTestCase):
    @parameterized.parameters(True, False)
    def test_float_variables(self, is_training):
        build(_FLOAT, is_training=is_training)
        self.assertEqual(_shapes(), _float_variables())

    @parameterized.product(is_training=[True, False], learned=[True, False])
    def test_quantised_variables(self, is_training, learned):
        build(_quantised(learned), is_training=is_training)
        self.assertEqual(_shapes(), _quantised_variables(is_training=is_training, learned=learned))

    def test_trained_variables(self):
        build(_quantised(False), is_training=True)
        untrained = ("moving_mean", "moving_variance", "normalize/biases")
        expected = [name for name in _float_variables() if not name.endswith(untrained)]
        self.assertCountEqual([v.op.name for v in tf.trainable_variables()], expected)

    @parameterized.product(is_training=[True, False], learned=[True, False])
    def test_fake_quant_nodes(self, is_training, learned):
        build(_quantised(learned), is_training=is_training)
        # Dropout, which is only in training graphs, has no fake-quant nodes.
        places = _quantised_places(learned=learned)
        expected = sorted(f"{place}/FakeQuantWithMinMaxVars" for place in places)
        self.assertEqual(_fake_quant_names(), expected)

    def test_output_nodes(self):
        end_points = build(_FLOAT)
        self.assertEqual(end_points["Logits"].name, "MobilenetV1/Logits/SpatialSqueeze:0")
        self.assertEqual(end_points["Predictions"].name, "MobilenetV1/Predictions/Reshape_1:0")


class ShapesTest(_GraphTestCase):
    def test_shapes_follow_the_config(self):
        model = dataclasses.replace(
            _FLOAT, image_size=96, depth_multiplier=0.5, num_classes=3, labels=("a", "b", "c")
        )
        end_points = build(model)
        self.assertEqual(end_points["Conv2d_13_pointwise"].shape.as_list(), [None, 3, 3, 512])
        self.assertEqual(end_points["Logits"].shape.as_list(), [None, 3])

    @parameterized.parameters(_FLOAT, _quantised(True))
    def test_embedding_only(self, model):
        end_points = build(model, embedding_only=True)
        self.assertEqual(end_points["Embedding"].shape.as_list(), [None, 1, 1, 1024])
        self.assertNoCommonElements(["Logits", "Predictions"], end_points)
        self.assertEmpty([name for name in _shapes() if "1d_1x1_normalize" in name])


if __name__ == "__main__":
    absltest.main()
