"""Tests of embedding_layer.py: replaces the layer of small models, and runs the results."""

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.tflite import (
    embedding_layer,
    inference,
    model_file,
    model_graph,
    product_rules,
    split,
)
from imprinting.tflite.inference import Kernels
from imprinting.tflite.model_graph import Model
from transforms.conversion import testing


def small(*, int8: bool) -> Model:
    return model_file.parse(testing.small(int8=int8).model)


def run(model: Model, tensor: int) -> np.ndarray:
    """The real values of a tensor for some images."""
    part = split.before(model, [tensor])
    (output,) = model_graph.graph(part).outputs
    (quanta,) = inference.run(part, testing.images(16), kernels=Kernels.REFERENCE)
    return output.dequantise(quanta).reshape(16, -1)


def embedding(model: Model) -> np.ndarray:
    return run(model, split.at_embedding(model).place)


@parameterized.parameters(False, True)
class EmbeddingLayerTest(parameterized.TestCase):
    def other(self, model: Model) -> tuple[np.ndarray, np.ndarray]:
        layer = embedding_layer.read(model)
        random = np.random.default_rng(0)
        kernel = random.normal(size=layer.kernel.shape)
        return kernel, -kernel @ run(model, layer.features.index).mean(axis=0)

    def expected(self, model: Model, kernel: np.ndarray, biases: np.ndarray) -> np.ndarray:
        features = run(model, embedding_layer.read(model).features.index)
        values = features @ kernel.T + biases
        return values / np.linalg.norm(values, axis=1, keepdims=True)

    def test_reads_what_the_model_computes(self, int8):
        model = small(int8=int8)
        layer = embedding_layer.read(model)
        self.assertEqual(layer.kernel.shape[0], testing.EMBEDDING)
        cosines = (embedding(model) * self.expected(model, layer.kernel, layer.biases)).sum(axis=1)
        self.assertGreater(cosines.min(), 0.99)

    def test_the_model_computes_another_embedding(self, int8):
        model = small(int8=int8)
        before = model_file.serialise(model)
        kernel, biases = self.other(model)
        features = run(model, embedding_layer.read(model).features.index)
        reach = float(np.abs(features @ kernel.T + biases).max())
        changed = embedding_layer.replaced(model, kernel, biases, reach=reach)
        changed = model_file.parse(model_file.serialise(changed))
        self.assertEqual(model_file.serialise(model), before)
        self.assertEqual(product_rules.check(changed, quantised=True), [])
        cosines = (embedding(changed) * self.expected(model, kernel, biases)).sum(axis=1)
        self.assertGreater(cosines.min(), 0.98)
        self.assertLess((embedding(changed) * embedding(model)).sum(axis=1).max(), 0.9)
        read = embedding_layer.read(changed)
        row = np.abs(kernel).max(axis=1, keepdims=True) if int8 else np.abs(kernel).max()
        self.assertLess((np.abs(read.kernel - kernel) / row).max(), 0.51 / 127)
        np.testing.assert_allclose(read.biases, biases, atol=0.01)

    def test_what_comes_before_stays(self, int8):
        model = small(int8=int8)
        kernel, biases = self.other(model)
        changed = embedding_layer.replaced(model, kernel, biases, reach=9.0)
        parts = [
            model_file.serialise(split.before(m, [embedding_layer.read(m).features.index]))
            for m in (model, changed)
        ]
        self.assertEqual(parts[0], parts[1])

    def test_an_output_that_is_always_0(self, int8):
        model = small(int8=int8)
        kernel, biases = self.other(model)
        kernel[3], biases[3] = 0, 0
        changed = embedding_layer.replaced(model, kernel, biases, reach=9.0)
        np.testing.assert_array_equal(embedding(changed)[:, 3], np.zeros(16))

    def test_bad_layers(self, int8):
        model = small(int8=int8)
        kernel, biases = self.other(model)
        for bad, expected in (
            ((kernel[:3], biases), "expected a kernel"),
            ((kernel, biases[:3]), "expected a kernel"),
            ((kernel * np.nan, biases), "got NaN or infinity"),
            ((kernel, biases + np.inf), "got NaN or infinity"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                embedding_layer.replaced(model, *bad, reach=1.0)
        with self.assertRaisesRegex(ValueError, "NaN or infinity"):
            embedding_layer.replaced(model, kernel, biases, reach=0.0)

    def test_a_model_without_the_layer(self, int8):
        head = model_file.parse(testing.small(int8=int8).head)
        with self.assertRaisesRegex(ValueError, "got one without"):
            embedding_layer.read(head)


if __name__ == "__main__":
    absltest.main()
