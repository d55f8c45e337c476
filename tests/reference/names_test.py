"""Tests that variables and fake-quant nodes have the reference's names."""

import json

import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from tests.reference import compare_with_reference, files
from tests.reference.reference_setting import Setting


def _read(name):
    with open(files.path("golden", name), encoding="utf-8") as file:
        return json.load(file)


class NamesTest(parameterized.TestCase):
    def build(self, tag, *, is_training):
        self.enter_context(tf.Graph().as_default())
        setting = Setting(
            compare_with_reference.read_recording(files.path("golden", "reference.npz")),
            files.checkpoint("mobilenet_v1_0.25_128_quant.ckpt"),
            quantize=tag == "quant",
        )
        setting.build(is_training=is_training)

    @parameterized.product(tag=["float", "quant"], mode=["train", "eval"])
    def test_variables(self, tag, mode):
        self.build(tag, is_training=mode == "train")
        actual = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
        self.assertEqual(actual, _read(f"{tag}_{mode}_variables.json"))

    def test_fake_quant_nodes(self):
        self.build("quant", is_training=False)
        operations = tf.get_default_graph().get_operations()
        actual = [op.name for op in operations if op.type.startswith("FakeQuant")]
        # The order may differ. The reference's nodes were added later, convolutions first and
        # multiplications last; ours are added when the layers are built.
        self.assertCountEqual(actual, _read("quant_eval_fakequant_nodes.json"))


if __name__ == "__main__":
    absltest.main()
