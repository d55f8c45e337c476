"""Sets the values of a graph's variables."""

from collections.abc import Mapping

import numpy as np
import tensorflow.compat.v1 as tf


def load(session: tf.Session, values: Mapping[tf.Variable, np.typing.ArrayLike]) -> None:
    """Sets the values of variables, without adding anything to the graph.

    All are set in one run: one run per variable would take seconds in a large graph.

    Raises:
      ValueError: if a value's shape is not that of its variable; then no variable has changed.
    """
    session.run(
        [variable.initializer for variable in values],
        {variable.initializer.inputs[1]: value for variable, value in values.items()},
    )
