"""Tests of the rules of operators with weights or windows."""

import numpy as np
from absl.testing import absltest, parameterized

import imprinting.schema.tflite as schema
from imprinting.tflite import node_testing, verification
from imprinting.tflite.node_changes import options, retyped, scales, tensor
from imprinting.tflite.rules_testing import RulesTestCase


class LayerRulesTest(RulesTestCase):
    @parameterized.parameters(
        ("a stride", options(strideH=0), "a stride from 1 to 1024 of CONV_2D"),
        ("a large stride", options(strideW=2**31 - 1), "a stride from 1 to 1024 of CONV_2D"),
        ("a dilation", options(dilationWFactor=0), "a dilation from 1 to 1024"),
        ("padding", options(padding=2), "padding 0 or 1"),
        ("the output of other padding", options(padding=0), r"the shape \[1, 4, 8, 4\]"),
        ("an activation", options(fusedActivationFunction=4), "an activation out of"),
        ("a dimension of the image", tensor(0, shape=[1, 8, 24]), "4 dimensions"),
        ("a window larger than the image", options(dilationHFactor=4), "more than 8 pixels"),
        ("channels", tensor(1, shape=[4, 1, 3, 9]), "groups of equal size"),
        ("groups", tensor(1, shape=[4, 9, 3, 1]), "groups of equal size"),
        ("dimensions of weights", tensor(1, shape=[4, 27]), "4 dimensions"),
        ("computed weights", tensor(1, buffer=0), "computed before"),
        ("the bias's length", tensor(2, shape=[2, 2]), r"INT32 \[4\]"),
        ("the bias's type", retyped(2, "FLOAT32"), r"INT32 \[4\]"),
        ("the weights' type", retyped(1, "INT8"), "UINT8"),
        ("the weights' scales", scales(1, 0.1, 0.1, 0.1, 0.1), "one scale or 4"),
        ("the bias's scales", scales(2, 0.1, 0.1, 0.1, 0.1), "1 scales"),
        ("large scales", scales(1, 1e4), "scales whose product is below 256"),
        ("the output's type", retyped(-1, "INT8"), "UINT8"),
        ("the output's scale", tensor(-1, quantization=None), "one scale"),
    )
    def test_conv_2d(self, _, change, expected):
        self.assert_refused("CONV_2D", "UINT8", change, expected)

    def test_scales_of_channels_are_along_the_right_dimension(self):
        model = node_testing.classifier("CONV_2D", "INT8")
        conv = model.subgraphs[0].operators[1]
        for number, dimension in ((1, 0), (2, 0)):
            vars(model.subgraphs[0].tensors[conv.inputs[number]]).update(
                quantization=schema.QuantizationParametersT(
                    scale=[0.1] * 4, zeroPoint=[0] * 4, quantizedDimension=dimension
                )
            )
        verification.check(model)
        model.subgraphs[0].tensors[conv.inputs[1]].quantization.quantizedDimension = 3
        with self.assertRaisesRegex(ValueError, "scales along dimension 0"):
            verification.check(model)

    @parameterized.parameters(
        ("the multiplier", options(depthMultiplier=1), r"weights \[1, h, w, 3 \* 1\]"),
        ("a multiplier of 0", options(depthMultiplier=0), r"weights \[1, h, w, 3 \* 0\]"),
        ("weights of several images", tensor(1, shape=[3, 3, 1, 6]), r"weights \[1, h, w"),
        ("a stride", options(strideW=-1), "a stride from 1"),
        ("the output", tensor(-1, shape=[1, 8, 4, 12]), r"the shape \[1, 8, 8, 6\]"),
    )
    def test_depthwise_conv_2d(self, _, change, expected):
        self.assert_refused("DEPTHWISE_CONV_2D", "UINT8", change, expected)

    @parameterized.parameters(
        ("the depth", tensor(1, shape=[3, 4]), r"INT32 \[3\]"),
        ("the format", options(weightsFormat=1), "weights in the default format"),
        ("the output's shape", options(keepNumDims=False), r"the shape \[64, 4\]"),
        ("the weights' dimensions", tensor(1, shape=[4, 3, 1]), "2 dimensions"),
    )
    def test_fully_connected(self, _, change, expected):
        self.assert_refused("FULLY_CONNECTED", "UINT8", change, expected)

    @parameterized.product(
        name=("AVERAGE_POOL_2D", "MAX_POOL_2D"),
        case=(
            (options(filterHeight=0), "a filter's height from 1 to 1024"),
            (options(filterWidth=2**30), "a filter's width from 1 to 1024"),
            (options(strideH=0), "a stride from 1"),
            (options(filterHeight=9), "more than 8 pixels"),
            (options(padding=0), r"the shape \[1, 4, 4, 3\]"),
            (tensor(-1, shape=[1, 4, 1, 9]), r"the shape \[1, 4, 3, 3\]"),
            (scales(-1, 0.5), "the scale and zero point of"),
        ),
    )
    def test_pools(self, name, case):
        self.assert_refused(name, "UINT8", *case)

    def test_bytes_of_weights_with_float_activations(self):
        verification.check(node_testing.classifier("CONV_2D of bytes", "FLOAT32"))
        self.assert_refused(
            "CONV_2D of bytes", "FLOAT32", tensor(1, quantization=None), "one scale or 4"
        )
        wide = retyped(2, "INT32")
        self.assert_refused("CONV_2D of bytes", "FLOAT32", wide, r"FLOAT32 \[4\]")

    def test_work_and_scratch(self):
        model = node_testing.classifier("CONV_2D", "UINT8")
        each = verification.nodes(model)[0]
        kind = verification.KINDS["CONV_2D"]
        self.assertEqual(kind.work(each), 3 * 6 * 4 * 3 * 3 * 3)
        self.assertEqual(kind.scratch(each), 3 * 6 * 3 * 3 * 3)
        kernel = np.array([4, 1, 1, 27], np.int32)
        model.subgraphs[0].tensors[each.input(1).index].shape = kernel
        self.assertEqual(kind.scratch(verification.nodes(model)[0]), 0)


if __name__ == "__main__":
    absltest.main()
