"""Batches of examples that are decoded, or that say which example cannot be, and why."""

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
    """Decodes examples, several at once, into batches in the order that they come in.

    An error in `decode` does not say which example it is about. What goes wrong in a graph
    cannot be caught in it; but a data set can be told to leave out what fails, and what is
    put behind it then has its turn: here a search for the first example of the batch that
    fails. Errors of `examples` itself come through unchanged.

    Args:
      examples: structures of tensors.
      decode: makes of an example a structure of tensors with known shapes. Errors of its
        operations are what is caught.
      explanations: each makes of an example that cannot be decoded a sentence, string []. The
        first that does not fail itself is taken.
      batch_size: decoded examples in a batch.
      drop_remainder: whether a last batch that is not full is left out.

    Raises (when run):
      tf.errors.InvalidArgumentError: the sentence for the first example that fails.
    """
    # Within a function tf.data.AUTOTUNE does not tune.
    at_once = len(os.sched_getaffinity(0))

    def make_batch(batch: Any) -> Any:
        rows = tf.shape(tf.nest.flatten(batch)[0], out_type=tf.int64)[0]
        each = tf.data.Dataset.from_tensor_slices(batch)
        decoded = each.map(decode, num_parallel_calls=at_once, deterministic=True)
        spec = decoded.element_spec
        # A batch with a gap must not pass for a short one.
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

    # This way decoding is parallel even where TensorFlow's operations are to be deterministic:
    # it then does one after the other what uses get_single_element, and that is a batch.
    return examples.batch(batch_size, drop_remainder=drop_remainder).map(make_batch)


def failure(sentence: tf.Tensor, spec: Any, rows: Any = None) -> Any:
    """Fails when it is run, with a sentence; its result, of a known shape, is never seen.

    Args:
      sentence: string [].
      spec: the shapes and types of the result.
      rows: a first dimension before these; None for none.
    """
    first = [] if rows is None else [rows]
    with tf.control_dependencies([tf.debugging.Assert(False, [sentence])]):
        return tf.nest.map_structure(lambda s: tf.zeros([*first, *s.shape], s.dtype), spec)


def _failing(each: tf.data.Dataset, rows: tf.Tensor, decode: Callable[[Any], Any]) -> Any:
    """The first example that cannot be decoded; nothing where all can."""

    def index_if_decoded(index: tf.Tensor, example: Any) -> tf.Tensor:
        with tf.control_dependencies(tf.nest.flatten(decode(example))):
            return tf.identity(index)

    decoded = each.enumerate().map(index_if_decoded).ignore_errors()
    found = decoded.concatenate(tf.data.Dataset.range(rows, rows + 1)).enumerate()
    # In graph mode == and != tell whether tensors are the same one.
    gap = found.filter(tf.not_equal).take(1)
    return gap.flat_map(lambda position, _: each.skip(position).take(1))
