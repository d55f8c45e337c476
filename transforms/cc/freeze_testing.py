"""A test case for freezing: a small graph with variables, and its checkpoint."""

from collections.abc import Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import parameterized

from transforms import graph_transforms, testing

# The initial value of the variable layer/w.
W = np.arange(12, dtype=np.float32).reshape(3, 4)


class FreezeTestCase(parameterized.TestCase):
    """Freezes a graph of y = x w + b, with the variables layer/w and layer/b."""

    def setUp(self) -> None:
        """Makes the folder of the checkpoint."""
        super().setUp()
        self.folder = self.create_tempdir().full_path

    def build(
        self, *, by_handle: bool = False, version: int = tf.train.SaverDef.V2
    ) -> tuple[bytes, str]:
        """Returns the graph, and the prefix of a checkpoint of its variables.

        It also has a variable that y does not depend on, layer/unused.
        """
        with tf.Graph().as_default() as graph, tf.Session() as session:
            x = tf.placeholder(tf.float32, [None, 3], name="x")
            with tf.variable_scope("layer", use_resource=by_handle), tf.device("/cpu:0"):
                w = tf.get_variable("w", initializer=W)
                b = tf.get_variable("b", initializer=np.float32(0.5))
                unused = tf.get_variable("unused", initializer=np.float32(1))
            tf.identity(tf.matmul(x, w) + b, name="y")
            tf.identity(unused, name="other")
            session.run(tf.global_variables_initializer())
            prefix = testing.save(self.folder, session, version=version)
            return graph.as_graph_def().SerializeToString(), prefix

    def assert_y(self, frozen: bytes) -> None:
        """Asserts that a frozen graph computes y."""
        x = np.ones([2, 3], np.float32)
        np.testing.assert_array_equal(testing.run(frozen, "y:0", {"x:0": x}), x @ W + 0.5)

    def assert_fails(
        self,
        error: type[Exception],
        pattern: str,
        graph: bytes,
        prefix: str,
        outputs: Sequence[str] = ("y",),
    ) -> None:
        """Asserts that freezing raises an error with a message."""
        with self.assertRaisesRegex(error, pattern):
            graph_transforms.freeze(graph, checkpoint=prefix, outputs=outputs)
