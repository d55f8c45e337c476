"""Tests of the check of the products."""

import functools

from absl.testing import absltest, parameterized

from transforms.conversion import check, testing
from transforms.conversion.inference import Kernels
from transforms.tflite import metadata, model_file


def checked(quantise=True, **changes):
    """Checks the small classifier, with other arguments where they are given."""
    small = testing.small(quantise=quantise)
    arguments = {
        name: model_file.parse(getattr(small, name)) for name in ("model", "extractor", "head")
    }
    arguments |= {"frozen": small.frozen, "images": testing.images(), "labels": testing.LABELS}
    return check.check(**(arguments | changes))


class CheckTest(parameterized.TestCase):
    @parameterized.parameters(True, False)
    def test_products_that_pass(self, quantise):
        got = checked(quantise)
        self.assertEqual((got.quantised, got.images), (quantise, 64))
        self.assertEqual([*got.agreement], [*Kernels])
        for figures in got.agreement.values():
            self.assertEqual(figures[-1].name, "parts_differing")
            self.assertTrue(all(figure.kept for figure in figures))
        self.assertEqual(metadata.labels_of(got.model), testing.LABELS)
        self.assertEqual(metadata.labels_of(got.head), testing.LABELS)
        self.assertIsNone(metadata.labels_of(got.extractor))
        self.assertEqual(checked(quantise), got)

    def test_without_labels(self):
        self.assertIsNone(metadata.labels_of(checked(labels=None).model))

    def assert_refused(self, expected, **changes):
        with self.assertRaises(ValueError) as caught:
            checked(**changes)
        lines = str(caught.exception).split("\n")
        self.assertLen(lines, len(expected))
        for line, start in zip(lines, expected, strict=True):
            self.assertStartsWith(line, start)

    def test_each_broken_rule_is_told(self):
        model = model_file.parse(testing.small().model)
        model.description = b"text"
        model.subgraphs[0].operators[5].inputs[0] = model.subgraphs[0].operators[4].inputs[0]
        self.assert_refused(
            [
                "the model does not keep 2 rules of the products:",
                "  class_vectors: expected the last CONV_2D to be fed by",
                "  description: expected",
            ],
            model=model,
        )

    def test_each_figure_off_its_limit_is_told_for_each_kind_of_kernels(self):
        # The same but for the scale, which no embedding shows.
        ranges = dict.fromkeys(("act1", "act2", "act3", "classes"), (-3.0, 3.0))
        frozen = testing.graph_def(folded=False, ranges=ranges | {"scaled": (-30.0, 30.0)}, scale=1)
        with self.assertRaises(ValueError) as caught:
            checked(frozen=frozen)
        text = str(caught.exception)
        self.assertRegex(text, r"^the model does not keep \d+ ranges and figures:\n")
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
        other = testing.small(quantise=False)
        parts = {n: model_file.parse(getattr(other, n)) for n in ("model", "extractor", "head")}
        with self.assertRaisesRegex(ValueError, r"rules of the products:\n  input: .*float32"):
            checked(**parts)

    def test_labels_and_images_that_do_not_fit(self):
        refuse = functools.partial(self.assertRaisesRegex, ValueError)
        with refuse("as many labels as classes, 7, got 2"):
            checked(labels=("a", "b"))
        with refuse("at least 64 images"):
            checked(images=testing.images(8))


if __name__ == "__main__":
    absltest.main()
