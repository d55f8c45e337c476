"""Tests of class_vectors.py."""

import numpy as np
from absl.testing import absltest

from imprinting.tflite import class_vectors, model_file, model_graph
from imprinting.tflite.imprinting import ImprintingEngine
from imprinting.tflite.model_graph import Model
from transforms.conversion import testing


def small() -> Model:
    return model_file.parse(testing.small().model)


def again(model: Model) -> Model:
    return model_file.parse(model_file.serialise(model))


class ClassVectorsTest(absltest.TestCase):
    def test_are_those_that_imprinting_reads(self):
        vectors = class_vectors.read(small())
        self.assertEqual(vectors.shape, (testing.CLASSES, testing.EMBEDDING))
        engine = ImprintingEngine(small(), keep_classes=True)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        np.testing.assert_allclose(engine.trained_vectors(), unit, rtol=1e-5)

    def test_others(self):
        model = small()
        bytes_before = model_file.serialise(model)
        vectors = class_vectors.read(model)[::-1]
        changed = again(class_vectors.replaced(model, vectors))
        np.testing.assert_array_equal(class_vectors.read(changed), vectors)
        self.assertEqual(model_file.serialise(model), bytes_before)
        self.assertEqual(
            [str(t) for t in model_graph.graph(changed).tensors],
            [str(t) for t in model_graph.graph(model).tensors],
        )

    def test_vectors_outside_the_range_are_clipped(self):
        vectors = np.full([testing.CLASSES, testing.EMBEDDING], 9.0)
        found = class_vectors.read(class_vectors.replaced(small(), vectors))
        self.assertLess(found.max(), 9)
        np.testing.assert_array_equal(found, found.max())

    def test_bad_vectors(self):
        for bad in (np.zeros([3, testing.EMBEDDING]), class_vectors.read(small()) * np.nan):
            with self.assertRaisesRegex(ValueError, r"expected finite class vectors \[7, 24\]"):
                class_vectors.replaced(small(), bad)

    def test_scale_factor(self):
        model = small()
        factor = class_vectors.scale_factor(model)
        self.assertGreaterEqual(class_vectors.greatest_scale_factor(model), factor)
        for wanted, expected in ((factor / 2, factor / 2), (1e9, None), (1e-9, None)):
            changed = again(class_vectors.with_scale_factor(model, wanted))
            found = class_vectors.scale_factor(changed)
            if expected is not None:
                self.assertAlmostEqual(found, expected, delta=factor / 200)
            self.assertGreater(found, 0)
            self.assertLessEqual(found, class_vectors.greatest_scale_factor(model))
        self.assertEqual(class_vectors.scale_factor(model), factor)


if __name__ == "__main__":
    absltest.main()
