"""Imports TensorFlow without its messages, with oneDNN and without Keras.

Programs import this module first.
"""

import os
import sys

from third_party.tensorflow import chatter, onednn

onednn.enable()
# TensorFlow would otherwise take all of a GPU's memory, whatever it needs.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
# TensorFlow imports Keras if it is there, with an HTTP client and more: 560 modules, which take a
# fifth of the time. No program uses Keras; tests that do can import it before or afterwards.
is_hidden = sys.modules.setdefault("keras", None) is None  # type: ignore[arg-type]
try:
    with chatter.held_back():
        import tensorflow  # noqa: F401
finally:
    if is_hidden:
        del sys.modules["keras"]
