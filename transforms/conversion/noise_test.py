"""Tests that limits give way to a network's own noise, and to nothing else."""

import dataclasses

from absl.testing import absltest, parameterized

from transforms.conversion import noise
from transforms.conversion.agreement import Figure


def cosine(value: float) -> Figure:
    return Figure("embedding_cosine_mean", "the cosine", value, 0.999, at_least=True)


def quanta(value: float) -> Figure:
    return Figure("logits_p99", "the difference", value, 5)


class NoiseTest(parameterized.TestCase):
    @parameterized.parameters(
        # Of a quiet network the usual limit holds.
        (0.9995, 0.999),
        (1.0, 0.999),
        (0.9992, 0.999),
        (0.9988, 0.9985),
        (0.9960, 0.9950),
        # What is this noisy is broken.
        (0.95, 0.95),
        (0.9, 0.95),
    )
    def test_cosine(self, among, limit):
        (figure,) = noise.allow([cosine(0.998)], [cosine(among)])
        self.assertAlmostEqual(figure.limit, limit)
        self.assertEqual(figure.among, among)
        self.assertEqual(figure.value, 0.998)
        self.assertEqual(figure.kept, 0.998 >= limit)

    @parameterized.parameters((0.9999, 0.995), (0.996, 0.99), (0.99, 0.975), (0.9, 0.9))
    def test_the_worst_image_has_more_to_spare(self, among, limit):
        figure = Figure("embedding_cosine_worst", "the cosine", 0.99, 0.995, at_least=True)
        (figure,) = noise.allow([figure], [dataclasses.replace(figure, value=among)])
        self.assertAlmostEqual(figure.limit, limit)

    @parameterized.parameters((0.9999, 0.995), (0.996, 0.995), (0.99, 0.9875), (0.9, 0.9))
    def test_the_worst_eighth_has_not(self, among, limit):
        figure = Figure("embedding_cosine_worst_eighth", "the cosine", 0.99, 0.995, at_least=True)
        (figure,) = noise.allow([figure], [dataclasses.replace(figure, value=among)])
        self.assertAlmostEqual(figure.limit, limit)

    @parameterized.parameters((0, 5), (4, 5), (8, 10), (50, 12))
    def test_logits(self, among, limit):
        (figure,) = noise.allow([quanta(6)], [quanta(among)])
        self.assertEqual(figure.limit, limit)
        self.assertEqual(figure.kept, limit >= 6)

    def test_figures_without_an_allowance_stay(self):
        figures = [
            Figure("parts_differing", "the number of values", 1, 0),
            Figure("logits_max", "the largest difference", 12.0),
            Figure("probabilities_max", "the largest difference", 1.0, 1e-4),
            Figure("top1_equal", "the fraction", 0.5, 0.97, at_least=True),
        ]
        among = [Figure(f.name, f.says, 100.0, f.limit) for f in figures]
        self.assertEqual(noise.allow(figures, among), figures)

    def test_a_figure_that_the_kernels_lack(self):
        self.assertEqual(noise.allow([cosine(0.9)], []), [cosine(0.9)])


if __name__ == "__main__":
    absltest.main()
