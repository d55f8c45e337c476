"""Tests of imagenet_sample.py, with a small model and random photos."""

import numpy as np
from absl.testing import absltest, flagsaver

from tests.benchmarks import imagenet_sample
from transforms.conversion import testing
from transforms.tflite import model_file


class ImagenetSampleTest(absltest.TestCase):
    def test_best_scale_factor(self):
        rng = np.random.default_rng(0)
        logits = rng.normal(size=[4000, 5])
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        chosen = np.array([rng.choice(5, p=p) for p in probabilities])
        losses = [imagenet_sample._cross_entropy(logits * s, chosen) for s in (0.5, 1.0, 2.0)]
        self.assertEqual(np.argmin(losses), 1)

    def test_times_are_above_zero(self):
        data = testing.small().model
        with flagsaver.flagsaver(rounds=2):
            found = imagenet_sample.times([data, data], 2 * [testing.images(2)], 1)
        self.assertLen(found, 2)
        self.assertGreater(min(found), 0)

    def test_a_folder_with_too_few_photos(self):
        folder = self.create_tempdir().full_path
        with self.assertRaisesRegex(ValueError, "expected 1000 photos in .*, got 0"):
            imagenet_sample.read_photos(folder, model_file.parse(testing.small().model))


if __name__ == "__main__":
    absltest.main()
