"""Tests that evaluation counts every image once, and right."""

import dataclasses
import glob
import os
import pathlib
import tempfile

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.data import testing as data_testing
from classification.data.dataset import Dataset, open_dataset
from classification.evaluation import evaluator
from classification.evaluation.evaluator import evaluate
from classification.nets import factory, variable_values
from classification.nets.checkpoint import Checkpoint
from classification.testing import digits_networks


def logits_of(checkpoint: str, images: np.ndarray) -> np.ndarray:
    """The logits that a checkpoint's network of digits gives images."""
    with tf.Graph().as_default(), tf.Session() as session:
        logits = factory.build(tf.constant(images), digits_networks.DIGITS)["Logits"]
        tf.train.Saver().restore(session, checkpoint)
        return session.run(logits)


class DigitsTest(parameterized.TestCase):
    """On the digits that are held out, with a network that knows some of them."""

    digits: Dataset
    checkpoint: str
    correct: np.ndarray
    in_top_5: np.ndarray

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.digits = open_dataset("", "validation")
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.checkpoint = digits_networks.write_network(
            folder, digits_networks.DIGITS, dataset=cls.digits
        )
        images, labels = digits_networks.images_and_labels(
            cls.digits, digits_networks.DIGITS.image_size
        )
        order = np.argsort(-logits_of(cls.checkpoint, images), axis=1, kind="stable")
        hits = order[:, :5] == labels[:, np.newaxis]
        cls.correct, cls.in_top_5 = hits[:, 0], hits.any(axis=1)

    def evaluate(self, **options):
        defaults = {
            "checkpoint": Checkpoint(self.checkpoint),
            "model": digits_networks.DIGITS,
            "batch_size": 100,
        }
        return evaluate(**{"dataset": self.digits, **defaults, **options})

    def test_the_network_is_worth_a_test(self):
        self.assertBetween(self.correct.sum(), 100, 350)
        self.assertBetween(self.in_top_5.sum(), self.correct.sum() + 5, 359)

    @parameterized.parameters(1, 7, 64, 1000)
    def test_is_exact_whatever_the_batch_size(self, batch_size):
        result = self.evaluate(batch_size=batch_size)
        self.assertEqual(result.num_examples, 360)
        self.assertEqual(result.num_correct, self.correct.sum())
        self.assertEqual(result.num_in_top_5, self.in_top_5.sum())
        self.assertEqual(result.accuracy, self.correct.mean())
        self.assertEqual(result.recall_at_5, self.in_top_5.mean())
        self.assertEqual(result.global_step, digits_networks.STEP)

    def test_predictions_of_each_image(self):
        result = self.evaluate(num_examples=150)
        images, labels = digits_networks.images_and_labels(self.digits, 32)
        logits = logits_of(self.checkpoint, images[:150])
        order = np.argsort(-logits, axis=1, kind="stable")
        np.testing.assert_array_equal(result.labels, labels[:150])
        np.testing.assert_array_equal(result.top, order[:, :5])
        np.testing.assert_array_equal(result.predictions, order[:, 0])
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        np.testing.assert_allclose(result.probability, 1 / exponentials.sum(axis=1), rtol=1e-5)

    @parameterized.parameters((1, 64), (100, 64), (50_000, 250))
    def test_num_examples_takes_the_first(self, num_examples, batch_size):
        result = self.evaluate(num_examples=num_examples, batch_size=batch_size)
        self.assertEqual(result.num_examples, min(num_examples, 360))
        self.assertEqual(result.num_correct, self.correct[:num_examples].sum())
        self.assertEqual(result.num_in_top_5, self.in_top_5[:num_examples].sum())

    def test_progress(self):
        calls = []
        self.evaluate(num_examples=150, on_progress=lambda *numbers: calls.append(numbers))
        self.assertEqual(calls, [(100, 150), (150, 150)])

    @parameterized.parameters("batch_size", "num_examples")
    def test_numbers_below_one(self, name):
        for value in (0, -5):
            with self.assertRaisesRegex(ValueError, f"{name} to be at least 1, got {value}"):
                self.evaluate(**{name: value})

    def test_float_checkpoint_of_a_quantised_network(self):
        model = dataclasses.replace(digits_networks.DIGITS, quantize=True)
        with self.assertRaisesRegex(ValueError, "float network's: leave --quantize out"):
            self.evaluate(model=model)

    def test_checkpoint_of_another_width(self):
        model = dataclasses.replace(digits_networks.DIGITS, depth_multiplier=0.5)
        with self.assertRaisesRegex(ValueError, "are depth multiplier.* right"):
            self.evaluate(model=model)

    def test_labels_that_the_network_has_not(self):
        model = dataclasses.replace(digits_networks.DIGITS, num_classes=5, labels=None)
        checkpoint = digits_networks.write_network(self.create_tempdir().full_path, model)
        with self.assertRaisesRegex(ValueError, "data of 5 classes, .* got 10 classes in digits"):
            self.evaluate(model=model, checkpoint=Checkpoint(checkpoint))
        unnamed = dataclasses.replace(self.digits, labels=None)
        with self.assertRaisesRegex(ValueError, r"labels in 0\.\.4, .* got [5-9] in digits"):
            self.evaluate(model=model, checkpoint=Checkpoint(checkpoint), dataset=unnamed)

    def test_other_classes_than_in_training(self):
        model = dataclasses.replace(digits_networks.DIGITS, labels=(*"01234", "rose", *"6789"))
        with self.assertRaisesRegex(ValueError, "class 5 is 'rose' in its model.json and '5' in"):
            self.evaluate(model=model)

    def test_more_classes_than_the_data_has(self):
        model = dataclasses.replace(digits_networks.DIGITS, num_classes=12, labels=None)
        checkpoint = digits_networks.write_network(
            self.create_tempdir().full_path, model, step=None
        )
        result = self.evaluate(model=model, checkpoint=Checkpoint(checkpoint))
        self.assertEqual(result.num_examples, 360)
        self.assertIsNone(result.global_step)
        elsewhere = dataclasses.replace(model, dataset="elsewhere")
        with self.assertRaisesRegex(ValueError, "data of 12 classes, .* got 10 classes in digits"):
            self.evaluate(model=elsewhere, checkpoint=Checkpoint(checkpoint))

    def test_diverged_network(self):
        prefix = os.path.join(self.create_tempdir().full_path, "nan")
        with tf.Graph().as_default(), tf.Session() as session:
            factory.build(tf.zeros([1, 32, 32, 3]), digits_networks.DIGITS)
            saver = tf.train.Saver()
            saver.restore(session, self.checkpoint)
            scale = next(v for v in tf.global_variables() if v.op.name.endswith("scale_factor"))
            variable_values.load(session, {scale: np.nan})
            saver.save(session, prefix)
        with self.assertRaisesRegex(ValueError, "NaN or infinity: the network in .*nan has"):
            self.evaluate(checkpoint=Checkpoint(prefix))

    def test_equal_logits_go_to_the_lower_label(self):
        model = dataclasses.replace(digits_networks.DIGITS, quantize=True)
        # Nothing of an image is left when a random base is quantised to ranges of 0..6: all
        # logits are 0.
        checkpoint = digits_networks.write_network(self.create_tempdir().full_path, model)
        result = self.evaluate(model=model, checkpoint=Checkpoint(checkpoint))
        self.assertEqual((result.num_correct, result.num_in_top_5), (36, 5 * 36))


class RecordsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        data_testing.write_grey_images(self.folder, "validation", [3, 4])
        self.config = dataclasses.replace(
            digits_networks.DIGITS, num_classes=8, labels=None, dataset=""
        )
        self.checkpoint = digits_networks.write_network(self.folder, self.config)

    def evaluate(self, batch_size: int = 2) -> evaluator.Result:
        return evaluate(
            checkpoint=Checkpoint(self.checkpoint),
            model=self.config,
            dataset=open_dataset(self.folder, "validation"),
            batch_size=batch_size,
        )

    def test_all_files_count_once(self):
        for batch_size in (2, 100):
            self.assertEqual(self.evaluate(batch_size).num_examples, 7)

    def test_damaged_record(self):
        path = pathlib.Path(sorted(glob.glob(os.path.join(self.folder, "validation-*")))[1])
        data = bytearray(path.read_bytes())
        data[-5] ^= 1  # The last byte before the checksum.
        path.write_bytes(data)
        with self.assertRaisesRegex(
            ValueError, f"as number [0-9]+ of {path}, got one with a wrong checksum"
        ):
            self.evaluate()


class SummaryTest(absltest.TestCase):
    def test_values_and_step(self):
        folder = os.path.join(self.create_tempdir().full_path, "a", "b")
        labels, top = np.array([0, 1, 2, 3]), np.array([[0, 1], [0, 1], [2, 0], [0, 1]])
        result = evaluator.Result(labels, top, np.ones(4, np.float32), 42)
        evaluator.write_summaries(folder, result)
        (path,) = glob.glob(os.path.join(folder, "events*"))
        values = {
            value.tag: (event.step, value.simple_value)
            for event in tf.train.summary_iterator(path)
            for value in event.summary.value
        }
        self.assertEqual(values, {"accuracy": (42, 0.5), "recall_at_5": (42, 0.75)})


if __name__ == "__main__":
    absltest.main()
