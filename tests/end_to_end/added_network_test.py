"""Tests that a network which is only added to the list can be exported and converted."""

import os
from unittest import mock

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.deployment import deployable
from classification.nets import layers, networks
from classification.nets.model_config import ModelConfig
from classification.nets.network import Base, Network, PublishedClassifier
from imprinting.tflite import product_rules
from tests.end_to_end import checkpoint_products

_SIZE, _CLASSES = 64, 3


def _build_base(inputs, options, *, depth_multiplier, scope):
    del depth_multiplier, scope
    net, last_range = layers.conv2d(inputs, 8, 3, options, stride=2, relu6=True, scope="first")
    return Base({"first": net}, last_range)


def _toy(per_channel):
    return Network(
        name="toy",
        title="Toy",
        scope="Toy",
        image_size=_SIZE,
        num_classes=_CLASSES,
        embedding_size=16,
        build_base=_build_base,
        initializer=tf.glorot_uniform_initializer,
        features_range="Toy/first/act_quant",
        published=PublishedClassifier("Toy/head/kernel", "Toy/head/bias"),
        per_channel=per_channel,
    )


class AddedNetworkTest(parameterized.TestCase):
    @parameterized.parameters((True, product_rules.INT8_BODY), (False, product_rules.UINT8_BODY))
    def test_product_keeps_the_rules(self, per_channel, body):
        toy = _toy(per_channel)
        self.enter_context(mock.patch.dict(networks.NETWORKS, {toy.name: toy}))
        model = ModelConfig(
            network="toy",
            image_size=_SIZE,
            num_classes=_CLASSES,
            quantize=True,
            labels=tuple("abc"),
        )
        rng = np.random.default_rng(0)
        values = {}
        for variable in deployable.variables(model):
            name, shape = variable.op.name, variable.shape.as_list()
            values[name] = rng.normal(size=shape).astype(np.float32)
            if name.endswith(("/min", "/max")):
                values[name] = np.full(shape, -3 if name.endswith("min") else 3, np.float32)
            elif name.endswith("variance"):
                values[name] = np.ones(shape, np.float32)
            elif name.endswith("scale_factor"):
                values[name] = np.array(10, np.float32)
        folder = os.path.join(self.create_tempdir().full_path, "network")
        deployable.write(folder, model, values)
        made = checkpoint_products.build(model, os.path.join(folder, "model.ckpt"))
        self.assertEqual(product_rules.check(made.tflite_model, quantised=True, body=body), [])


if __name__ == "__main__":
    absltest.main()
