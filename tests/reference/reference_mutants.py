"""Networks with one error each, to test that a comparison finds it.

Each is a context manager within which the network is built with an error.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import tensorflow.compat.v1 as tf
from tf_slim.layers import layers as slim_layers

from classification.nets import batch_norm, fake_quant
from tests.reference import reference_setting


def _options(name: str, **changes: Any) -> contextlib.AbstractContextManager:
    """Changes options of the class with this name."""
    changed = functools.partial(getattr(reference_setting, name), **changes)
    return mock.patch.object(reference_setting, name, changed)


@contextlib.contextmanager
def _biased_variance() -> Iterator[None]:
    """Updates the moving variance with the biased variance of a batch, without n / (n - 1)."""
    fused, move = slim_layers.nn.fused_batch_norm, batch_norm.Statistics._move

    def biased(value: tf.Tensor, count: tf.Tensor | float) -> tf.Tensor:
        return value * ((count - 1) / count)

    def fused_biased(x: tf.Tensor, *args: Any, is_training: bool = True, **more: Any) -> Any:
        outputs, mean, variance = fused(x, *args, is_training=is_training, **more)
        count = float(x.shape[:3].num_elements())
        return outputs, mean, biased(variance, count) if is_training else variance

    fold = batch_norm.Statistics.fold_with_batch

    def fold_biased(self: batch_norm.Statistics, moments: batch_norm.Moments) -> batch_norm.Fold:
        def move_biased(_: Any, variable: tf.Variable, value: tf.Tensor) -> None:
            is_variance = variable.op.name.endswith("variance")
            move(self, variable, biased(value, moments.count) if is_variance else value)

        with mock.patch.object(batch_norm.Statistics, "_move", move_biased):
            return fold(self, moments)

    with (
        mock.patch.object(slim_layers.nn, "fused_batch_norm", fused_biased),
        mock.patch.object(batch_norm.Statistics, "fold_with_batch", fold_biased),
    ):
        yield


def _fake_quant(change: Callable[..., tuple[tf.Tensor, tf.Tensor, bool]]) -> Any:
    """Changes arguments of the fake-quant nodes."""
    original = fake_quant._fake_quant

    def changed(
        inputs: tf.Tensor, low: tf.Tensor, high: tf.Tensor, *, narrow_range: bool = False
    ) -> tf.Tensor:
        low, high, narrow_range = change(low, high, narrow_range)
        return original(inputs, low, high, narrow_range=narrow_range)

    return mock.patch.object(fake_quant, "_fake_quant", changed)


# Errors of float and quantised networks.
FLOAT: dict[str, Callable[[], contextlib.AbstractContextManager]] = {
    "variance biased": _biased_variance,
    "decay of moving statistics .9996": lambda: _options("BatchNorm", decay=0.9996),
    "epsilon .0011": lambda: _options("BatchNorm", epsilon=0.0011),
    "weight decay 5e-5": lambda: _options("TrainingOptions", weight_decay=5e-5),
}
# Errors of quantised networks only.
QUANT: dict[str, Callable[[], contextlib.AbstractContextManager]] = {
    "kernels in 256 levels": lambda: _fake_quant(lambda low, high, _: (low, high, False)),
    "ranges a quantum wider": lambda: _fake_quant(
        lambda low, high, narrow: (low, high + (high - low) / 255, narrow)
    ),
    "decay of ranges .99": lambda: _options("Quantization", range_decay=0.99),
}
