"""Compares what a .tflite makes of imprinted classes with the same in float."""

import numpy as np
from absl.testing import absltest

from classification.low_shot import protocol, tflite_method
from classification.low_shot.embedded import Embedded
from classification.low_shot.protocol import Task
from imprinting.tflite import class_vectors, inference, model_file, model_graph
from imprinting.tflite.inference import Kernels
from transforms.conversion import testing

_NOVEL = 3


def _embeddings(images: np.ndarray) -> np.ndarray:
    embedder = model_file.parse(testing.small().embedder)
    (output,) = model_graph.graph(embedder).outputs
    (quanta,) = inference.run(embedder, images, kernels=Kernels.REFERENCE)
    return output.dequantise(quanta).reshape(len(images), -1)


class DeployedTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.model = model_file.parse(testing.small().model)

    def task(self, *, num_classes: int = testing.CLASSES + _NOVEL) -> Task:
        embeddings = _embeddings(testing.images(4 * _NOVEL))
        labels = np.repeat(testing.CLASSES + np.arange(_NOVEL), 4)
        return Task(
            tflite_method.base_vectors(self.model),
            Embedded(embeddings, labels),
            num_classes,
            10.0,
            0,
        )

    def test_probabilities_are_near_those_in_float(self):
        task, test = self.task(), _embeddings(testing.images(40))
        found = tflite_method.Deployed(self.model, kernels=Kernels.REFERENCE)(task)(test)
        self.assertEqual((found.shape, found.dtype), ((40, testing.CLASSES + _NOVEL), np.uint8))
        logits = class_vectors.scale_factor(self.model) * protocol.imprint(task)(test)
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found / 256, expected, atol=0.04)
        self.assertGreater(np.ptp(expected), 0.2)

    def test_new_classes_alone(self):
        task, test = self.task(), _embeddings(testing.images(40))
        learn = tflite_method.Deployed(self.model, kernels=Kernels.REFERENCE)
        found = learn(task.without_base())(test)
        self.assertEqual(found.shape, (40, _NOVEL))
        # Nothing is left to the classes that went.
        np.testing.assert_allclose(found.sum(axis=1), 256, atol=_NOVEL)
        logits = class_vectors.scale_factor(self.model) * protocol.imprint(task.without_base())(
            test
        )
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found / 256, expected, atol=0.04)
        self.assertGreater(np.ptp(expected), 0.1)

    def test_the_model_as_it_is(self):
        images = testing.images(40)
        found = tflite_method.classifier(self.model, kernels=Kernels.REFERENCE)(_embeddings(images))
        (expected,) = inference.run(self.model, images, kernels=Kernels.REFERENCE)
        np.testing.assert_array_equal(found, expected)

    def test_values_read_from_the_model(self):
        self.assertAlmostEqual(class_vectors.scale_factor(self.model), 10.0, places=1)
        vectors = tflite_method.base_vectors(self.model)
        self.assertEqual(vectors.shape, (testing.CLASSES, testing.EMBEDDING))
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)

    def test_a_model_of_other_classes(self):
        task = self.task()
        task = Task(task.base_vectors[:5], task.examples, task.num_classes, task.scale, 0)
        with self.assertRaisesRegex(ValueError, "model of the 5 base classes, got one of 7"):
            tflite_method.Deployed(self.model)(task)


if __name__ == "__main__":
    absltest.main()
