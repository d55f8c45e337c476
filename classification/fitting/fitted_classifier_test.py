"""Tests of fitted_classifier.py."""

import numpy as np
from absl.testing import absltest, parameterized

from classification.fitting import fitted_classifier
from classification.nets import networks
from classification.nets.model_config import ModelConfig
from classification.nets.variable_names import limits
from imprinting.embedding import discriminant

_NAMES = ("apple", "pear", "plum")
_MODELS = (
    ModelConfig(quantize=True, num_classes=3, labels=_NAMES),
    ModelConfig(network="efficientnet_lite0", quantize=True, num_classes=3, labels=_NAMES),
)


def photos(each: int = 8, views: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features that are never negative."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), each)
    means = np.random.default_rng(9).uniform(1, 3, [3, 1, 40])
    noise = random.normal(0, 0.5, [len(labels), views, 40])
    return np.maximum(means[labels] + noise, 0).astype(np.float32), labels


class FittedClassifierTest(parameterized.TestCase):
    @parameterized.parameters(*_MODELS)
    def test_values_classify_other_photos(self, model):
        fitted = fitted_classifier.fit(*photos(), _NAMES, model)
        names = networks.get(model.network).names
        found = {name: fitted.values[name] for name in fitted.values}
        others, known = photos(seed=1)
        embeddings = others[:, 0] @ found[names.embedding_kernel][0, 0]
        embeddings = embeddings + found[names.embedding_biases]
        low, high = (found[name] for name in limits(names.embedding_input_range))
        self.assertBetween(np.abs(embeddings).max(), high / 6, high)
        self.assertEqual(low, -high)
        unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        cosines = unit @ found[names.class_vectors][0, 0]
        np.testing.assert_array_equal(cosines.argmax(axis=1), known)
        _, reach = (found[name] for name in limits(names.cosines_range))
        self.assertLess(cosines.max(), reach + 0.05)
        self.assertEqual(found[names.scale_factor], np.float32(fitted.scale_factor))
        for name, value in found.items():
            self.assertEqual(value.dtype, np.float32, name)
            self.assertTrue(np.isfinite(value).all(), name)

    def test_equal_photos_give_equal_bytes(self):
        first, second = (fitted_classifier.fit(*photos(), _NAMES, _MODELS[0]) for _ in range(2))
        for name, value in first.values.items():
            self.assertEqual(value.tobytes(), second.values[name].tobytes(), name)

    def test_describes_cross_validation(self):
        features, labels = photos()
        fitted = fitted_classifier.fit(features, labels, _NAMES, _MODELS[0])
        self.assertLen(fitted.held_out.labels, 24)
        self.assertIn(fitted.weight, discriminant.WEIGHTS)
        self.assertBetween(fitted.calibration_error, 0, 1)
        self.assertBetween(fitted.scale_factor, 1, 100)

    def test_a_photo_of_each_class(self):
        for views in (1, 2):
            fitted = fitted_classifier.fit(*photos(each=1, views=views), _NAMES, _MODELS[0])
            self.assertIsNone(fitted.held_out)
            self.assertIsNone(fitted.calibration_error)
            self.assertEqual(fitted.weight, discriminant.DEFAULT_WEIGHT)
            self.assertTrue(all(np.isfinite(value).all() for value in fitted.values.values()))

    @parameterized.parameters(1, 3)
    def test_copies_of_a_photo_for_each_class(self, views):
        features, labels = photos(views=views)
        features = features[::8][labels]
        fitted = fitted_classifier.fit(features, labels, _NAMES, _MODELS[0])
        self.assertEqual(fitted.held_out.accuracies[fitted.weight], 1)
        self.assertTrue(all(np.isfinite(value).all() for value in fitted.values.values()))

    def test_copies_of_one_photo_for_all_classes(self):
        features, labels = photos(views=3)
        features[:] = features[0]
        # Nothing tells the classes apart, but no value is NaN.
        fitted = fitted_classifier.fit(features, labels, _NAMES, _MODELS[0])
        self.assertTrue(all(np.isfinite(value).all() for value in fitted.values.values()))
        # Two views are on opposite sides of their mean.
        with self.assertRaisesRegex(ValueError, "apple that have nothing in common"):
            fitted_classifier.fit(features[:, :2], labels, _NAMES, _MODELS[0])
        with self.assertRaisesRegex(ValueError, "the same features for all"):
            fitted_classifier.fit(features[:, :1], labels, _NAMES, _MODELS[0])

    def test_many_classes(self):
        random = np.random.default_rng(0)
        labels = np.repeat(np.arange(2000), 2)
        features = random.uniform(0, 3, [2000, 1, 40])[labels] + random.normal(
            0, 0.1, [4000, 2, 40]
        )
        names = [str(number) for number in range(2000)]
        model = ModelConfig(quantize=True, num_classes=2000)
        fitted = fitted_classifier.fit(features.astype(np.float32), labels, names, model)
        self.assertGreater(fitted.held_out.accuracies[fitted.weight], 0.9)

    def test_errors(self):
        features, labels = photos()
        with self.assertRaisesRegex(ValueError, "at least two classes, got only apple"):
            fitted_classifier.fit(features, labels * 0, _NAMES[:1], _MODELS[0])
        with self.assertRaisesRegex(ValueError, "each of 3 classes, got none of pear"):
            fitted_classifier.fit(features, np.where(labels == 1, 0, labels), _NAMES, _MODELS[0])
        with self.assertRaisesRegex(ValueError, "the same features for all"):
            fitted_classifier.fit(np.ones_like(features), labels, _NAMES, _MODELS[0])
        features[0, 0, 0] = np.inf
        with self.assertRaisesRegex(ValueError, "finite features"):
            fitted_classifier.fit(features, labels, _NAMES, _MODELS[0])


if __name__ == "__main__":
    absltest.main()
