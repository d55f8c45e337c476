"""Tests of imprinting.py: imprints classes into a small model, and runs the result."""

from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.base import large_arrays
from imprinting.tflite import inference, model_file, model_graph, product_rules
from imprinting.tflite.imprinting import ImprintingEngine
from imprinting.tflite.inference import Kernels
from imprinting.tflite.model_graph import Model
from transforms.conversion import testing


def _small() -> Model:
    return model_file.parse(testing.small().model)


def _embeddings(count: int = 64) -> np.ndarray:
    """The small model's embeddings of images, float32 [count, EMBEDDING]."""
    embedder = model_file.parse(testing.small().embedder)
    (output,) = model_graph.graph(embedder).outputs
    (quanta,) = inference.run(embedder, testing.images(count), kernels=Kernels.REFERENCE)
    return output.dequantise(quanta).reshape(count, -1)


def _random(count: int, seed: int = 0) -> np.ndarray:
    """Unit vectors in the range of the small model's kernel, float64 [count, EMBEDDING]."""
    vectors = np.random.default_rng(seed).uniform(-1, 1, size=[count, testing.EMBEDDING])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _kernel(model: Model) -> tuple[np.ndarray, model_graph.Tensor]:
    """The quanta of the last kernel, uint8 [classes, EMBEDDING], and its tensor."""
    tail = product_rules.tail(model_graph.graph(model))
    tensor = tail[0].inputs[1]
    data = model.buffers[model.subgraphs[0].tensors[tensor.index].buffer].data
    return np.asarray(data).reshape(-1, testing.EMBEDDING), tensor


def _before_tail(model: Model) -> list[object]:
    """The operators before the tail, with their tensors and values."""
    found: list[object] = []
    for op in model_graph.graph(model).operators[: -len(product_rules.TAIL)]:
        for tensor in (*op.inputs, *op.outputs):
            of_file = model.subgraphs[0].tensors[tensor.index]
            data = model.buffers[of_file.buffer].data
            found += [
                op.name,
                tensor.name,
                str(tensor),
                tensor.scales,
                None if data is None else bytes(data),
            ]
    return found


def _again(model: Model) -> Model:
    return model_file.parse(model_file.serialise(model))


