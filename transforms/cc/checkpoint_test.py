"""Tests of reading checkpoints, by freezing: their formats, their names, and damaged files."""

import os

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest

from transforms import graph_transforms, testing
from transforms.cc import freeze_testing


class CheckpointTest(freeze_testing.FreezeTestCase):
    def test_checkpoint_by_object(self):
        with tf.Graph().as_default() as graph:
            with tf.variable_scope("layer", use_resource=True):
                w = tf.get_variable("w", initializer=freeze_testing.W)
                b = tf.get_variable("b", initializer=np.float32(0.5))
            x = tf.placeholder(tf.float32, [None, 3], name="x")
            tf.identity(tf.matmul(x, w) + b, name="y")
            checkpoint = tf.train.Checkpoint(one=w, two=b)
            with tf.Session() as session:
                session.run(tf.global_variables_initializer())
                prefix = checkpoint.save(os.path.join(self.folder, "objects"), session)
            data = graph.as_graph_def().SerializeToString()
        keys = dict(tf.train.list_variables(prefix))
        self.assertIn("one/.ATTRIBUTES/VARIABLE_VALUE", keys)
        self.assert_y(graph_transforms.freeze(data, checkpoint=prefix, outputs=["y"]))

    def test_partitioned_variable(self):
        with tf.Graph().as_default(), tf.Session() as session:
            parts = tf.get_variable(
                "w",
                [3, 4],
                initializer=tf.random_uniform_initializer(),
                partitioner=tf.fixed_size_partitioner(3, axis=0),
            )
            session.run([part.initializer for part in parts])
            expected = session.run(tf.concat(list(parts), 0))
            prefix = testing.save(self.folder, session)
        with tf.Graph().as_default() as graph:
            tf.identity(tf.get_variable("w", [3, 4]), name="y")
        data = graph.as_graph_def().SerializeToString()
        frozen = graph_transforms.freeze(data, checkpoint=prefix, outputs=["y"])
        np.testing.assert_array_equal(testing.constant(frozen, "w"), expected)

    def test_checkpoint_by_one_of_its_files(self):
        graph, prefix = self.build()
        for ending in (".index", ".data-00000-of-00001", ".meta"):
            self.assert_y(graph_transforms.freeze(graph, checkpoint=prefix + ending, outputs=["y"]))
        for name in os.listdir(self.folder):
            os.remove(os.path.join(self.folder, name))
        graph, prefix = self.build(version=tf.train.SaverDef.V1)
        self.assert_y(graph_transforms.freeze(graph, checkpoint=prefix + ".meta", outputs=["y"]))

    def test_paths_with_special_characters(self):
        folder = os.path.join(self.folder, "a[1]* ?\\b")
        os.mkdir(folder)
        for version in (tf.train.SaverDef.V1, tf.train.SaverDef.V2):
            graph, prefix = self.build(version=version)
            for name in os.listdir(self.folder):
                if name.startswith("model.ckpt"):
                    os.replace(os.path.join(self.folder, name), os.path.join(folder, name))
            moved = os.path.join(folder, os.path.basename(prefix))
            frozen = graph_transforms.freeze(graph, checkpoint=moved, outputs=["y"])
            self.assert_y(frozen)
            for name in os.listdir(folder):
                os.remove(os.path.join(folder, name))
        self.assert_fails(ValueError, "got one that contains a NUL character", graph, moved + "\0x")
        self.assert_fails(FileNotFoundError, "expected a checkpoint", graph, "\udc80")


class CheckpointErrorsTest(freeze_testing.FreezeTestCase):
    def test_missing_checkpoint(self):
        graph, _ = self.build()
        missing = os.path.join(self.folder, "missing")
        self.assert_fails(FileNotFoundError, f"expected a checkpoint, got {missing}: there is no "
                          f"file {missing}.index", graph, missing)  # fmt: skip
        self.assert_fails(FileNotFoundError, "expected a checkpoint", graph, self.folder)

    def test_missing_file_of_a_checkpoint(self):
        graph, prefix = self.build()
        os.remove(f"{prefix}.data-00000-of-00001")
        self.assert_fails(FileNotFoundError, "expected the file .*data-00000", graph, prefix)

    def test_truncated_checkpoint(self):
        graph, prefix = self.build()
        for ending in (".data-00000-of-00001", ".index"):
            path = prefix + ending
            with open(path, "rb") as file:
                data = file.read()
            for length in (0, 1, len(data) // 2, len(data) - 1):
                with open(path, "wb") as file:
                    file.write(data[:length])
                self.assert_fails(ValueError, "damaged or something else", graph, prefix)
            with open(path, "wb") as file:
                file.write(data)
        self.assert_y(graph_transforms.freeze(graph, checkpoint=prefix, outputs=["y"]))

    def test_corrupt_checkpoint(self):
        graph, prefix = self.build()
        path = f"{prefix}.data-00000-of-00001"
        with open(path, "r+b") as file:
            file.seek(20)
            file.write(b"\xaa\xbb")
        self.assert_fails(ValueError, "damaged.*layer/w.*[Cc]hecksum", graph, prefix)

    def test_corrupt_checkpoint_of_format_v1(self):
        graph, prefix = self.build(version=tf.train.SaverDef.V1)
        with open(prefix, "rb") as file:
            data = bytearray(file.read())
        for change in (data[: len(data) // 2], data[:40] + b"\xaa\xbb\xcc" + data[43:]):
            with open(prefix, "wb") as file:
                file.write(change)
            self.assert_fails(ValueError, "damaged or something else", graph, prefix)

    def test_file_that_is_not_a_checkpoint(self):
        graph, prefix = self.build()
        other = os.path.join(self.folder, "text")
        with open(other, "w") as file:
            file.write("no checkpoint at all, but longer than a footer of forty-eight bytes")
        self.assert_fails(ValueError, "text, which is damaged or something else", graph, other)


if __name__ == "__main__":
    absltest.main()
