"""Tests of the rules of operators that compute each element from one, or from a vector."""

from absl.testing import absltest, parameterized

from imprinting.tflite.node_changes import options, retyped, scales, tensor
from imprinting.tflite.rules_testing import RulesTestCase

_UNARY = ("RELU", "RELU6", "RELU_N1_TO_1", "HARD_SWISH", "LOGISTIC", "TANH", "LEAKY_RELU")


class PointwiseRulesTest(RulesTestCase):
    @parameterized.product(
        name=(*_UNARY, "SOFTMAX", "L2_NORMALIZATION"),
        case=(
            (tensor(-1, shape=[1, 8, 4, 6]), r"the shape \[1, 8, 8, 3\]"),
            (retyped(-1, "FLOAT32"), "UINT8"),
            (tensor(0, quantization=None), "one scale"),
            (scales(0, 2.0**40), "scales whose ratio is below"),
        ),
    )
    def test_same_shape_and_type(self, name, case):
        self.assert_refused(name, "UINT8", *case)

    @parameterized.parameters(
        (options(beta=0.0), "beta above 0"),
        (options(beta=-1.0), "beta above 0"),
        (options(beta=float("nan")), "beta above 0"),
        (options(beta=1e30), "beta above 0"),
        (scales(0, 1e-9), "a scale above 2"),
    )
    def test_softmax(self, change, expected):
        self.assert_refused("SOFTMAX", "UINT8", change, expected)

    def test_options(self):
        self.assert_refused("LEAKY_RELU", "UINT8", options(alpha=float("nan")), "alpha from")
        fused = options(fusedActivationFunction=1)
        self.assert_refused("L2_NORMALIZATION", "UINT8", fused, "an activation out of")

    @parameterized.product(
        name=("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU"),
        case=(
            (tensor(1, shape=[3, 1, 1]), "inputs whose shapes fit"),
            (tensor(-1, shape=[1, 8, 4, 6]), r"the shape \[1, 8, 8, 3\]"),
            (tensor(1, shape=[1, 1, 1, 1, 3]), "at most 4 dimensions"),
            (retyped(1, "INT8"), "UINT8"),
        ),
    )
    def test_binary(self, name, case):
        self.assert_refused(name, "UINT8", *case)

    @parameterized.parameters("ADD", "SUB", "MUL")
    def test_scales_and_activations_of_arithmetic(self, name):
        self.assert_refused(name, "UINT8", options(fusedActivationFunction=5), "an activation")
        self.assert_refused(name, "UINT8", scales(1, 2.0**60), "scales")

    @parameterized.parameters("ADD", "SUB")
    def test_output_of_a_sum_with_a_scale_too_large(self, name):
        self.assert_refused(name, "UINT8", scales(-1, 2.0**30), "scales of the inputs from")

    def test_slopes_are_constant(self):
        self.assert_refused(
            "PRELU",
            "UINT8",
            lambda m: vars(m.subgraphs[0].operators[0]).update(inputs=[0, 0]),
            "constant values",
        )

    def test_quotient(self):
        self.assert_refused("DIV", "FLOAT32", retyped(-1, "UINT8"), "FLOAT32 for t")

    def test_quantize(self):
        self.assert_refused("QUANTIZE", "UINT8", retyped(-1, "FLOAT32"), "UINT8 or INT8")
        self.assert_refused("QUANTIZE", "UINT8", scales(0, 2.0**60), "scales whose ratio")

    def test_dequantize(self):
        self.assert_refused(
            "DEQUANTIZE", "UINT8", scales(0, 0.1, 0.1, 0.1), "INT8 with several scales"
        )
        self.assert_refused("DEQUANTIZE", "UINT8", retyped(-1, "INT32"), "FLOAT32 for the out")
        halves = retyped(0, "INT32")
        self.assert_refused("DEQUANTIZE", "UINT8", halves, "UINT8 or INT8")


if __name__ == "__main__":
    absltest.main()
