"""Tests of running models and their graphs on the same images."""

import numpy as np
import tensorflow.compat.v1 as tf
from absl.testing import absltest, parameterized

from imprinting.tflite import model_file
from imprinting.tflite.inference import Kernels
from transforms.conversion import agreement, agreement_figures, testing


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
        compared = agreement_figures.compare(run.real, expected, logits_quantum=run.logits_quantum)
        for figure in compared:
            self.assertTrue(figure.within_limit, msg=figure)
        figure = agreement.joined(run, extractor, head, images)
        self.assertEqual(figure.value, 0)
        # The head of another model.
        scale = [op for op in head.subgraphs[0].operators][2].inputs[1]
        data = head.buffers[head.subgraphs[0].tensors[scale].buffer].data
        data[:] = data // 2
        self.assertFalse(agreement.joined(run, extractor, head, images).within_limit)

    def test_another_graph_does_not_agree(self):
        images = testing.images()
        other = testing.graph_def(folded=False, ranges=None, scale=11)
        run = agreement.Run(
            model_file.parse(testing.small(quantise=False).model), images, kernels=Kernels.DEFAULT
        )
        expected = agreement.graph_outputs(other, images)
        compared = agreement_figures.compare(run.real, expected, logits_quantum=None)
        self.assertEqual(
            {figure.name: figure.within_limit for figure in compared},
            {"probabilities_max": False, "embedding_max": True, "logits_max": False},
        )

    def test_folded_and_frozen_graph_compute_the_same(self):
        small = testing.small(quantise=False)
        a, b = (agreement.graph_outputs(g, testing.images(4)) for g in (small.frozen, small.folded))
        for name in ("embedding", "logits", "probabilities"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-5, atol=1e-6)

    def test_probabilities_too_flat_for_the_reference_softmax(self):
        agreement_figures.require_peaks(np.zeros([2, 400]))
        agreement_figures.require_peaks(np.eye(2, 5000) * 10)
        with self.assertRaisesRegex(ValueError, "a probability of 0.0005 for some image"):
            agreement_figures.require_peaks(np.zeros([2, 2000]))

    def test_parts_that_do_not_fit_together(self):
        small, images = testing.small(), testing.images(4)
        model, extractor, head = (
            model_file.parse(data) for data in (small.model, small.extractor, small.head)
        )
        run = agreement.Run(model, images, kernels=Kernels.DEFAULT)
        (index,) = head.subgraphs[0].inputs
        head.subgraphs[0].tensors[index].quantization.scale[0] = 1 / 127
        with self.assertRaisesRegex(ValueError, "uint8 .*, scale .*, got .*scale 0.00787402"):
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

    def test_a_model_without_normalisation_or_softmax_cannot_be_compared(self):
        for data in (testing.small().extractor, testing.small().classes):
            with self.assertRaisesRegex(ValueError, "expected a model "):
                agreement.Run(model_file.parse(data), testing.images(2), kernels=Kernels.DEFAULT)


if __name__ == "__main__":
    absltest.main()
