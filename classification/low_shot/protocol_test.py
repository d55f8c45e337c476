"""Learns new classes from embeddings made up around known directions."""

import tracemalloc
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from classification.low_shot import protocol
from classification.low_shot.embedded import Embedded
from classification.low_shot.protocol import Accuracies, Task
from imprinting.base import large_arrays
from imprinting.embedding import unit_vectors

_BASE, _CLASSES, _DEPTH = 4, 7, 32
_SCALE = 10.0


def _images(count: int, *, noise: float, seed: int, num_views: int = 0) -> Embedded:
    """Count images of each class: a direction of its own and noise."""
    directions = unit_vectors.unit(np.random.default_rng(0).normal(size=[_CLASSES, _DEPTH]))
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(_CLASSES), count)
    shape = [len(labels), *([num_views] if num_views else []), _DEPTH]
    vectors = directions[labels] if not num_views else directions[labels][:, np.newaxis]
    noisy = vectors + noise * random.normal(size=shape) / np.sqrt(_DEPTH)
    return Embedded(unit_vectors.unit(noisy).astype(np.float32), labels)


def _task(examples: Embedded, *, seed: int = 0) -> Task:
    vectors = protocol.templates(examples, 0, _BASE)
    return Task(vectors, examples, _CLASSES, _SCALE, seed)


