"""Tests of imagenet_sample.py, with a small model and random photos."""

from unittest import mock

import numpy as np
from absl.testing import absltest, flagsaver, parameterized

from imprinting.tflite import model_file
from tests.benchmarks import imagenet_sample
from transforms.conversion import testing


class ImagenetSampleTest(parameterized.TestCase):
    def test_best_scale_factor(self):
        rng = np.random.default_rng(0)
        logits = rng.normal(size=[4000, 5])
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        chosen = np.array([rng.choice(5, p=p) for p in probabilities])
        losses = [imagenet_sample._cross_entropy(logits * s, chosen) for s in (0.5, 1.0, 2.0)]
        self.assertEqual(np.argmin(losses), 1)

    @parameterized.parameters(0, 1)
    def test_accuracy_of_odd_positions(self, background):
        # Right at odd positions but for one of ten, where the second class is right; else wrong.
        classes = imagenet_sample._CLASSES
        labels = np.arange(classes) + background
        logits = np.zeros([classes, classes + background], np.float32)
        logits[np.arange(classes), np.roll(labels, 7)] = 5
        logits[np.arange(1, classes, 2), labels[1::2]] = 6
        logits[np.arange(1, classes, 20), labels[1::20]] = 4
        model = model_file.parse(testing.small().model)
        run = mock.Mock(probabilities=logits, real=mock.Mock(logits=logits))
        with mock.patch.object(imagenet_sample.agreement, "Run", return_value=run):
            top1, top5, scale, _ = imagenet_sample.accuracy(model, logits)
        self.assertAlmostEqual(top1, 0.9)
        self.assertEqual((top5, scale), (1.0, imagenet_sample._SCALES[0]))

    def test_models_take_turns(self):
        data = testing.small().model
        with flagsaver.flagsaver(rounds=2):
            found = imagenet_sample.times([data, data], 2 * [testing.images(2)], 1)
        self.assertLen(found, 2)

    def test_a_folder_with_too_few_photos(self):
        folder = self.create_tempdir().full_path
        with self.assertRaisesRegex(ValueError, "expected 1000 photos in .*, got 0"):
            imagenet_sample.read_photos(folder, model_file.parse(testing.small().model))


if __name__ == "__main__":
    absltest.main()
