"""Epochs of training without end, each in an order of its own, that can be entered anywhere."""

from collections.abc import Callable

import tensorflow as tf

# TensorFlow takes the pair (0, 0) for no seeds at all.
_GRAPH_SEED = 1


def endless(
    make_epoch: Callable[[tf.Tensor], tf.data.Dataset], *, size: int, seen: int
) -> tf.data.Dataset:
    """One epoch after another, less what an earlier run has seen of them.

    Whole epochs are skipped by arithmetic, and only the rest of one is read in vain.

    Args:
      make_epoch: the examples of an epoch, given its number, int64 [], from 0.
      size: how many examples each epoch has, at least 1.
      seen: how many examples to leave out.
    """
    first, rest = divmod(seen, size)
    return tf.data.Dataset.range(first, tf.int64.max).flat_map(make_epoch).skip(rest)


def shuffle(
    dataset: tf.data.Dataset, buffer: int, *, seed: int, epoch: tf.Tensor
) -> tf.data.Dataset:
    """Shuffles a data set in a way that follows from a seed and an epoch's number alone.

    To be called in a function that makes an epoch for `endless`.

    Args:
      dataset: what is shuffled.
      buffer: how many elements are mixed at once.
      seed: any whole number.
      epoch: int64 [].
    """
    # What tf.set_random_seed said to the graph around would have a part in it, too. This is the
    # function's own graph.
    tf.compat.v1.set_random_seed(_GRAPH_SEED)
    draw = tf.random.stateless_uniform(
        [], tf.stack([tf.constant(seed, tf.int64), epoch]), minval=None, maxval=None, dtype=tf.int64
    )
    return dataset.shuffle(buffer, seed=draw, reshuffle_each_iteration=False)
