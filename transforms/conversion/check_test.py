"""Tests of the check of the products."""

import functools

import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from imprinting.base.photo_crop import Crop
from imprinting.tflite import metadata, model_file, model_graph
from imprinting.tflite.inference import Kernels
from transforms import graph_input
from transforms.conversion import check, testing


def checked(quantise=True, int8=False, **changes):
    """Checks the small classifier; `changes` replaces arguments."""
    small = testing.small(quantise=quantise, int8=int8)
    arguments = parsed(small) | {
        "frozen": small.frozen,
        "images": testing.images(),
        "labels": testing.LABELS,
    }
    return check.check(**(arguments | changes))


def parsed(small):
    return {
        "tflite_model": model_file.parse(small.model),
        "extractor": model_file.parse(small.extractor),
        "head": model_file.parse(small.head),
    }


class CheckTest(parameterized.TestCase):
    @parameterized.parameters(True, False)
    def test_products_that_pass(self, quantise):
        got = checked(quantise)
        self.assertEqual((got.quantised, got.images), (quantise, 64))
        self.assertEqual([*got.agreement], [*Kernels])
        for figures in got.agreement.values():
            self.assertEqual(figures[-1].name, "parts_differing")
            self.assertTrue(all(figure.within_limit for figure in figures))
        self.assertEqual(metadata.labels_of(got.tflite_model), testing.LABELS)
        self.assertEqual(metadata.labels_of(got.head), testing.LABELS)
        self.assertIsNone(metadata.labels_of(got.extractor))
        self.assertEqual(checked(quantise), got)

    def test_int8_body_that_passes(self):
        got = checked(int8=True)
        self.assertTrue(got.quantised)
        for figures in got.agreement.values():
            self.assertTrue(all(figure.within_limit for figure in figures))
        self.assertEqual(metadata.labels_of(got.head), testing.LABELS)

    def test_body_of_another_type_than_the_graphs(self):
        with self.assertRaisesRegex(
            ValueError, "one with 1 rules .*:\n  body: .*, got one of uint8"
        ):
            checked(int8=True, **parsed(testing.small()))
        with self.assertRaisesRegex(
            ValueError, "one with 1 rules .*:\n  body: .*, got one of int8"
        ):
            checked(**parsed(testing.small(int8=True)))

    def test_channel_that_does_not_agree_with_the_graph(self):
        model = model_file.parse(testing.small(int8=True).model)
        kernel = model_graph.graph(model).named("DEPTHWISE_CONV_2D")[0].input(1)
        model.subgraphs[0].tensors[kernel.index].quantization.scale[2] *= 1.01
        with self.assertRaisesRegex(ValueError, "\n  kernels: expected scale .*PerChannel"):
            checked(int8=True, tflite_model=model)

    def test_metadata_of_the_network(self):
        frozen = tf.GraphDef.FromString(testing.small(int8=True).frozen.SerializeToString())
        (image,) = (node for node in frozen.node if node.op == "Placeholder")
        image.attr[graph_input.TITLE].s = b"Some Net"
        image.attr[graph_input.CROP].s = b"square"
        got = checked(int8=True, frozen=frozen)
        self.assertIn(b"Some Net", got.tflite_model)
        for data, crop in ((got.tflite_model, Crop.SQUARE), (got.extractor, Crop.SQUARE)):
            self.assertEqual(metadata.crop_of(model_file.parse(data)), crop)
        default = checked(int8=True)
        self.assertIn(b"MobileNet V1", default.tflite_model)
        self.assertEqual(metadata.crop_of(model_file.parse(default.extractor)), Crop.STRETCHED)

    def test_without_labels(self):
        self.assertIsNone(metadata.labels_of(checked(labels=None).tflite_model))

    def assert_refused(self, expected, **changes):
        with self.assertRaises(ValueError) as caught:
            checked(**changes)
        lines = str(caught.exception).split("\n")
        self.assertLen(lines, len(expected))
        for line, start in zip(lines, expected, strict=True):
            self.assertStartsWith(line, start)

    def test_reports_each_broken_rule(self):
        model = model_file.parse(testing.small().model)
        model.description = b"text"
        model.subgraphs[0].operators[5].inputs[0] = model.subgraphs[0].operators[4].inputs[0]
        self.assert_refused(
            [
                "expected a model that keeps the rules of the products, got one with 2 rules that "
                "are broken:",
                "  class_vectors: expected the last CONV_2D to be fed by",
                "  description: expected",
            ],
            tflite_model=model,
        )

    def test_reports_figures_outside_limits_for_each_kind_of_kernels(self):
        # Only the scale differs, which does not change embeddings.
        ranges = dict.fromkeys(("act1", "act2", "act3", "classes"), (-3.0, 3.0))
        frozen = testing.graph_def(folded=False, ranges=ranges | {"scaled": (-30.0, 30.0)}, scale=1)
        with self.assertRaises(ValueError) as caught:
            checked(frozen=frozen)
        text = str(caught.exception)
        self.assertRegex(
            text, r"^expected a model that agrees with its graph, got one with \d+ ranges and fig"
        )
        self.assertIn("\n  outputs: expected scale ", text)
        for kernels in Kernels:
            self.assertRegex(
                text, rf"\n  logits_p99: expected .* got .* \(with the {kernels.value} kernels\)"
            )

    def test_parts_of_another_model(self):
        other = testing.small(quantise=False)
        with self.assertRaisesRegex(ValueError, "expected the head's input to be the extractor's"):
            checked(head=model_file.parse(other.head))

    def test_a_float_model_of_a_quantised_graph(self):
        with self.assertRaisesRegex(ValueError, r"rules that are broken:\n  input: .*float32"):
            checked(**parsed(testing.small(quantise=False)))

    def test_labels_and_images_that_do_not_fit(self):
        refuse = functools.partial(self.assertRaisesRegex, ValueError)
        with refuse("as many labels as classes, 7, got 2"):
            checked(labels=("a", "b"))
        with refuse("at least 64 images"):
            checked(images=testing.images(8))


if __name__ == "__main__":
    absltest.main()