class LowShotTest(parameterized.TestCase):
    def test_accuracies_by_hand(self):
        # Two base classes and two novel ones.
        scores = np.array(
            [
                [9, 0, 0, 0],  # Right.
                [0, 0, 9, 0],  # Of the base, taken for a novel one.
                [9, 0, 5, 1],  # Novel: right among its own kind alone.
                [0, 0, 5, 9],  # Novel, and wrong.
                [1, 0, 3, 3],  # Of equal scores, the lower class.
            ]
        )
        found = protocol.accuracies(scores, np.array([0, 1, 2, 2, 3]), num_base=2)
        self.assertEqual(found, Accuracies(1 / 3, 0.0, 1 / 2, 1 / 5, 0.0))
        # Where the novel classes alone are told apart otherwise.
        novel = np.array([[0, 0], [0, 0], [0, 1], [1, 0], [0, 1]])
        found = protocol.accuracies(
            scores, np.array([0, 1, 2, 2, 3]), num_base=2, novel_scores=novel
        )
        self.assertEqual(found, Accuracies(2 / 3, 0.0, 1 / 2, 1 / 5, 0.0))

    @parameterized.parameters(
        (1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (1.0, 0.5, 2 / 3), (0.8, 0.0, 0.0), (0.0, 0.0, 0.0)
    )
    def test_harmonic_mean(self, first, second, expected):
        self.assertAlmostEqual(protocol.harmonic_mean(first, second), expected)
        self.assertAlmostEqual(protocol.harmonic_mean(second, first), expected)

    def test_harmonic_mean_is_that_of_the_accuracies_among_all(self):
        scores = np.array([[9, 0, 0, 0], [0, 0, 9, 0], [9, 0, 5, 1], [0, 0, 9, 5], [0, 0, 0, 9]])
        found = protocol.accuracies(scores, np.array([0, 1, 2, 2, 3]), num_base=2)
        self.assertEqual((found.base_among_all, found.novel_among_all), (1 / 2, 2 / 3))
        self.assertAlmostEqual(found.harmonic_mean, 4 / 7)

    def test_the_novel_classes_alone(self):
        task = _task(_images(3, noise=1.0, seed=1))
        novel = task.without_base()
        self.assertEqual((novel.num_base, novel.num_classes), (0, _CLASSES - _BASE))
        np.testing.assert_array_equal(novel.examples.labels, np.repeat([0, 1, 2], 3))
        test = _images(2, noise=1.0, seed=2).plain
        np.testing.assert_allclose(
            protocol.imprint(novel)(test), protocol.imprint(task)(test)[:, _BASE:], rtol=1e-6
        )

    def test_draws_some_of_each_novel_class_and_all_of_the_base(self):
        train = _images(6, noise=1.0, seed=1)
        drawn = [protocol.draw(train, num_base=_BASE, shots=n, seed=3) for n in (2, 4)]
        for images, shots in zip(drawn, (2, 4), strict=True):
            counts = np.bincount(images.labels)
            self.assertEqual(counts.tolist(), [6] * _BASE + [shots] * (_CLASSES - _BASE))
        rows = [{tuple(row) for row in images.embeddings.tolist()} for images in drawn]
        self.assertLess(rows[0], rows[1])
        again, other = (protocol.draw(train, num_base=_BASE, shots=2, seed=s) for s in (3, 4))
        np.testing.assert_array_equal(again.embeddings, drawn[0].embeddings)
        self.assertTrue(np.any(other.embeddings != drawn[0].embeddings))
        with self.assertRaisesRegex(ValueError, "at least 7 images of each novel class .* got 6"):
            protocol.draw(train, num_base=_BASE, shots=7, seed=0)

    def test_templates_are_means_of_unit_length_over_images_and_views(self):
        examples = _images(3, noise=1.0, seed=1, num_views=5)
        found = protocol.templates(examples, 2, 5)
        for label, vector in zip((2, 3, 4), found, strict=True):
            photos = unit_vectors.unit(examples.embeddings[examples.labels == label].mean(axis=1))
            mean = photos.mean(axis=0)
            np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), rtol=1e-5)
        # A single view is as none.
        plain = Embedded(examples.plain, examples.labels)
        single = Embedded(examples.plain[:, np.newaxis], examples.labels)
        np.testing.assert_array_equal(
            protocol.templates(plain, 0, 2), protocol.templates(single, 0, 2)
        )

    @parameterized.parameters(*protocol.METHODS)
    def test_pieces_change_nothing_but_the_last_digits(self, name):
        test, task = _images(10, noise=1.0, seed=2), _task(_images(9, noise=1.0, seed=1))
        scores, found = [], []
        for piece in (1 << 30, 1000):
            with mock.patch.object(large_arrays, "_PIECE_BYTES", piece):
                classify = protocol.METHODS[name](task)
                scores.append(classify(test.plain))
                found.append(protocol.measure(classify, test, num_base=_BASE))
        np.testing.assert_allclose(scores[1], scores[0], atol=1e-5)
        self.assertEqual(found[1], found[0])
        expected = protocol.accuracies(scores[0], test.labels, num_base=_BASE)
        self.assertEqual(found[0], expected)
        novel = protocol.METHODS[name](task.without_base())
        self.assertEqual(
            protocol.measure(classify, test, num_base=_BASE, classify_novel=novel),
            protocol.accuracies(
                scores[1], test.labels, num_base=_BASE, novel_scores=novel(test.plain)
            ),
        )

    def test_memory_does_not_grow_with_the_images(self):
        peaks = []
        for count in (200, 2000):
            path = self.create_tempfile().full_path
            _images(count, noise=1.0, seed=1, num_views=8).embeddings.tofile(path)
            mapped = np.memmap(path, np.float32, "r").reshape(-1, 8, _DEPTH)
            images = Embedded(mapped, np.repeat(np.arange(_CLASSES), count))
            task = Task(
                mapped[: _BASE * count : count, 0],
                protocol.draw(images, num_base=_BASE, shots=2, seed=0),
                _CLASSES,
                _SCALE,
                0,
            )
            # Fewer steps need no less memory.
            with (
                mock.patch.object(large_arrays, "_PIECE_BYTES", 100_000),
                mock.patch.object(protocol, "_STEPS", 3),
            ):
                tracemalloc.start()
                for method in protocol.METHODS.values():
                    protocol.measure(method(task), images, num_base=_BASE)
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
        # The embeddings of an image have 1,024 bytes.
        self.assertLess(peaks[1] - peaks[0], 150 * _CLASSES * (2000 - 200))

    @parameterized.parameters(*protocol.METHODS)
    def test_every_method_learns_what_is_easy(self, name):
        test = _images(10, noise=0.5, seed=2)
        task = _task(_images(5, noise=0.5, seed=1))
        scores = protocol.METHODS[name](task)(test.plain)
        self.assertEqual(scores.shape, (len(test.labels), _CLASSES))
        found = protocol.accuracies(scores, test.labels, num_base=_BASE)
        self.assertEqual(found, Accuracies(1.0, 1.0, 1.0, 1.0, 1.0))
        np.testing.assert_array_equal(scores, protocol.METHODS[name](task)(test.plain))

    def test_nearest_neighbour_takes_the_nearest_example(self):
        task = _task(_images(5, noise=2.0, seed=1))
        test = _images(3, noise=2.0, seed=2).plain
        found = protocol.nearest_neighbour(task)(test).argmax(axis=1)
        nearest = (test @ task.examples.plain.T).argmax(axis=1)
        np.testing.assert_array_equal(found, task.examples.labels[nearest])

    def test_fine_tuning_lowers_the_loss_that_it_is_about(self):
        task = _task(_images(5, noise=3.0, seed=1))
        examples = task.examples

        def loss(method: protocol.Method) -> float:
            logits = _SCALE * method(task)(examples.plain)
            logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
            # Of as many examples each, classes weigh the same.
            return -float(logits[np.arange(len(logits)), examples.labels].mean())

        self.assertLess(loss(protocol.imprint_and_fine_tune), loss(protocol.imprint) - 0.05)
        # Closer to where it ends than random vectors are.
        self.assertLess(loss(protocol.imprint_and_fine_tune), loss(protocol.fine_tune_random))

    def test_more_views_make_better_templates(self):
        test = _images(40, noise=1.0, seed=2)
        several = _images(1, noise=4.0, seed=1, num_views=20)
        plain = Embedded(several.plain, several.labels)
        found = [
            protocol.accuracies(
                protocol.imprint(_task(examples))(test.plain), test.labels, num_base=_BASE
            ).novel
            for examples in (plain, several)
        ]
        self.assertGreater(found[1], found[0])


if __name__ == "__main__":
    absltest.main()
