"""Pixels as quantised networks take them: x = (q - 128) / 128 for an eight-bit number q.

A network is trained on x in [-1, 1]; the first tensor of its .tflite holds q. The functions take
numpy arrays; `to_real` takes TensorFlow's tensors of float32, too.
"""

from typing import Any

import numpy as np

# TensorFlow Lite's names for them. As a quantised tensor, x has the scale 1 / STD and the zero
# point MEAN.
MEAN = 128.0
STD = 128.0


def to_real(quanta: Any) -> Any:
    """The network's input x for eight-bit numbers.

    Args:
      quanta: any shape, whole numbers in 0..255, as uint8 or float32; a tensor as float32 alone.

    Returns:
      float32 of the same shape, in [-1, 127/128].
    """
    if isinstance(quanta, np.ndarray):
        quanta = quanta.astype(np.float32)
    return (quanta - MEAN) / STD


def to_quanta(images: np.ndarray) -> np.ndarray:
    """The eight-bit numbers for a network's input x.

    Args:
      images: float, any shape, in [-1, 1].

    Returns:
      uint8 of the same shape: the nearest numbers; for 1, which has none, 255.
    """
    return np.clip(np.rint(images * STD + MEAN), 0, 255).astype(np.uint8)
