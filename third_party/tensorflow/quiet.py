"""Imports TensorFlow without what it always prints: programs import this module first."""

from third_party.tensorflow import chatter

with chatter.held_back():
    import tensorflow  # noqa: F401
