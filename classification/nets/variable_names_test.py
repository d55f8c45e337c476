"""Tests of variable_names.py: the variables of each network's head have these names."""

import functools

import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import factory, networks, variable_names
from classification.nets.model_config import ModelConfig

_NETWORKS = ("mobilenet_v1", "efficientnet_lite0")


@functools.cache
def build(network, **options):
    """The names of the variables of a small network."""
    model = ModelConfig(network=network, image_size=32, num_classes=3, **options)
    with tf.Graph().as_default():
        factory.build(tf.placeholder(tf.float32, [1, 32, 32, 3]), model)
        return {variable.op.name for variable in tf.global_variables()}


class VariableNamesTest(parameterized.TestCase):
    @parameterized.parameters(*_NETWORKS)
    def test_every_name_is_one_of_a_quantised_network(self, network):
        variables = build(network, quantize=True, learned_embedding_range=True)
        names = vars(networks.get(network).names)
        self.assertContainsSubset(("embedding_kernel", "class_vectors_range", "head"), names)
        for name, value in names.items():
            with self.subTest(name):
                if value.endswith("/"):
                    self.assertTrue(any(variable.startswith(value) for variable in variables))
                elif name.endswith("range"):
                    self.assertContainsSubset(variable_names.limits(value), variables)
                else:
                    self.assertIn(value, variables)

    @parameterized.product(network=_NETWORKS, quantize=[True, False])
    def test_the_head_has_no_variable_without_a_name(self, network, quantize):
        names = networks.get(network).names
        head = {
            name
            for name in build(network, quantize=quantize, learned_embedding_range=quantize)
            if name.startswith(names.head)
        }
        named = set()
        for name, value in vars(names).items():
            is_range = name.endswith("range")
            named |= set(variable_names.limits(value)) if is_range else {value}
        self.assertLen(head, 5 + 12 * quantize)
        self.assertEmpty(head - named)

    @parameterized.parameters(*_NETWORKS)
    def test_features_have_the_range_of_the_bases_last_layer(self, network):
        found = networks.get(network)
        self.assertContainsSubset(
            variable_names.limits(found.features_range), build(network, quantize=True)
        )
        self.assertFalse(found.features_range.startswith(found.names.head))

    @parameterized.parameters(*_NETWORKS)
    def test_published_layer_is_not_one_of_this_project(self, network):
        published = networks.get(network).published
        names = build(network)
        self.assertNotIn(published.kernel, names)
        self.assertNotIn(published.biases, names)


class HeadNamesTest(parameterized.TestCase):
    def test_names_begin_with_the_scope(self):
        names = variable_names.HeadNames("some-scope")
        self.assertEqual(names.head, "some-scope/Logits/")
        self.assertEqual(names.scale_factor, "some-scope/Logits/scale_factor")
        self.assertEqual(
            variable_names.limits(names.embedding_range),
            tuple(
                f"some-scope/Logits/Normalize_1a/activation_Mul_quant/{limit}"
                for limit in ("min", "max")
            ),
        )
        for value in vars(names).values():
            self.assertStartsWith(value, names.head)


if __name__ == "__main__":
    absltest.main()
