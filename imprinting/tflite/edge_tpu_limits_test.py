"""Tests of the limits of the Edge TPU's operations."""

import numpy as np
from absl.testing import absltest, parameterized

import imprinting.schema.tflite as schema
from imprinting.tflite.edge_tpu_limits import LIMITS, Use
from imprinting.tflite.model_graph import Operator, Tensor


def tensor(*shape, index=0, constant=False):
    return Tensor(index, "", "UINT8", shape, (0.5,), (3,), constant)


def within(name, inputs, output=(1, 2, 2, 4), options=None, op="OP", constants=None):
    """Whether an operator is within a limit.

    Args:
      name: that of the limit.
      inputs: the shape of each input.
      output: that of the output.
      options: an object of the schema.
      op: the operator's name.
      constants: index of an input -> its values.
    """
    constants = constants or {}
    tensors = [tensor(*s, index=i, constant=i in constants) for i, s in enumerate(inputs)]

    def values(found):
        return np.array(constants[found.index]) if found.constant else None

    operator = Operator(0, op, 1, tuple(tensors), (tensor(*output, index=99),))
    return LIMITS[name](Use(operator, options, values))


class EdgeTpuLimitsTest(parameterized.TestCase):
    _IMAGE = (1, 4, 4, 8)

    def test_activation_and_dilation(self):
        relu = schema.ActivationFunctionType.RELU
        for activation, expected in ((0, True), (relu, False)):
            options = schema.Pool2DOptionsT(fusedActivationFunction=activation)
            found = within("no_activation", [self._IMAGE], options=options)
            self.assertEqual(found, expected)
        for factors, expected in (((1, 1), True), ((2, 2), True), ((2, 1), False)):
            options = schema.Conv2DOptionsT(dilationWFactor=factors[0], dilationHFactor=factors[1])
            self.assertEqual(within("same_dilation", [self._IMAGE], options=options), expected)
        self.assertTrue(within("same_dilation", [self._IMAGE]))

    @parameterized.parameters(
        ([(1, 4), (1, 4)], {}, True),
        ([(1, 4), (1, 4)], {1: [3, 3]}, True),
        ([(1, 4), (1, 4)], {1: [3, 4]}, False),
        ([(1, 4), (1, 4), (1, 4)], {1: [3, 3]}, False),
    )
    def test_constants_of_a_concatenation(self, inputs, constants, expected):
        self.assertEqual(within("zero_constant", inputs, constants=constants), expected)

    def test_fully_connected(self):
        for form, expected in ((0, True), (1, False)):
            options = schema.FullyConnectedOptionsT(weightsFormat=form)
            self.assertEqual(within("default_weights", [(1, 4)], options=options), expected)
        self.assertTrue(within("vector_output", [(1, 4)], output=(1, 9)))
        self.assertFalse(within("vector_output", [(2, 4)], output=(2, 9)))

    @parameterized.parameters(
        ((1, 16_000), True), ((1, 16_001), False), ((7,), True), ((1, 2, 9), False)
    )
    def test_softmax(self, shape, expected):
        self.assertEqual(within("short_vector_input", [shape]), expected)

    @parameterized.parameters(
        ([1, 2], True, True),
        ([0], False, True),
        ([-4], False, True),
        ([3], True, True),
        ([-1, 1], True, True),
    )
    def test_axes_of_a_mean(self, axes, batch, channels):
        shapes, constants = [self._IMAGE, (len(axes),)], {1: axes}
        self.assertEqual(within("not_along_batch", shapes, constants=constants), batch)
        self.assertEqual(within("channels_of_mean", shapes, constants=constants), channels)

    def test_channels_of_a_mean(self):
        shapes = [(1, 4, 4, 6), (1,)]
        self.assertFalse(within("channels_of_mean", shapes, constants={1: [3]}))
        self.assertTrue(within("channels_of_mean", shapes, constants={1: [2]}))
        self.assertFalse(within("channels_of_mean", shapes))
        self.assertFalse(within("not_along_batch", shapes))

    def test_split_pack_and_pad(self):
        for axis, expected in ((0, False), (3, True), (-4, False)):
            shapes = [(), self._IMAGE]
            found = within("no_batch_axis", shapes, op="SPLIT", constants={0: [axis]})
            self.assertEqual(found, expected)
            options = schema.PackOptionsT(axis=axis)
            self.assertEqual(within("no_batch_axis", [(1, 4)], options=options), expected)
        self.assertFalse(within("no_batch_axis", [(), self._IMAGE], op="SPLIT"))
        for padding, expected in (([0, 0, 1, 1, 0, 0, 0, 0], True), ([0, 1] + [0] * 6, False)):
            shapes = [self._IMAGE, (4, 2)]
            self.assertEqual(within("no_padded_batch", shapes, constants={1: padding}), expected)
        self.assertFalse(within("no_padded_batch", [self._IMAGE, (4, 2)]))

    def test_slope_and_slice(self):
        self.assertTrue(within("vector_slope", [self._IMAGE, (1, 1, 8)]))
        self.assertFalse(within("vector_slope", [self._IMAGE, (4, 4, 8)]))
        shapes = [self._IMAGE, (4,), (4,), (4,)]
        for strides, masks, expected in (
            ([1, 1, 1, 1], (0, 0), True),
            ([1, 2, 1, 1], (0, 0), False),
            ([1, 1, 1, 1], (1, 0), False),
            ([1, 1, 1, 1], (0, 1), False),
        ):
            options = schema.StridedSliceOptionsT(ellipsisMask=masks[0], newAxisMask=masks[1])
            found = within("plain_slice", shapes, options=options, constants={3: strides})
            self.assertEqual(found, expected)


if __name__ == "__main__":
    absltest.main()
