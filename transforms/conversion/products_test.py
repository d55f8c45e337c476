"""Tests of the steps from a frozen graph to a .tflite and its parts."""

import tensorflow.compat.v1 as tf
from absl.testing import absltest

from imprinting.tflite import model_file, model_graph
from transforms.conversion import products, testing

_NAMES = {"input_name": "input", "output_name": "probabilities"}


class ProductsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.frozen = testing.small().frozen.SerializeToString()

    def test_folds_the_normalised_kernel_and_keeps_fake_quant_nodes(self):
        folded = tf.GraphDef.FromString(products.fold(self.frozen, **_NAMES))
        ops = [node.op for node in folded.node]
        # The embedding's norm depends on the image; the kernel's is a constant.
        self.assertEqual(ops.count("Square"), 1)
        before = [node.op for node in testing.small().frozen.node]
        fake_quant = "FakeQuantWithMinMaxVars"
        self.assertEqual(ops.count(fake_quant), before.count(fake_quant))

    def test_fold_fake_quant_folds_those_of_kernels(self):
        folded = products.fold(self.frozen, fold_fake_quant=True, **_NAMES)
        kept = products.fold(self.frozen, **_NAMES)
        self.assertLess(folded.count(b"FakeQuant"), kept.count(b"FakeQuant"))

    def test_makes_the_same_as_the_single_steps(self):
        folded = products.fold(self.frozen, **_NAMES)
        made = products.convert_and_split(self.frozen, folded)
        small = testing.small()
        self.assertEqual(model_file.serialise(made.tflite_model), small.model)
        self.assertEqual(model_file.serialise(made.parts.extractor), small.extractor)
        self.assertEqual(model_file.serialise(made.parts.head), small.head)
        self.assertEqual((made.frozen, made.folded), (self.frozen, folded))

    def test_int8_body(self):
        small = testing.small(int8=True)
        frozen = small.frozen.SerializeToString()
        folded = products.fold(frozen, **_NAMES)
        for fake_quant in ("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel"):
            before, after = (
                [node.op for node in graph.node].count(fake_quant)
                for graph in (small.frozen, tf.GraphDef.FromString(folded))
            )
            self.assertGreaterEqual(before, 4)
            self.assertEqual(after, before)
        made = products.convert_and_split(frozen, folded)
        self.assertEqual(model_file.serialise(made.tflite_model), small.model)
        self.assertEqual(model_file.serialise(made.parts.extractor), small.extractor)
        self.assertEqual(model_file.serialise(made.parts.head), small.head)
        extractor, head = (model_graph.graph(p) for p in (made.parts.extractor, made.parts.head))
        self.assertLen(extractor.named("QUANTIZE"), 2)
        self.assertEmpty(head.named("QUANTIZE"))
        self.assertEqual({tensor.type for tensor in head.inputs + head.outputs}, {"UINT8"})

    def test_graph_that_is_not_folded(self):
        with self.assertRaisesRegex(ValueError, "expected a folded graph"):
            products.convert_and_split(self.frozen, self.frozen)


if __name__ == "__main__":
    absltest.main()
