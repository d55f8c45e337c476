"""Helpers for tests of graph transforms: small graphs, checkpoints, and running graphs."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from transforms import graph_transforms


def save(folder: str, session: tf.Session, *, version: int = tf.train.SaverDef.V2) -> str:
    """Writes a checkpoint of the session's variables; returns its prefix."""
    prefix = os.path.join(folder, "model.ckpt")
    tf.train.Saver(write_version=version).save(session, prefix, write_meta_graph=False)
    return prefix


def nodes(graph: bytes) -> dict[str, tf.NodeDef]:
    """Returns the nodes of a serialised graph by their names."""
    return {node.name: node for node in tf.GraphDef.FromString(graph).node}


def ops(graph: bytes) -> Counter[str]:
    """Counts the nodes of each op in a serialised graph."""
    return Counter(node.op for node in tf.GraphDef.FromString(graph).node)


def run(graph: bytes, fetches: str | Sequence[str], feeds: Mapping[str, Any] | None = None) -> Any:
    """Runs a serialised graph, and returns the values of the fetches."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(tf.GraphDef.FromString(graph), name="")
        return session.run(fetches, feeds)


def constant(graph: bytes, name: str) -> np.ndarray:
    """Returns the value of a constant in a serialised graph."""
    return tf.make_ndarray(nodes(graph)[name].attr["value"].tensor)


def quantised_layer(*, size: int = 4) -> bytes:
    """Returns a dense layer with a scaled and fake-quantised kernel, and an unused node."""
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [1, 3], name="x")
        kernel = tf.constant(np.linspace(-1, 1, 3 * size, dtype=np.float32).reshape(3, size))
        kernel = tf.multiply(kernel, tf.rsqrt(tf.constant(4.0)), name="scaled")
        kernel = tf.fake_quant_with_min_max_vars(kernel, -0.6, 0.6, narrow_range=True, name="quant")
        tf.identity(tf.matmul(x, kernel), name="y")
        tf.identity(x, name="unused")
    return graph.as_graph_def().SerializeToString()


def transform(
    graph: bytes, transforms: str | Sequence[graph_transforms.Transform], **options: Any
) -> bytes:
    """Applies transforms to a graph with input x and output y."""
    options = {"inputs": ["x"], "outputs": ["y"]} | options
    return graph_transforms.transform(graph, transforms=transforms, **options)
