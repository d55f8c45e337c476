"""Giving a graph's variables values."""

from collections.abc import Mapping

import numpy as np
import tensorflow.compat.v1 as tf


def load(session: tf.Session, values: Mapping[tf.Variable, np.typing.ArrayLike]) -> None:
    """Gives variables values, all in one run: a run for each takes seconds in a large graph.

    Nothing is added to the graph.

    Raises:
      ValueError: if a value has another shape than its variable; then none has changed.
    """
    session.run(
        [variable.initializer for variable in values],
        {variable.initializer.inputs[1]: value for variable, value in values.items()},
    )
