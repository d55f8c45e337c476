"""tf-slim 1.1.0 on TensorFlow 2.21: import `slim` from here, never `tf_slim` itself.

tf-slim uses names in TensorFlow's modules that have moved since, and Keras layers that no longer
exist. This module adds the names where tf-slim looks for them. It also switches TensorFlow to graph
mode with reference variables, so that variables, nodes and checkpoints have the same names and
types as in published checkpoints.
"""

import logging as _logging

import tensorflow as _tf
from tensorflow.python.framework import indexed_slices as _indexed_slices
from tensorflow.python.framework import ops as _ops
from tensorflow.python.framework import tensor as _tensor
from tensorflow.python.ops import array_ops as _array_ops
from tensorflow.python.ops import array_ops_stack as _array_ops_stack
from tensorflow.python.ops import cond as _cond
from tensorflow.python.ops import control_flow_assert as _control_flow_assert
from tensorflow.python.ops import control_flow_case as _control_flow_case
from tensorflow.python.ops import control_flow_ops as _control_flow_ops
from tensorflow.python.ops import variable_scope as _variable_scope
from tensorflow.python.ops import variable_v1 as _variable_v1
from tensorflow.python.ops import while_loop as _while_loop

_MOVED = (
    (_control_flow_ops, "case", _control_flow_case.case),
    (_control_flow_ops, "cond", _cond.cond),
    (_control_flow_ops, "while_loop", _while_loop.while_loop),
    (_control_flow_ops, "Assert", _control_flow_assert.Assert),
    (_ops, "Tensor", _tensor.Tensor),
    (_ops, "IndexedSlices", _indexed_slices.IndexedSlices),
    (_array_ops, "stack", _array_ops_stack.stack),
    (_array_ops, "unstack", _array_ops_stack.unstack),
    (_variable_scope, "variable", _variable_v1.VariableV1),
)

for _module, _name, _value in _MOVED:
    if not hasattr(_module, _name):
        setattr(_module, _name, _value)

_logger = _tf.get_logger()
_level = _logger.level
# It warns that reference variables are deprecated, but they are needed.
_logger.setLevel(_logging.ERROR)
_tf.compat.v1.disable_eager_execution()
_tf.compat.v1.disable_resource_variables()
_logger.setLevel(_level)

import tf_slim as slim  # noqa: E402

__all__ = ["slim"]
