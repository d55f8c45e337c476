"""Imports TensorFlow without its messages, and with oneDNN; programs import this module first."""

from third_party.tensorflow import chatter, onednn

onednn.enable()
with chatter.held_back():
    import tensorflow  # noqa: F401
