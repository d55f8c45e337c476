"""Tests of how far models agree with graphs."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from transforms.conversion import agreement, testing
from transforms.conversion.agreement import Figure, Outputs
from transforms.conversion.inference import Kernels
from transforms.tflite import model_file


def outputs(*, embedding=((0, 1), (1, 0)), logits=((3, 1, 0), (0, 2, 1)), probabilities=((1, 0),)):
    return Outputs(*(np.array(v, np.float32) for v in (embedding, logits, probabilities)))


def figures(got, expected, quantum):
    return {f.name: f for f in agreement.compare(got, expected, logits_quantum=quantum)}


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
    def test_limits(self, value, limit, at_least, kept):
        self.assertEqual(Figure("a", "b", value, limit, at_least).kept, kept)

    def test_sentence(self):
        figure = Figure("cosine", "the cosine", 0.99123456, 0.999, at_least=True)
        self.assertEqual(
            str(figure), "cosine: expected the cosine to be at least 0.999, got 0.99123"
        )


class CompareTest(absltest.TestCase):
    def test_equal(self):
        got = figures(outputs(), outputs(), 0.5)
        self.assertTrue(all(figure.kept for figure in got.values()))
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
        # Nine values of a thousand are off by far, eleven by 2.
        other.flat[:9], other.flat[9:20] = 40, -2
        got = figures(outputs(logits=other), outputs(logits=logits), 0.5)
        self.assertAlmostEqual(got["logits_p99"].value, 4)
        self.assertTrue(got["logits_p99"].kept)
        self.assertEqual(got["logits_max"].value, 80)
        other.flat[9:20] = 3
        got = figures(outputs(logits=other), outputs(logits=logits), 0.5)
        self.assertFalse(got["logits_p99"].kept)

    def test_cosines(self):
        off = outputs(embedding=((0, 2), (1, 0.1)))
        got = figures(off, outputs(), 1)
        worst = 1 / np.sqrt(1.01)
        self.assertAlmostEqual(got["embedding_cosine_worst"].value, worst, places=6)
        self.assertAlmostEqual(got["embedding_cosine_mean"].value, (1 + worst) / 2, places=6)
        self.assertTrue(got["embedding_cosine_worst"].kept)
        self.assertFalse(got["embedding_cosine_mean"].kept)
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
        self.assertFalse(tail.kept)

    def test_ties_count_as_equal_where_a_class_is_first_on_both_sides(self):
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
            [f.name for f in got.values() if not f.kept],
            ["logits_max"],
        )


class ModelTest(parameterized.TestCase):
    @parameterized.product(quantise=[True, False], kernels=list(Kernels))
    def test_a_model_agrees_with_its_graph(self, quantise, kernels):
        small, images = testing.small(quantise=quantise), testing.images()
        expected = agreement.graph_outputs(small.frozen, images)
        self.assertEqual(expected.embedding.shape, (64, testing.EMBEDDING))
        self.assertEqual(expected.logits.shape, (64, testing.CLASSES))
        np.testing.assert_allclose(np.linalg.norm(expected.embedding, axis=1), 1, atol=0.03)
        np.testing.assert_allclose(expected.probabilities.sum(axis=1), 1, rtol=1e-5)
        self.assertGreater(len(set(expected.logits.argmax(axis=1))), 1)
        model, extractor, head = (
            model_file.parse(data) for data in (small.model, small.extractor, small.head)
        )
        run = agreement.Run(model, images, kernels=kernels)
        self.assertEqual(run.real.embedding.shape, expected.embedding.shape)
        np.testing.assert_allclose(run.real.probabilities, expected.probabilities, atol=0.05)
        for figure in agreement.compare(run.real, expected, logits_quantum=run.logits_quantum):
            self.assertTrue(figure.kept, msg=figure)
        figure = agreement.joined(run, extractor, head, images)
        self.assertEqual(figure.value, 0)
        # Parts of another model.
        scale = [op for op in head.subgraphs[0].operators][1].inputs[1]
        data = head.buffers[head.subgraphs[0].tensors[scale].buffer].data
        data[:] = data // 2
        self.assertFalse(agreement.joined(run, extractor, head, images).kept)

    def test_graphs_are_told_from_one_another(self):
        images = testing.images()
        other = testing.graph_def(folded=False, ranges=None, scale=11)
        run = agreement.Run(
            model_file.parse(testing.small(quantise=False).model), images, kernels=Kernels.DEFAULT
        )
        expected = agreement.graph_outputs(other, images)
        got = {f.name: f.kept for f in agreement.compare(run.real, expected, logits_quantum=None)}
        self.assertEqual(
            got, {"probabilities_max": False, "embedding_max": True, "logits_max": False}
        )

    def test_folded_and_frozen_graph_compute_the_same(self):
        small = testing.small(quantise=False)
        a, b = (agreement.graph_outputs(g, testing.images(4)) for g in (small.frozen, small.folded))
        for name in ("embedding", "logits", "probabilities"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-5, atol=1e-6)

    def test_probabilities_too_flat_for_the_reference_softmax(self):
        agreement.require_peaks(np.zeros([2, 400]))
        agreement.require_peaks(np.eye(2, 5000) * 10)
        with self.assertRaisesRegex(ValueError, "a probability of 0.0005 on some image"):
            agreement.require_peaks(np.zeros([2, 2000]))

    def test_parts_that_do_not_meet(self):
        small, images = testing.small(), testing.images(4)
        model, extractor, head = (
            model_file.parse(data) for data in (small.model, small.extractor, small.head)
        )
        run = agreement.Run(model, images, kernels=Kernels.DEFAULT)
        (index,) = head.subgraphs[0].inputs
        head.subgraphs[0].tensors[index].quantization.scale[0] = 1 / 127
        with self.assertRaisesRegex(ValueError, "scale 0.0078125.*, got .*scale 0.00787402"):
            agreement.joined(run, extractor, head, images)

    def test_images_that_do_not_fit(self):
        model = model_file.parse(testing.small().model)
        agreement.check_images(testing.images(64), model)
        for images, expected in (
            (testing.images(63), "at least 64 images to check with, got 63"),
            (testing.images(64, size=16), r"uint8 \[n, 32, 32, 3\].*got uint8 \[64, 16, 16, 3\]"),
            (testing.images(64).astype(np.float32), r"got float32 \[64, 32, 32, 3\]"),
            (testing.images(64)[0], r"got uint8 \[32, 32, 3\]"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                agreement.check_images(images, model)

    def test_graphs_that_cannot_be_run(self):
        with self.assertRaisesRegex(ValueError, "expected a graph that runs on the images"):
            agreement.graph_outputs(testing.small().frozen, testing.images(2, size=8))
        with tf.Graph().as_default() as graph:
            tf.Variable(1.0, name="weights", use_resource=False)
            graph_def = graph.as_graph_def()
        with self.assertRaisesRegex(ValueError, "expected a frozen graph"):
            agreement.graph_outputs(graph_def, testing.images(2))

    def test_parts_are_no_models_to_compare(self):
        for data in (testing.small().extractor, testing.small().head):
            with self.assertRaisesRegex(ValueError, "expected a model "):
                agreement.Run(model_file.parse(data), testing.images(2), kernels=Kernels.DEFAULT)


if __name__ == "__main__":
    absltest.main()
