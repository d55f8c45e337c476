"""Tests of runner.py: how programs that use TensorFlow report errors."""

import contextlib
import io
import logging
import os

import tensorflow.compat.v1 as tf
from absl import flags
from absl.testing import absltest

from classification.base import runner
from classification.base.program_testing import run_program
from third_party.tf_slim.slim import slim  # noqa: F401

_SIZE = flags.DEFINE_integer("size", 7, "Of something.")


def graph_error(make):
    """The error that running make()'s tensor raises."""
    with tf.Graph().as_default(), tf.Session() as session:
        tensor = make()
        try:
            session.run(tensor)
        except tf.errors.OpError as error:
            return error
    raise AssertionError("nothing was raised")


class RunTest(absltest.TestCase):
    def test_returns_and_keeps_the_output(self):
        def main():
            print("size", _SIZE.value)

        self.assertEqual(run_program(main, "--size=3"), (None, "size 3\n", ""))

    def test_user_errors_are_one_line_with_status_1(self):
        def opening():
            open(os.path.join(self.create_tempdir().full_path, "nothing"))

        def opening_a_folder():
            open(self.create_tempdir().full_path)

        def failing():
            raise ValueError("expected this, got that")

        def tensorflow():
            raise graph_error(lambda: tf.io.decode_image(b"noise"))

        def greedy():
            raise MemoryError

        for main, expected in (
            (greedy, "prog: out of memory\n"),
            (failing, "expected this, got that\n"),
            (opening_a_folder, "; name a file\n"),
            (opening, "No such file or directory\n"),
            (tensorflow, "required.\n"),
        ):
            with self.subTest(main.__name__):
                status, out, err = run_program(main)
                self.assertEqual((status, out), (1, ""))
                self.assertStartsWith(err, "prog: ")
                self.assertEndsWith(err, expected)
                self.assertLen(err.splitlines(), 1)

    def test_verbosity_shows_the_traceback(self):
        def failing():
            raise ValueError("expected this, got that")

        with self.assertLogs("absl", logging.DEBUG) as logs:
            status, _, _ = run_program(failing, "--verbosity=1")
        self.assertEqual(status, 1)
        self.assertIn('raise ValueError("expected this', "\n".join(logs.output))

    def test_raises_other_errors(self):
        def wrong():
            raise KeyError("key")

        with self.assertRaises(KeyError), contextlib.redirect_stderr(io.StringIO()):
            runner.run(wrong, ["prog"])


class SentenceTest(absltest.TestCase):
    def test_assertion_in_graph(self):
        def make():
            words = [
                "expected a label in 0..9, got",
                tf.constant(12),
                "in",
                tf.constant("/a/[b] c"),
            ]
            return tf.debugging.Assert(tf.constant(False), words)

        self.assertEqual(
            runner.sentence(graph_error(make)), "expected a label in 0..9, got 12 in /a/[b] c"
        )

    def test_assertion_in_input_pipeline(self):
        def check(value):
            with tf.control_dependencies([tf.debugging.Assert(value < 1, ["Got", value])]):
                return tf.identity(value)

        def make():
            dataset = tf.data.Dataset.range(2).map(check).batch(2).prefetch(1)
            return tf.data.make_one_shot_iterator(dataset).get_next()

        self.assertEqual(runner.sentence(graph_error(make)), "Got 1")

    def test_file_errors(self):
        error = FileNotFoundError(2, "No such file or directory", "a/b")
        self.assertEqual(runner.sentence(error), "a/b: No such file or directory")
        self.assertEqual(runner.sentence(FileNotFoundError("expected a")), "expected a")


if __name__ == "__main__":
    absltest.main()
