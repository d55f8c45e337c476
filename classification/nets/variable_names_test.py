"""Tests that the variables of a network have the names in variable_names."""

import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.nets import factory, variable_names
from classification.nets.model_config import ModelConfig

_OTHERS = ("GLOBAL_STEP", "PUBLISHED_LOGITS", "PUBLISHED_LOGITS_KERNEL", "PUBLISHED_LOGITS_BIASES")


def build(**options):
    """The names of the variables of a small network."""
    model = ModelConfig(image_size=32, depth_multiplier=0.25, num_classes=3, **options)
    with tf.Graph().as_default():
        factory.build(tf.placeholder(tf.float32, [1, 32, 32, 3]), model)
        return {variable.op.name for variable in tf.global_variables()}


class VariableNamesTest(parameterized.TestCase):
    def test_every_name_is_one_of_a_quantised_network(self):
        variables = build(quantize=True, learned_embedding_range=True)
        constants = {n: v for n, v in vars(variable_names).items() if n.isupper()}
        self.assertContainsSubset(_OTHERS, constants)
        for name, value in constants.items():
            if name in _OTHERS:
                continue
            with self.subTest(name):
                if value.endswith("/"):
                    self.assertTrue(any(variable.startswith(value) for variable in variables))
                elif name.endswith("RANGE"):
                    self.assertContainsSubset(variable_names.limits(value), variables)
                else:
                    self.assertIn(value, variables)

    @parameterized.parameters(True, False)
    def test_the_head_has_no_variable_without_a_name(self, quantize):
        head = {
            name
            for name in build(quantize=quantize, learned_embedding_range=quantize)
            if name.startswith(variable_names.HEAD)
        }
        named = set()
        for name, value in vars(variable_names).items():
            if name.isupper() and not value.endswith("/"):
                is_range = name.endswith("RANGE")
                named |= set(variable_names.limits(value)) if is_range else {value}
        self.assertNotEmpty(head)
        self.assertEmpty(head - named)

    def test_published_layer_is_not_one_of_this_project(self):
        names = build()
        self.assertNotIn(variable_names.PUBLISHED_LOGITS_KERNEL, names)
        self.assertNotIn(variable_names.PUBLISHED_LOGITS_BIASES, names)


if __name__ == "__main__":
    absltest.main()
