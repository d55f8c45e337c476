"""A quantised network in TensorFlow's own operations, as TensorFlow 1's tools build it.

contrib.quantize takes batch norm's statistics by tf.nn.moments from a convolution of its own,
corrects the result by a product and a sum, and lets fake-quant nodes and Relu6 have their own
gradients. The numbers are those of this project's network; only the time differs.
"""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import tensorflow.compat.v1 as tf

from classification.nets import batch_norm, fake_quant, layers
from classification.nets.batch_norm import Moments
from classification.nets.fake_quant import Range


@contextlib.contextmanager
def built() -> Iterator[None]:
    """Within it, networks are built in this form."""
    with (
        mock.patch.object(layers, "_has_fast_moments", lambda *_: False),
        mock.patch.object(layers, "batch_moments", _moments),
        mock.patch.object(layers, "affine", lambda net, scale, offset: net * scale + offset),
        mock.patch.object(fake_quant, "quantize_relu6", _quantize_relu6),
    ):
        yield


def _moments(net: tf.Tensor) -> Moments:
    mean, variance = tf.nn.moments(net, [0, 1, 2])
    count = batch_norm._count(net)
    return Moments(mean, variance * count / tf.maximum(count - 1.0, 1.0), count)


def _quantize_relu6(inputs: tf.Tensor, name: str, **options: Any) -> tuple[tf.Tensor, Range]:
    return fake_quant.quantize_activations(tf.nn.relu6(inputs), name, **options)
