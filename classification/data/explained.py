"""Decodes examples in batches; errors say which example cannot be decoded, and why."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def batches(
    examples: tf.data.Dataset,
    decode: Callable[[Any], Any],
    explanations: Sequence[Callable[[Any], tf.Tensor]],
    *,
    batch_size: int,
    drop_remainder: bool,
) -> tf.data.Dataset:
    """Decodes examples in parallel into batches, in the order of the examples.

    An error in `decode` does not say which example failed, and a graph cannot catch its own
    errors. But a data set can ignore errors: a batch that fails is left out, and then its
    place is taken by what is concatenated to it. That is a search for the first example of
    the batch that fails, which raises an error about it. Errors of `examples` itself are
    not changed.

    Args:
      examples: structures of tensors.
      decode: turns an example into a structure of tensors with known shapes.
      explanations: each turns an example that cannot be decoded into a sentence, string [].
        The first one that does not fail itself is used.
      batch_size: number of examples in a batch.
      drop_remainder: whether to leave out a last batch that is not full.

    Raises (when run):
      tf.errors.InvalidArgumentError: the sentence about the first example that fails.
    """
    # tf.data.AUTOTUNE does not work in a function.
    at_once = len(os.sched_getaffinity(0))

    def make_batch(batch: Any) -> Any:
        rows = tf.shape(tf.nest.flatten(batch)[0], out_type=tf.int64)[0]
        each = tf.data.Dataset.from_tensor_slices(batch)
        decoded = each.map(decode, num_parallel_calls=at_once, deterministic=True)
        spec = decoded.element_spec
        # A batch with a missing example must not be taken for a smaller last batch.
        size = batch_size if drop_remainder else rows
        decoded = decoded.batch(size, drop_remainder=True)
        failing = _failing(each, rows, decode)
        sentence = failing.map(explanations[-1])
        for explain in reversed(explanations[:-1]):
            sentence = failing.map(explain).ignore_errors().concatenate(sentence)
        failed = sentence.map(lambda sentence: failure(sentence, spec, rows=size))
        return (
            decoded.ignore_errors()
            .concatenate(failed)
            .concatenate(decoded)
            .take(1)
            .get_single_element()
        )

    # Batches are outside and examples inside, so that decoding is parallel even if TensorFlow's
    # operations are set to be deterministic: then only what uses get_single_element is sequential.
    return examples.batch(batch_size, drop_remainder=drop_remainder).map(make_batch)


def failure(sentence: tf.Tensor, spec: Any, rows: Any = None) -> Any:
    """A structure of tensors that raises an error when it is run.

    Args:
      sentence: the error's message, string [].
      spec: the shapes and types of the result.
      rows: a first dimension before these; None for none.
    """
    first = [] if rows is None else [rows]
    with tf.control_dependencies([tf.debugging.Assert(False, [sentence])]):
        return tf.nest.map_structure(lambda s: tf.zeros([*first, *s.shape], s.dtype), spec)


def _failing(each: tf.data.Dataset, rows: tf.Tensor, decode: Callable[[Any], Any]) -> Any:
    """The first example that cannot be decoded; empty if there is none."""

    def index_if_decoded(index: tf.Tensor, example: Any) -> tf.Tensor:
        with tf.control_dependencies(tf.nest.flatten(decode(example))):
            return tf.identity(index)

    decoded = each.enumerate().map(index_if_decoded).ignore_errors()
    found = decoded.concatenate(tf.data.Dataset.range(rows, rows + 1)).enumerate()
    # In graph mode, != compares the identity of tensors and not their values.
    gap = found.filter(tf.not_equal).take(1)
    return gap.flat_map(lambda position, _: each.skip(position).take(1))