class ImprintingTest(parameterized.TestCase):
    def test_without_the_old_classes(self):
        vectors = _embeddings(10)
        engine = ImprintingEngine(_small(), keep_classes=False)
        self.assertEqual((engine.num_classes, engine.depth), (0, testing.EMBEDDING))
        engine.add(0, vectors[:3])
        engine.add(1, vectors[3:])
        model = _again(engine.build().tflite_model)
        quanta, kernel = _kernel(model)
        self.assertEqual(quanta.shape, (2, testing.EMBEDDING))
        for row, examples in zip(quanta, (vectors[:3], vectors[3:]), strict=True):
            expected = examples.mean(axis=0) / np.linalg.norm(examples.mean(axis=0))
            inside = np.clip(expected, *kernel.dequantise(np.array([0, 255])))
            np.testing.assert_allclose(kernel.dequantise(row), inside, atol=0.51 * kernel.scales[0])
        lengths = [np.linalg.norm(v.sum(0, dtype=float)) for v in (vectors[:3], vectors[3:])]
        self.assertEqual(model.description.decode(), f"0 {lengths[0]:f}\n1 {lengths[1]:f}\n")

    def test_pieces_of_many_examples(self):
        vectors = _embeddings(40)
        found = []
        for piece in (1 << 30, 1000):
            with mock.patch.object(large_arrays, "_PIECE_BYTES", piece):
                engine = ImprintingEngine(_small(), keep_classes=False)
                engine.add(0, vectors)
                found.append(engine.build())
                with self.assertRaisesRegex(ValueError, "as embedding 33;"):
                    engine.add(0, vectors * np.where(np.arange(40) < 33, 1, 2)[:, np.newaxis])
        np.testing.assert_array_equal(*(_kernel(each.tflite_model)[0] for each in found))

    @parameterized.parameters(True, False)
    def test_the_result_keeps_the_rules_and_has_the_engines_quanta(self, keep):
        engine = ImprintingEngine(_small(), keep_classes=keep)
        engine.add(engine.num_classes, _random(1))
        model = _again(engine.build().tflite_model)
        classes = testing.CLASSES * keep + 1
        self.assertEqual(product_rules.check(model, quantised=True), [])
        conv, mul, reshape, softmax = product_rules.tail(model_graph.graph(model))
        factor = 10.0
        self.assertEqual(
            str(conv.outputs[0]), f"uint8 [1, 1, 1, {classes}], scale 0.0078125, zero point 128"
        )
        for op, shape in ((mul, f"1, 1, 1, {classes}"), (reshape, f"1, {classes}")):
            self.assertStartsWith(str(op.outputs[0]), f"uint8 [{shape}]")
            self.assertAlmostEqual(op.outputs[0].scales[0], factor / 128, delta=factor / 128 / 100)
            self.assertEqual(op.outputs[0].zero_points, (128,))
        self.assertEqual(softmax.outputs[0].shape, (1, classes))
        old = product_rules.tail(model_graph.graph(_small()))
        self.assertEqual(conv.inputs[1].scales, old[0].inputs[1].scales)
        self.assertEqual(conv.inputs[1].zero_points, old[0].inputs[1].zero_points)
        self.assertEqual(mul.inputs[1].scales, old[1].inputs[1].scales)

    def test_operators_before_the_tail_and_the_given_model_are_unchanged(self):
        given = _small()
        before, data = _before_tail(given), model_file.serialise(given)
        engine = ImprintingEngine(given, keep_classes=True)
        engine.add(engine.num_classes, _random(2))
        self.assertEqual(_before_tail(_again(engine.build().tflite_model)), before)
        self.assertEqual(model_file.serialise(given), data)
        self.assertEqual(
            model_file.serialise(engine.build().tflite_model),
            model_file.serialise(engine.build().tflite_model),
        )

    def test_images_of_new_classes_are_recognised(self):
        images, vectors = testing.images(64), _embeddings(64)
        engine = ImprintingEngine(_small(), keep_classes=True)
        old, _ = _kernel(_small())
        # Images that are as different from each other as possible.
        chosen = [0]
        for _ in range(3):
            nearest = (vectors @ vectors[chosen].T).max(axis=1)
            chosen.append(int(nearest.argmin()))
        for index in chosen:
            engine.add(engine.num_classes, vectors[index : index + 1])
        model = engine.build().tflite_model
        new, _ = _kernel(model)
        np.testing.assert_array_equal(new[: testing.CLASSES], old)
        (probabilities,) = inference.run(_again(model), images[chosen], kernels=Kernels.REFERENCE)
        self.assertEqual(probabilities.shape, (4, testing.CLASSES + 4))
        found = probabilities[:, testing.CLASSES :].argmax(axis=1)
        self.assertEqual(found.tolist(), [0, 1, 2, 3])

    def test_adding_examples_after_saving_equals_adding_all_at_once(self):
        vectors = _random(12) + _random(1)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        at_once = ImprintingEngine(_small(), keep_classes=True)
        at_once.add(testing.CLASSES, vectors)
        in_turn = ImprintingEngine(_small(), keep_classes=True)
        in_turn.add(testing.CLASSES, vectors[:1])
        for first, last in ((1, 4), (4, 9), (9, 12)):
            model = _again(in_turn.build().tflite_model)
            in_turn = ImprintingEngine(model, keep_classes=True)
            self.assertTrue(in_turn.is_imprinted(testing.CLASSES))
            self.assertFalse(in_turn.is_imprinted(testing.CLASSES - 1))
            in_turn.add(testing.CLASSES, vectors[first:last])
        models = [engine.build().tflite_model for engine in (at_once, in_turn)]
        quanta = [_kernel(model)[0].astype(int) for model in models]
        self.assertLessEqual(np.abs(quanta[0] - quanta[1]).max(), 1)
        lengths = [float(model.description.decode().split()[1]) for model in models]
        self.assertAlmostEqual(lengths[0], lengths[1], delta=0.002 * lengths[0])

    def test_loading_and_saving_changes_nothing(self):
        engine = ImprintingEngine(_small(), keep_classes=True)
        engine.add(testing.CLASSES, _random(5))
        model = _again(engine.build().tflite_model)
        again = ImprintingEngine(model, keep_classes=True).build()
        self.assertEqual(model_file.serialise(again.tflite_model), model_file.serialise(model))
        np.testing.assert_array_equal(again.cosines, 1)

    def test_cosines_of_vectors_outside_the_kernels_range(self):
        engine = ImprintingEngine(_small(), keep_classes=False)
        engine.add(0, np.full([1, testing.EMBEDDING], testing.EMBEDDING**-0.5))
        # One of the two components is outside the kernel's range, and is clipped.
        peaked = np.zeros([testing.EMBEDDING])
        peaked[:2] = 0.9, 0.19**0.5
        engine.add(1, peaked[np.newaxis])
        _, kernel = _kernel(_small())
        highest = float(kernel.dequantise(np.array(255)))
        self.assertBetween(highest, peaked[1], peaked[0])
        expected = (highest * 0.9 + 0.19) / np.hypot(highest, peaked[1])
        np.testing.assert_allclose(engine.build().cosines, [1, expected], atol=1e-3)
        self.assertLess(expected, 0.995)

    def test_trained_classes_and_wrong_numbers(self):
        engine = ImprintingEngine(_small(), keep_classes=True)
        for number, expected in (
            (0, "a class that was imprinted, got 0, which was trained"),
            (testing.CLASSES + 1, f"a class in 0..{testing.CLASSES}, the last of which is new"),
            (-1, "a class in 0.."),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                engine.add(number, _random(1))
        self.assertEqual(engine.num_classes, testing.CLASSES)

    @parameterized.parameters(
        (np.zeros([0, testing.EMBEDDING]), "expected embeddings"),
        (np.zeros([testing.EMBEDDING]), "expected embeddings"),
        (np.ones([1, 3]), r"expected embeddings \[n, 24\], got \[1, 3\]"),
        (np.ones([1, testing.EMBEDDING]), "of length 1, got 4.899 as embedding 0"),
        (np.zeros([1, testing.EMBEDDING]), "of length 1, got 0"),
        (np.full([1, testing.EMBEDDING], np.nan), "of length 1, got nan"),
    )
    def test_wrong_embeddings(self, embeddings, expected):
        engine = ImprintingEngine(_small(), keep_classes=False)
        with self.assertRaisesRegex(ValueError, expected):
            engine.add(0, embeddings)
        with self.assertRaisesRegex(ValueError, "examples of at least one class"):
            engine.build()

    def test_removed_classes(self):
        embeddings = _embeddings(3)
        engine = ImprintingEngine(_small(), keep_classes=True)
        for embedding in embeddings:
            engine.add(engine.num_classes, embedding[np.newaxis])
        kept = _again(engine.build().tflite_model)
        for removed in (0, 2, engine.num_classes - 2):
            engine = ImprintingEngine(kept, keep_classes=True)
            engine.remove(removed)
            changed = _again(engine.build().tflite_model)
            np.testing.assert_array_equal(
                _kernel(changed)[0], np.delete(_kernel(kept)[0], removed, axis=0)
            )
            again = ImprintingEngine(changed, keep_classes=True)
            imprinted = [again.is_imprinted(number) for number in range(again.num_classes)]
            self.assertEqual(sum(imprinted), 3 - (removed == engine.num_classes - 1))
            self.assertTrue(imprinted[-1])
            self.assertFalse(imprinted[0])

    def test_classes_that_cannot_be_removed(self):
        engine = ImprintingEngine(_small(), keep_classes=True)
        for number in (-1, engine.num_classes):
            with self.assertRaisesRegex(ValueError, f"expected a class in 0.*, got {number}"):
                engine.remove(number)
        while engine.num_classes > 1:
            engine.remove(0)
        with self.assertRaisesRegex(ValueError, "at least one other class"):
            engine.remove(0)

    def test_examples_that_cancel_out(self):
        engine = ImprintingEngine(_small(), keep_classes=False)
        engine.add(0, _random(1))
        engine.add(0, -_random(1))
        with self.assertRaisesRegex(ValueError, "class 0 that cancel out"):
            engine.build()

    def test_models_that_break_rules(self):
        with self.assertRaisesRegex(ValueError, "embedding: expected one L2_NORMALIZATION"):
            ImprintingEngine(model_file.parse(testing.small().classes), keep_classes=False)
        floats = model_file.parse(testing.small(quantise=False).model)
        with self.assertRaisesRegex(ValueError, "quantised: expected each tensor to be uint8"):
            ImprintingEngine(floats, keep_classes=False)
        zero = _small()
        factor = product_rules.tail(model_graph.graph(zero))[1].inputs[1]
        data = zero.buffers[zero.subgraphs[0].tensors[factor.index].buffer].data
        data[:] = factor.zero_points[0]
        with self.assertRaisesRegex(ValueError, "a scale factor above 0 .* got 0.0"):
            ImprintingEngine(zero, keep_classes=False)

    def test_other_descriptions_are_replaced(self):
        for description in (b"MLIR Converted.", b"0 1.5\nand more", b"0 -1.0", None):
            described = model_file.changed(_small(), description=description)
            engine = ImprintingEngine(described, keep_classes=True)
            self.assertFalse(engine.is_imprinted(0))
            engine.add(testing.CLASSES, _random(1))
            text = engine.build().tflite_model.description.decode()
            self.assertEqual(text, f"{testing.CLASSES} 1.000000\n")


if __name__ == "__main__":
    absltest.main()
