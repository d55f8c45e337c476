"""Tests of the figures that compare a .tflite with its graph."""

import dataclasses

import numpy as np
from absl.testing import absltest, parameterized

from transforms.conversion import agreement_figures
from transforms.conversion.agreement_figures import Figure, Outputs


def outputs(*, embedding=((0, 1), (1, 0)), logits=((3, 1, 0), (0, 2, 1)), probabilities=((1, 0),)):
    return Outputs(*(np.array(v, np.float32) for v in (embedding, logits, probabilities)))


def figures(got, expected, quantum):
    return {f.name: f for f in agreement_figures.compare(got, expected, logits_quantum=quantum)}


class FigureTest(parameterized.TestCase):
    @parameterized.parameters(
        (4.9, 5, False, True),
        (5, 5, False, True),
        (5.1, 5, False, False),
        (0.9989, 0.999, True, False),
        (0.999, 0.999, True, True),
        (float("nan"), 5, False, False),
        (float("nan"), 0.999, True, False),
        (1e9, None, False, True),
    )
    def test_limits(self, value, limit, at_least, expected):
        self.assertEqual(Figure("a", "b", value, limit, at_least).within_limit, expected)

    def test_as_text(self):
        figure = Figure("cosine", "the cosine", 0.99123456, 0.999, at_least=True)
        self.assertEqual(
            str(figure), "cosine: expected the cosine to be at least 0.999, got 0.99123"
        )
        relaxed = dataclasses.replace(figure, kernel_disagreement=0.998)
        self.assertEqual(str(relaxed), f"{figure} (between reference and default kernels, 0.998)")


class CompareTest(absltest.TestCase):
    def test_equal(self):
        got = figures(outputs(), outputs(), 0.5)
        self.assertTrue(all(figure.within_limit for figure in got.values()))
        self.assertEqual(
            {name: figure.value for name, figure in got.items()},
            {
                "logits_p99": 0,
                "logits_max": 0,
                "embedding_cosine_mean": 1,
                "embedding_cosine_worst": 1,
                "embedding_cosine_worst_eighth": 1,
                "top1_equal": 1,
                "top1_tied": 0,
            },
        )

    def test_logits_in_quanta(self):
        logits = np.zeros([100, 10], np.float32)
        other = logits.copy()
        # Nine of a thousand values have a large difference, eleven one of 2.
        other.flat[:9], other.flat[9:20] = 40, -2
        got = figures(outputs(logits=other), outputs(logits=logits), 0.5)
        self.assertAlmostEqual(got["logits_p99"].value, 4)
        self.assertTrue(got["logits_p99"].within_limit)
        self.assertEqual(got["logits_max"].value, 80)
        other.flat[9:20] = 3
        got = figures(outputs(logits=other), outputs(logits=logits), 0.5)
        self.assertFalse(got["logits_p99"].within_limit)

    def test_cosines(self):
        off = outputs(embedding=((0, 2), (1, 0.1)))
        got = figures(off, outputs(), 1)
        worst = 1 / np.sqrt(1.01)
        self.assertAlmostEqual(got["embedding_cosine_worst"].value, worst, places=6)
        self.assertAlmostEqual(got["embedding_cosine_mean"].value, (1 + worst) / 2, places=6)
        self.assertTrue(got["embedding_cosine_worst"].within_limit)
        self.assertFalse(got["embedding_cosine_mean"].within_limit)
        got = figures(outputs(embedding=((0, 0), (1, 0))), outputs(), 1)
        self.assertEqual(got["embedding_cosine_worst"].value, 0)
        self.assertEqual(got["embedding_cosine_worst_eighth"].value, 0)

    def test_the_worst_eighth_is_more_than_the_worst(self):
        angles = np.zeros([16])
        angles[[3, 8, 9]] = 0.2, 0.1, 0.05
        embedding = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        got = figures(outputs(embedding=embedding), outputs(embedding=[(1, 0)] * 16), 1)
        tail = got["embedding_cosine_worst_eighth"]
        self.assertAlmostEqual(tail.value, (np.cos(0.2) + np.cos(0.1)) / 2, places=6)
        self.assertFalse(tail.within_limit)

    def test_ties_count_as_equal_if_a_top_class_is_the_same(self):
        expected = outputs(logits=((3, 3, 0), (3, 3, 0), (1, 0, 0), (0, 1, 0)))
        got = outputs(logits=((0, 3, 0), (0, 0, 3), (1, 1, 0), (0, 1, 0)))
        got = figures(got, expected, 1)
        self.assertEqual(got["top1_equal"].value, 0.75)
        self.assertEqual(got["top1_tied"].value, 0.75)

    def test_float(self):
        off = outputs(logits=((3, 1, 3.1e-4), (0, 2, 1)), probabilities=((1, 9e-5),))
        got = figures(off, outputs(), None)
        self.assertAlmostEqual(got["logits_max"].value, 3.1e-4 / 3, places=9)
        self.assertAlmostEqual(got["probabilities_max"].value, 9e-5, places=9)
        self.assertEqual(
            [f.name for f in got.values() if not f.within_limit],
            ["logits_max"],
        )


if __name__ == "__main__":
    absltest.main()
