"""Tests of tflite_head.py."""

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.embedding.linear_embedding import LinearEmbedding
from imprinting.new_classes import embedding_fit, tflite_head
from imprinting.new_classes.embedding_fit import Fit
from imprinting.tflite import (
    class_vectors,
    embedding_layer,
    inference,
    model_file,
    model_graph,
    split,
)
from imprinting.tflite.imprinting import ImprintingEngine
from imprinting.tflite.inference import Kernels
from imprinting.tflite.model_graph import Model
from transforms.conversion import testing


def small(*, int8: bool) -> Model:
    """The small model, with an embedding of features minus their mean."""
    model = model_file.parse(testing.small(int8=int8).model)
    layer = embedding_layer.read(model)
    features = run(model, layer.features.index)
    biases = -layer.kernel @ features.mean(axis=0)
    reach = float(np.abs(features @ layer.kernel.T + biases).max())
    return embedding_layer.replaced(model, layer.kernel, biases, reach=reach)


def run(model: Model, tensor: int) -> np.ndarray:
    """The real values of a tensor for some images."""
    part = split.before(model, [tensor])
    (output,) = model_graph.graph(part).outputs
    (quanta,) = inference.run(part, testing.images(16), kernels=Kernels.REFERENCE)
    return output.dequantise(quanta).reshape(16, -1)


class TfliteHeadTest(parameterized.TestCase):
    @parameterized.parameters(False, True)
    def test_the_same_metric_in_other_axes_says_the_same(self, int8):
        model = small(int8=int8)
        engine = ImprintingEngine(model, keep_classes=True)
        head = tflite_head.read(model, engine, changing=[2])
        np.testing.assert_array_equal(head.competing, np.arange(testing.CLASSES) != 2)
        self.assertFalse(head.kept.imprinted.any())
        self.assertLessEqual(head.scale_factor, head.greatest_scale_factor)
        rotated = LinearEmbedding.of_metric(
            head.embedding.metric, head.embedding.mean, size=testing.EMBEDDING
        )
        vectors = embedding_fit.map_kept(head.kept, head.embedding, rotated)
        features = run(model, embedding_layer.read(model).features.index)
        reach = float(np.abs(rotated.of(features)).max())
        fit = Fit(rotated, reach, vectors, head.scale_factor, "")
        last = model_graph.graph(model).operators[-1].inputs[0]
        before, after = (run(m, last.index) for m in (model, tflite_head.fitted(model, fit)))
        # The parts of random vectors that no embedding has are lost, and so are their lengths.
        for number in range(testing.CLASSES):
            self.assertGreater(np.ptp(before[:, number]), 10 * last.scales[0])
            self.assertGreater(np.corrcoef(before[:, number], after[:, number])[0, 1], 0.95)

    def test_a_kernel_that_cannot_hold_kept_classes(self):
        model = small(int8=True)
        head = tflite_head.read(model, ImprintingEngine(model, keep_classes=True), changing=[])
        vectors = np.eye(testing.EMBEDDING)[: testing.CLASSES]
        kernel = model_graph.graph(model).operators[-4].inputs[1]
        tensors = model.subgraphs[0].tensors
        tensors[kernel.index].quantization.scale = [np.float32(0.0004)]
        vectors = vectors + 0.2
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        fit = Fit(head.embedding, 9.0, vectors, head.scale_factor, "")
        with self.assertRaisesRegex(ValueError, "whose range holds the vectors of kept classes"):
            tflite_head.fitted(model, fit)

    def test_an_embedding_with_other_biases(self):
        model = model_file.parse(testing.small().model)
        engine = ImprintingEngine(model, keep_classes=True)
        with self.assertRaisesRegex(ValueError, "biases that are something else"):
            tflite_head.read(model, engine, changing=[])

    def test_only_the_scale_factor(self):
        model = small(int8=True)
        factor = class_vectors.scale_factor(model)
        changed = tflite_head.fitted(model, Fit(None, 0.0, np.zeros([0, 0]), factor / 2, ""))
        self.assertAlmostEqual(class_vectors.scale_factor(changed), factor / 2, delta=factor / 200)
        same = tflite_head.fitted(model, Fit(None, 0.0, np.zeros([0, 0]), factor, ""))
        self.assertIs(same, model)

    def test_without_kept_classes(self):
        model = small(int8=False)
        head = tflite_head.read(model, ImprintingEngine(model, keep_classes=False), changing=[0])
        self.assertEqual(head.kept.vectors.shape, (0, testing.EMBEDDING))
        self.assertEqual(head.competing.shape, (0,))


if __name__ == "__main__":
    absltest.main()
