"""Tests of the rules of operators that move, join or reduce elements."""

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.tflite import node_testing, verification
from imprinting.tflite.node_changes import options, retyped, scales, tensor
from imprinting.tflite.rules_testing import RulesTestCase


def numbers(*values):
    """Changes the constant that is the second input of the first operator."""

    def change(model):
        operator = model.subgraphs[0].operators[0]
        buffer = model.subgraphs[0].tensors[operator.inputs[1]].buffer
        model.buffers[buffer].data = np.frombuffer(np.array(values, np.int32).tobytes(), np.uint8)

    return change


class ShapeRulesTest(RulesTestCase):
    @parameterized.parameters(
        ("RESHAPE", numbers(1, -1, -1), "the shape"),
        ("RESHAPE", numbers(1, 0, 3), "the shape"),
        ("RESHAPE", numbers(2**31 - 1, 2**31 - 1, 3), "the shape"),
        ("RESHAPE", tensor(1, buffer=0), "computed before"),
        ("RESHAPE", tensor(1, shape=[3, 1]), "1 dimensions"),
        ("RESHAPE", tensor(-1, shape=[1, 64, 4]), "192 elements"),
        ("RESHAPE", scales(-1, 0.5), "the scale and zero point"),
        ("SQUEEZE", options(squeezeDims=[1]), r"1 in dimensions \[1\]"),
        ("SQUEEZE", options(squeezeDims=[4]), "an axis of 4 dimensions"),
        ("SQUEEZE", tensor(-1, shape=[8, 4, 6]), r"the shape \[8, 8, 3\]"),
        ("EXPAND_DIMS", numbers(5), "an axis of 5 dimensions"),
        ("EXPAND_DIMS", numbers(0), r"the shape \[1, 1, 8, 8, 3\]"),
        ("TRANSPOSE", numbers(0, 3, 1, 1), "an order of 4 dimensions"),
        ("TRANSPOSE", numbers(0, 3, 1, 4), "an order of 4 dimensions"),
        ("TRANSPOSE", numbers(0, 1, 2, 3), r"the shape \[1, 8, 8, 3\]"),
        ("PAD", numbers(0, 0, -1, 0, 2, 1, 0, 0), "a padding from 0"),
        ("PAD", numbers(0, 0, 2**30, 0, 2, 1, 0, 0), "a padding from 0"),
        ("PAD", numbers(0, 0, 1, 1, 2, 1, 0, 0), r"the shape \[1, 10, 11, 3\]"),
        ("PAD", tensor(1, shape=[2, 4]), r"the shape \[4, 2\]"),
        ("CONCATENATION", options(axis=4), "an axis of 4 dimensions"),
        ("CONCATENATION", options(axis=1), r"the shape \[1, 16, 8, 3\]"),
        ("CONCATENATION", options(fusedActivationFunction=1), "an activation"),
        ("MEAN", numbers(1, 4), "an axis of 4 dimensions"),
        ("SUM", numbers(1, -5), "an axis of 4 dimensions"),
        ("REDUCE_MAX", numbers(1, 3), r"the shape \[1, 8\]"),
        ("MEAN", options(keepDims=True), r"the shape \[1, 1, 1, 3\]"),
        ("MEAN", retyped(1, "FLOAT32"), "INT32 numbers"),
    )
    def test_refused(self, name, change, expected):
        self.assert_refused(name, "UINT8", change, expected)

    def test_reshape_by_options(self):
        model = node_testing.classifier("RESHAPE", "UINT8")
        operator = model.subgraphs[0].operators[0]
        operator.inputs = operator.inputs[:1]
        operator.builtinOptions.newShape = [1, 64, 3]
        verification.check(model)
        operator.builtinOptions.newShape = [1, 64]
        with self.assertRaisesRegex(ValueError, r"the shape \[1, 64\]"):
            verification.check(model)
        operator.builtinOptions = None
        with self.assertRaisesRegex(ValueError, "a new shape"):
            verification.check(model)


if __name__ == "__main__":
    absltest.main()
