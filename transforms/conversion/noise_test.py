"""Tests that limits are relaxed for a network's own noise, and for nothing else."""

import dataclasses

from absl.testing import absltest, parameterized

from transforms.conversion import noise
from transforms.conversion.agreement_figures import Figure


def cosine(value: float) -> Figure:
    return Figure("embedding_cosine_mean", "the cosine", value, 0.999, at_least=True)


def quanta(value: float) -> Figure:
    return Figure("logits_p99", "the difference", value, 5)


class NoiseTest(parameterized.TestCase):
    @parameterized.parameters(
        # The usual limit applies to a network with little noise.
        (0.9995, 0.999),
        (1.0, 0.999),
        (0.9992, 0.999),
        (0.9988, 0.9985),
        (0.9960, 0.9950),
        # A network with more noise is broken.
        (0.95, 0.95),
        (0.9, 0.95),
    )
    def test_mean_cosine(self, disagreement, limit):
        (figure,) = noise.allow([cosine(0.998)], [cosine(disagreement)])
        self.assertAlmostEqual(figure.limit, limit)
        self.assertEqual(figure.kernel_disagreement, disagreement)
        self.assertEqual(figure.value, 0.998)
        self.assertEqual(figure.within_limit, 0.998 >= limit)

    @parameterized.parameters((0.9999, 0.995), (0.996, 0.99), (0.99, 0.975), (0.9, 0.9))
    def test_worst_image_has_a_larger_factor(self, disagreement, limit):
        figure = Figure("embedding_cosine_worst", "the cosine", 0.99, 0.995, at_least=True)
        (figure,) = noise.allow([figure], [dataclasses.replace(figure, value=disagreement)])
        self.assertAlmostEqual(figure.limit, limit)

    @parameterized.parameters((0.9999, 0.995), (0.996, 0.995), (0.99, 0.9875), (0.9, 0.9))
    def test_worst_eighth_has_the_usual_factor(self, disagreement, limit):
        figure = Figure("embedding_cosine_worst_eighth", "the cosine", 0.99, 0.995, at_least=True)
        (figure,) = noise.allow([figure], [dataclasses.replace(figure, value=disagreement)])
        self.assertAlmostEqual(figure.limit, limit)

    @parameterized.parameters((0, 5), (4, 5), (8, 10), (50, 12))
    def test_logits(self, disagreement, limit):
        (figure,) = noise.allow([quanta(6)], [quanta(disagreement)])
        self.assertEqual(figure.limit, limit)
        self.assertEqual(figure.within_limit, limit >= 6)

    def test_other_figures_are_unchanged(self):
        figures = [
            Figure("parts_differing", "the number of values", 1, 0),
            Figure("logits_max", "the largest difference", 12.0),
            Figure("probabilities_max", "the largest difference", 1.0, 1e-4),
            Figure("top1_equal", "the fraction", 0.5, 0.97, at_least=True),
        ]
        disagreement = [Figure(f.name, f.says, 100.0, f.limit) for f in figures]
        self.assertEqual(noise.allow(figures, disagreement), figures)

    def test_figure_without_kernel_disagreement_is_unchanged(self):
        self.assertEqual(noise.allow([cosine(0.9)], []), [cosine(0.9)])


if __name__ == "__main__":
    absltest.main()
