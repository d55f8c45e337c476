"""Endless epochs for training, each in a different order, which can start at any example."""

from collections.abc import Callable

import tensorflow as tf

# With both seeds 0, TensorFlow would choose random ones.
_GRAPH_SEED = 1


def endless(
    make_epoch: Callable[[tf.Tensor], tf.data.Dataset], *, size: int, seen: int
) -> tf.data.Dataset:
    """One epoch after another, without the examples that an earlier run has seen.

    Complete epochs are skipped without reading them; only a part of one epoch is read for
    nothing.

    Args:
      make_epoch: returns the examples of an epoch, given its number, int64 [], from 0.
      size: the number of examples in each epoch, at least 1.
      seen: how many examples to skip.
    """
    first, rest = divmod(seen, size)
    return tf.data.Dataset.range(first, tf.int64.max).flat_map(make_epoch).skip(rest)


def shuffle(
    dataset: tf.data.Dataset, buffer: int, *, seed: int, epoch: tf.Tensor
) -> tf.data.Dataset:
    """Shuffles a data set in an order that depends only on a seed and an epoch's number.

    Call it in the `make_epoch` function of `endless`.

    Args:
      dataset: the data set.
      buffer: the size of the shuffle buffer, in elements.
      seed: any whole number.
      epoch: int64 [].
    """
    # Otherwise the order would also depend on tf.set_random_seed in the surrounding graph. This
    # sets the seed of the graph of make_epoch.
    tf.compat.v1.set_random_seed(_GRAPH_SEED)
    draw = tf.random.stateless_uniform(
        [], tf.stack([tf.constant(seed, tf.int64), epoch]), minval=None, maxval=None, dtype=tf.int64
    )
    return dataset.shuffle(buffer, seed=draw, reshuffle_each_iteration=False)
