"""Scales pixels for quantised networks: x = (q - 128) / 128 for an eight-bit number q.

A network is trained on x in [-1, 1]; the input of its .tflite is q. The functions take numpy
arrays; `to_real` takes float32 tensors of TensorFlow, too.
"""

from typing import Any

import numpy as np

# TensorFlow Lite calls them mean and standard deviation. As a quantised tensor, x has the scale
# 1 / STD and the zero point MEAN.
MEAN = 128.0
STD = 128.0
# What differs between the same number in uint8 and in int8.
INT8_OFFSET = 128


def to_real(quanta: Any) -> Any:
    """Returns the network's input x for eight-bit numbers.

    Args:
      quanta: any shape, integers in 0..255, as a uint8 or float32 array or a float32 tensor.

    Returns:
      float32 of the same shape, in [-1, 127/128].
    """
    if isinstance(quanta, np.ndarray):
        quanta = quanta.astype(np.float32)
    return (quanta - MEAN) / STD


def to_quanta(images: np.ndarray) -> np.ndarray:
    """Returns the eight-bit numbers for a network's input x.

    Args:
      images: float, any shape, in [-1, 1].

    Returns:
      uint8 of the same shape: the nearest numbers. Values above 127/128 become 255.
    """
    return np.clip(np.rint(images * STD + MEAN), 0, 255).astype(np.uint8)
