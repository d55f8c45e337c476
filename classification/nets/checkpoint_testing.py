"""Small checkpoints, for tests."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from third_party.tf_slim.slim import slim  # noqa: F401


def save(prefix: str, shapes: Mapping[str, Sequence[int]], *, step: int | None = None) -> str:
    """Writes a checkpoint whose values count from 0.

    Args:
      prefix: what the names of its files begin with.
      shapes: the shapes of its variables, by name.
      step: the global step, which is added to the prefix; None for none.

    Returns:
      The checkpoint's prefix.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        for name, shape in shapes.items():
            values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
            tf.get_variable(name, initializer=values)
        session.run(tf.global_variables_initializer())
        return tf.train.Saver().save(session, prefix, global_step=step, write_meta_graph=False)
