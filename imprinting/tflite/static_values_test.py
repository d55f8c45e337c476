"""Tests of the rules of operators that compute a shape."""

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.tflite.rules_testing import RulesTestCase

# Their places among the operators of the example.
_SHAPE, _SLICE, _PACK, _RESHAPE = range(4)


def options(place, **values):
    return lambda model: vars(model.subgraphs[0].operators[place].builtinOptions).update(values)


def tensor(place, number, **values):
    """Changes an input of an operator, or its output, number -1."""

    def change(model):
        operator = model.subgraphs[0].operators[place]
        index = [*operator.inputs, *operator.outputs][number]
        vars(model.subgraphs[0].tensors[index]).update(values)

    return change


def number(place, index, value):
    """Changes a constant with one integer."""

    def change(model):
        found = model.subgraphs[0].operators[place].inputs[index]
        buffer = model.subgraphs[0].tensors[found].buffer
        model.buffers[buffer].data = np.frombuffer(np.array([value], np.int32).tobytes(), np.uint8)

    return change


def moved(model):
    """Takes another tensor, which the image determines, as the new shape."""
    model.subgraphs[0].operators[_RESHAPE].inputs[1] = (
        model.subgraphs[0].operators[_SHAPE].inputs[0]
    )


class StaticValuesTest(RulesTestCase):
    @parameterized.parameters(
        (tensor(_SHAPE, -1, shape=[3]), r"the shape \[4\]"),
        (tensor(_SHAPE, -1, type=0), "INT32 for"),
        (options(_SHAPE, outType=0), "INT32 for"),
        (options(_SLICE, shrinkAxisMask=0), "one element"),
        (options(_SLICE, beginMask=1), "one element"),
        (options(_SLICE, ellipsisMask=1), "one element"),
        (options(_SLICE, offset=True), "one element"),
        (number(_SLICE, 1, 4), "one of 4 elements"),
        (number(_SLICE, 1, -1), "one of 4 elements"),
        (number(_SLICE, 2, 4), "one of 4 elements"),
        (number(_SLICE, 3, 0), "one of 4 elements"),
        (number(_SLICE, 1, 1), "one of 4 elements"),
        (tensor(_SLICE, -1, shape=[1]), r"the shape \[\]"),
        (options(_PACK, axis=1), "2 values along axis 0"),
        (options(_PACK, valuesCount=3), "2 values along axis 0"),
        (tensor(_PACK, -1, shape=[3]), r"the shape \[2\]"),
        (number(_PACK, 1, 191), "the shape"),
        (moved, "1 dimensions"),
    )
    def test_refused(self, change, expected):
        self.assert_refused("SHAPE", "UINT8", change, expected)


if __name__ == "__main__":
    absltest.main()
