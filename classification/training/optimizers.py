"""The optimisers of tf-slim's trainer, under its names."""

from collections.abc import Callable

import tensorflow.compat.v1 as tf

# Constants are those of tf-slim, except Adam's epsilon, which is that of Kingma and Ba (arXiv
# 1412.6980, algorithm 1): with tf-slim's epsilon of 1, Adam hardly adapts its steps.
_EPSILON = 1.0
_MAKE: dict[str, Callable[[tf.Tensor, float], tf.train.Optimizer]] = {
    "adadelta": lambda rate, _: tf.train.AdadeltaOptimizer(rate, rho=0.95, epsilon=_EPSILON),
    "adagrad": lambda rate, _: tf.train.AdagradOptimizer(rate, initial_accumulator_value=0.1),
    "adam": lambda rate, _: tf.train.AdamOptimizer(rate, beta1=0.9, beta2=0.999, epsilon=1e-8),
    "ftrl": lambda rate, _: tf.train.FtrlOptimizer(rate, initial_accumulator_value=0.1),
    "momentum": lambda rate, momentum: tf.train.MomentumOptimizer(rate, momentum, name="Momentum"),
    "rmsprop": lambda rate, momentum: tf.train.RMSPropOptimizer(
        rate, decay=0.9, momentum=momentum, epsilon=_EPSILON
    ),
    "sgd": lambda rate, _: tf.train.GradientDescentOptimizer(rate),
}

NAMES = tuple(_MAKE)


def make(name: str, rate: tf.Tensor, *, momentum: float) -> tf.train.Optimizer:
    """An optimiser.

    Args:
      name: one of `NAMES`.
      rate: the learning rate, a scalar.
      momentum: in [0, 1), for momentum and rmsprop.
    """
    return _MAKE[name](rate, momentum)
