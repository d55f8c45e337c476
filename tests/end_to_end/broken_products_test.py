"""Tests that the check finds broken products, although it relaxes limits for noisy networks."""

import re

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from classification.deployment import check_images
from classification.nets import model_config
from tests import runfiles
from tests.end_to_end import checkpoint_products
from transforms.conversion import check

_NETWORK = str(runfiles.path("classification/digits_network"))


def halve(pattern: str):
    """Returns a function that halves the constant whose name begins with the pattern."""

    def change(graph: tf.GraphDef) -> None:
        (node,) = (n for n in graph.node if n.op == "Const" and re.match(pattern, n.name))
        value = tf.make_ndarray(node.attr["value"].tensor) / 2
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.astype(np.float32)))

    return change


class BrokenProductsTest(parameterized.TestCase):
    def check(self, **options):
        config = model_config.read(_NETWORK)
        built = checkpoint_products.build(config, f"{_NETWORK}/model.ckpt", **options)
        return check.check(
            tflite_model=built.tflite_model,
            extractor=built.parts.extractor,
            head=built.parts.head,
            frozen=tf.GraphDef.FromString(built.frozen),
            images=check_images.of_digits(64, image_size=config.image_size).images,
            labels=config.labels,
        )

    def test_correct_products(self):
        self.assertTrue(self.check().quantised)

    def test_lost_ranges_of_kernels(self):
        with self.assertRaisesRegex(ValueError, "\n  kernels: expected scale .* in the graph, got"):
            self.check(fold_fake_quant=True)

    @parameterized.parameters(
        "Conv2d_1_pointwise/act_quant/max",
        "Conv2d_7_pointwise/act_quant/max",
        "Conv2d_13_pointwise/act_quant/max",
        "Conv2d_1_pointwise/weights_quant/max",
        "Conv2d_13_pointwise/weights_quant/max",
        "Conv2d_7_pointwise/BatchNorm/sub",
    )
    def test_a_constant_that_is_halved(self, name):
        with self.assertRaisesRegex(ValueError, "figures that do not agree"):
            self.check(change=halve(f"(MobilenetV1/)+{name}"))


if __name__ == "__main__":
    absltest.main()
