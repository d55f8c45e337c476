"""Tests of pairs.py: joined extractors and heads compute what the classifier computes."""

import numpy as np
from absl.testing import absltest, parameterized

import imprinting.schema.tflite as schema
from imprinting.base.photo_crop import Crop
from imprinting.tflite import (
    inference,
    metadata,
    model_file,
    model_graph,
    pairs,
    product_rules,
    split,
)
from imprinting.tflite.inference import Kernels
from imprinting.tflite.metadata import About
from transforms.conversion import testing

_ABOUT = About("Some Net", Crop.SQUARE)


def models(*files):
    return [model_file.parse(data, compiled=True) for data in files]


def int8_pair():
    """An extractor that ends in int8, before its last QUANTIZE; and the head."""
    small = testing.small(int8=True)
    (model,) = models(small.model)
    (last,) = model_graph.graph(model).named("QUANTIZE")[1:]
    extractor = split.at(model, last.inputs[0].index).extractor
    return extractor, models(small.head)[0]


def options_of(model):
    """The bytes of the options of the operators that are compiled."""
    return [
        np.asarray(op.customOptions, np.uint8).tobytes()
        for op in model.subgraphs[0].operators
        if op.customOptions is not None
    ]


def described(model):
    """The operators of a model, with their tensors."""
    return [
        (op.name, [str(tensor) for tensor in op.inputs + op.outputs])
        for op in model_graph.graph(model).operators
    ]


