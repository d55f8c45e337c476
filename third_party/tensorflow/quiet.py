"""Imports TensorFlow without its messages; programs import this module first."""

from third_party.tensorflow import chatter

with chatter.held_back():
    import tensorflow  # noqa: F401
