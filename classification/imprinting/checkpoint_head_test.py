"""Tests of checkpoint_head.py."""

import numpy as np
from absl.testing import absltest, parameterized

from classification.deployment import deployable
from classification.imprinting import checkpoint_head, checkpoint_imprinting
from classification.nets import checkpoints, networks
from classification.nets.model_config import ModelConfig
from classification.testing import digits_networks
from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.new_classes import embedding_fit
from imprinting.new_classes.embedding_fit import Fit

_FLOAT = ModelConfig(
    image_size=32, depth_multiplier=0.25, num_classes=4, quantize=False, labels=tuple("abcd")
)


class CheckpointHeadTest(parameterized.TestCase):
    def values(self) -> dict[str, np.ndarray]:
        prefix = digits_networks.write_network(self.create_tempdir().full_path, _FLOAT)
        return deployable.read_values(checkpoints.find(prefix), _FLOAT)

    def test_a_fitted_head_says_the_same_of_kept_classes(self):
        values = self.values()
        head = checkpoint_head.read(values, _FLOAT, keep_classes=True)
        features = np.random.default_rng(0).uniform(0, 1, [20, head.embedding.kernel.shape[1]])
        other = LinearEmbedding.of_metric(
            np.diag(np.linspace(1, 3, features.shape[1])), head.embedding.mean, size=1024
        )
        vectors = embedding_fit.map_kept(head.kept, head.embedding, other)
        changed = checkpoint_head.fitted(values, _FLOAT, Fit(other, 2.5, vectors, 33.0, ""))
        self.assertEqual(set(changed), set(values))
        for name, value in values.items():
            self.assertEqual(changed[name].shape, value.shape, name)
        names = networks.get(_FLOAT.network).names
        self.assertEqual(changed[names.scale_factor], 33)
        again = checkpoint_head.read(changed, _FLOAT, keep_classes=True)
        np.testing.assert_allclose(again.embedding.mean, head.embedding.mean, atol=1e-4)
        before = head.embedding.of(features) @ head.kept.vectors.T
        after = again.embedding.of(features) @ again.kept.vectors.T
        for number in range(4):
            self.assertGreater(np.corrcoef(before[:, number], after[:, number])[0, 1], 0.9999)
        found = checkpoint_imprinting.class_vectors(changed, _FLOAT)
        np.testing.assert_allclose(found, vectors, atol=1e-5)

    def test_ranges_of_a_quantised_network(self):
        model = ModelConfig(image_size=32, depth_multiplier=0.25, num_classes=4, quantize=True)
        prefix = digits_networks.write_network(self.create_tempdir().full_path, model)
        values = deployable.read_values(checkpoints.find(prefix), model)
        head = checkpoint_head.read(values, model, keep_classes=False)
        self.assertEqual(head.kept.vectors.shape, (0, 1024))
        other = LinearEmbedding.of_metric(np.eye(256), np.zeros(256), size=1024)
        fit = Fit(other, 2.5, np.zeros([0, 1024]), 33.0, "")
        changed = checkpoint_head.fitted(values, model, fit)
        self.assertEqual(set(changed), set(values))
        name = networks.get(model.network).names.embedding_input_range
        self.assertEqual((changed[f"{name}/min"], changed[f"{name}/max"]), (-2.5, 2.5))

    def test_only_the_scale_factor(self):
        values = self.values()
        fit = Fit(None, 0.0, np.zeros([0, 0]), 33.0, "")
        changed = checkpoint_head.fitted(values, _FLOAT, fit)
        name = networks.get(_FLOAT.network).names.scale_factor
        self.assertEqual([n for n in values if changed[n] is not values[n]], [name])


if __name__ == "__main__":
    absltest.main()