class PairTest(parameterized.TestCase):
    @parameterized.product(quantise=[True, False], old=[True, False], int8=[True, False])
    def test_joined_parts_are_the_classifier(self, quantise, old, int8):
        small = testing.small(quantise=quantise, int8=int8)
        files = (small.embedder, small.classes) if old else (small.extractor, small.head)
        found = pairs.pair(*models(*files))
        self.assertEqual(found.is_old, old)
        joined, (model,) = found.joined(), models(small.model)
        self.assertEqual(
            [(op.name, op.version) for op in model_graph.graph(joined).operators],
            [(op.name, op.version) for op in model_graph.graph(model).operators],
        )
        images = testing.images(8)
        inputs = images if quantise else images.astype(np.float32) / 128 - 1
        (expected,) = inference.run(model, inputs, kernels=Kernels.REFERENCE)
        (got,) = inference.run(joined, inputs, kernels=Kernels.REFERENCE)
        np.testing.assert_array_equal(got, expected)
        # As read from a file.
        self.assertEqual(product_rules.check(models(model_file.serialise(joined))[0]), [])

    def test_an_extractor_that_gives_int8(self):
        extractor, head = int8_pair()
        joined = pairs.pair(extractor, head).joined()
        names = [op.name for op in model_graph.graph(joined).operators]
        self.assertEqual(names[-6:-4], ["QUANTIZE", "L2_NORMALIZATION"])
        (model,) = models(testing.small(int8=True).model)
        (expected,) = inference.run(model, testing.images(8), kernels=Kernels.REFERENCE)
        (got,) = inference.run(joined, testing.images(8), kernels=Kernels.REFERENCE)
        np.testing.assert_array_equal(got, expected)
        (start,) = model_graph.indices(extractor.subgraphs[0].outputs)
        extractor.subgraphs[0].tensors[start].quantization.zeroPoint[0] += 1
        with self.assertRaisesRegex(ValueError, "gives what the head takes, uint8 .* got .* int8 "):
            pairs.pair(extractor, head)

    @parameterized.product(int8=[True, False], kept=[0, 1, 2])
    def test_a_compiled_extractor(self, int8, kept):
        small = testing.small(int8=int8)
        compiled, head = models(testing.compiled(small.extractor, kept=kept), small.head)
        found = pairs.pair(compiled, head)
        self.assertFalse(found.is_old)
        data = model_file.serialise(found.joined())
        (joined,) = models(data)
        self.assertEqual(options_of(joined), [testing.COMPILED_OPTIONS])
        self.assertIn(testing.COMPILED_OPTIONS, data)
        names = [op.name for op in model_graph.graph(joined).operators]
        self.assertEqual(names[0], product_rules.COMPILED)
        self.assertLen(names, 1 + kept + 5)
        # The on-device engines accept it: they find the L2_NORMALIZATION.
        self.assertEqual(product_rules.check(joined, quantised=True), [])

    def test_an_old_pair_breaks_rules_of_the_engines_if_it_is_compiled(self):
        small = testing.small()
        found = pairs.pair(*models(testing.compiled(small.embedder), small.classes))
        self.assertTrue(found.is_old)
        broken = [v.rule for v in product_rules.check(found.joined())]
        self.assertIn("embedding", broken)

    def test_the_description_is_the_heads(self):
        compiled, head = models(testing.compiled(testing.small().extractor), testing.small().head)
        compiled.description = b"Made by a compiler."
        self.assertEqual(pairs.pair(compiled, head).joined().description, b"")
        head.description = b"3 1.500000\n"
        self.assertEqual(pairs.pair(compiled, head).joined().description, b"3 1.500000\n")

    def test_files_that_do_not_fit(self):
        small, other = testing.small(), testing.small(int8=True)
        compiled = testing.compiled(small.extractor)
        for extractor, head, expected in (
            (small.head, small.extractor, "the other way round; swap the two files"),
            (small.classes, compiled, "the other way round"),
            (other.extractor, small.head, r"what the head takes, uint8 .*, got .* same build$"),
            (small.embedder, small.head, "extractor is of an old pair and the head is not$"),
            (small.extractor, small.classes, "gives what the head takes, .* scale 0.0078125"),
            (small.model, small.head, r"gives one embedding .* a model that gives uint8 \[1, 7\]"),
            (small.head, small.head, "takes one image .* a model that takes uint8 .*24"),
            (small.extractor, small.model, "a head of the operators L2_NORM.*got a model of CONV"),
            (compiled, compiled, "got a model of CUSTOM edgetpu-custom-op; name NAME_head"),
            (
                testing.small(quantise=False).extractor,
                small.head,
                "what the head takes, uint8 .*, got one that gives float32",
            ),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                pairs.pair(*models(extractor, head))


class PartsTest(absltest.TestCase):
    def test_parts_of_a_joined_file(self):
        small = testing.small()
        for extractor, head, old in (
            (testing.compiled(small.extractor), small.head, False),
            (testing.compiled(small.extractor, kept=1), small.head, False),
            (testing.compiled(small.embedder), small.classes, True),
            (small.extractor, small.head, False),
        ):
            expected = pairs.pair(*models(extractor, head))
            joined = expected.joined()
            joined.description = b"1 2.0\n"
            found = pairs.parts(joined)
            self.assertEqual(found.is_old, old)
            self.assertEqual(found.head.description, b"1 2.0\n")
            for a, b in ((found.extractor, expected.extractor), (found.head, expected.head)):
                self.assertEqual(described(a), described(b))
                self.assertEqual(options_of(a), options_of(b))

    def test_other_models(self):
        (model,) = models(testing.compiled(testing.small().model))
        with self.assertRaisesRegex(
            ValueError, "not compiled for the Edge TPU, got .* in CUSTOM edg.*; comp"
        ):
            pairs.parts(model)
        self.assertTrue(pairs.is_head(models(testing.small().head)[0]))
        self.assertFalse(pairs.is_head(models(testing.small().extractor)[0]))


class CompleteTest(absltest.TestCase):
    def test_each_kind_of_extractor_for_each_kind_of_head(self):
        small = testing.small()
        images = testing.images(4)
        (model,) = models(small.model)
        (expected,) = inference.run(model, images, kernels=Kernels.REFERENCE)
        for extractor, head in (
            (small.extractor, small.head),
            (small.embedder, small.head),
            (small.model, small.head),
            (small.embedder, small.classes),
            (small.model, small.classes),
        ):
            joined = pairs.complete(*models(extractor, head)).joined()
            (found,) = inference.run(joined, images, kernels=Kernels.REFERENCE)
            np.testing.assert_array_equal(found, expected)

    def test_models_that_do_not_fit(self):
        small = testing.small()
        for extractor, head, expected in (
            (small.extractor, small.classes, "ends with the L2_NORM.* of the same, old pair"),
            (small.head, small.head, "takes one image"),
            (testing.small(int8=True).extractor, small.head, "what the head takes"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                pairs.complete(*models(extractor, head))


class JoinFilesTest(parameterized.TestCase):
    def files(self, *, strip: bool = False):
        small = testing.small()
        extractor, head = models(small.extractor, small.head)
        extractor = metadata.attach(extractor, None, _ABOUT)
        if strip:
            extractor = small.extractor
        return (testing.compiled(extractor), metadata.attach(head, testing.LABELS, _ABOUT))

    @parameterized.parameters(True, False)
    def test_metadata_also_if_compiling_has_removed_the_extractors(self, strip):
        joined = pairs.join_files(*self.files(strip=strip))
        self.assertFalse(joined.is_old)
        self.assertEqual(metadata.labels_of(joined.tflite), testing.LABELS)
        (model,) = models(joined.tflite)
        self.assertEqual(metadata.about(model), _ABOUT)
        self.assertEqual(pairs.join_files(*self.files(strip=strip)), joined)
        self.assertEqual(options_of(model), [testing.COMPILED_OPTIONS])

    def test_without_any_metadata(self):
        small = testing.small()
        joined = pairs.join_files(small.extractor, small.head)
        self.assertIsNone(metadata.labels_of(joined.tflite))
        self.assertEqual(metadata.about(models(joined.tflite)[0]), About())

    def test_damaged_files(self):
        extractor, head = self.files()
        for files, expected in (
            ((b"noise" * 9, head), "^the extractor: expected a .tflite"),
            ((extractor[:3000], head), "^the extractor: expected a complete .tflite"),
            ((extractor, b""), "^the head: expected a .tflite"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                pairs.join_files(*files)

    def test_options_outside_the_model(self):
        extractor, head = self.files()
        (model,) = models(extractor)
        model.subgraphs[0].operators[0].largeCustomOptionsOffset = 5000
        with self.assertRaisesRegex(ValueError, "the options of its operators"):
            pairs.join_files(model_file.serialise(model), head)

    def test_schema_has_such_options(self):
        self.assertEqual(schema.OperatorT().largeCustomOptionsOffset, 0)


if __name__ == "__main__":
    absltest.main()
