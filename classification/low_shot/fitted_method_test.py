"""Fitted imprinting, with views that vary in directions that say nothing about the class."""

import dataclasses

import numpy as np
from absl.testing import absltest, parameterized

from classification.low_shot import fitted_method, protocol
from classification.low_shot.embedded import Embedded
from classification.low_shot.protocol import Task
from imprinting.embedding import unit_vectors

_BASE, _CLASSES, _DEPTH, _NUISANCES = 3, 8, 40, 8


def _images(count: int, *, seed: int, views: int) -> Embedded:
    """Count images of each class: a direction of its own, with much noise in a few components."""
    directions = np.random.default_rng(0).normal(size=[_CLASSES, _DEPTH])
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(_CLASSES), count)
    noise = 0.3 * random.normal(size=[len(labels), views, _DEPTH])
    noise[..., :_NUISANCES] *= 15
    vectors = unit_vectors.unit(directions[labels][:, np.newaxis] + noise)
    return Embedded(vectors.astype(np.float32), labels)


def _task(count: int, *, views: int) -> Task:
    # The base is trained: its class vectors are better than those of a few images.
    base = protocol.templates(_images(200, seed=7, views=1), 0, _BASE)
    return Task(base, _images(count, seed=1, views=views), _CLASSES, 10.0, 0)


def _measured(method: protocol.Method, task: Task) -> protocol.Accuracies:
    test = _images(50, seed=2, views=1)
    return protocol.accuracies(method(task)(test.plain), test.labels, num_base=_BASE)


class FittedMethodTest(parameterized.TestCase):
    @parameterized.parameters((1, 7), (5, 1), (5, 4))
    def test_more_accurate_if_photos_vary_in_what_does_not_matter(self, count, views):
        task = _task(count, views=views)
        fitted, plain = (
            _measured(m, task) for m in (fitted_method.imprint_fitted, protocol.imprint)
        )
        self.assertGreater(fitted.novel_among_all, plain.novel_among_all + 0.03)
        self.assertGreater(fitted.harmonic_mean, plain.harmonic_mean)
        self.assertGreater(fitted.base_among_all, plain.base_among_all - 0.05)

    def test_scores_are_cosines(self):
        task, test = _task(5, views=4), _images(3, seed=2, views=1).plain
        classify = fitted_method.imprint_fitted(task)
        scores = classify(test)
        self.assertEqual(scores.shape, (3 * _CLASSES, _CLASSES))
        self.assertLessEqual(np.abs(scores).max(), 1 + 1e-6)
        # They do not depend on lengths: the fit of features is that of unit vectors.
        np.testing.assert_allclose(classify(3 * test), scores, atol=1e-6)
        np.testing.assert_array_equal(fitted_method.imprint_fitted(task)(test), scores)

    @parameterized.parameters(False, True)
    def test_nothing_to_fit_to_is_plain_imprinting(self, has_axis_of_views):
        task, test = _task(1, views=1), _images(3, seed=2, views=1).plain
        if not has_axis_of_views:
            examples = Embedded(task.examples.plain, task.examples.labels)
            task = dataclasses.replace(task, examples=examples)
        np.testing.assert_array_equal(
            fitted_method.imprint_fitted(task)(test), protocol.imprint(task)(test)
        )

    def test_a_fit_that_does_not_help_is_left_out(self):
        # Without noise, cross-validation finds nothing to improve.
        directions = unit_vectors.unit(np.random.default_rng(0).normal(size=[_CLASSES, _DEPTH]))
        labels = np.repeat(np.arange(_CLASSES), 3)
        noise = 1e-3 * np.random.default_rng(1).normal(size=[len(labels), _DEPTH])
        examples = Embedded((directions[labels] + noise).astype(np.float32), labels)
        task = Task(directions[:_BASE], examples, _CLASSES, 10.0, 0)
        np.testing.assert_array_equal(
            fitted_method.imprint_fitted(task)(directions), protocol.imprint(task)(directions)
        )

    def test_a_single_novel_class(self):
        task = _task(5, views=4)
        examples = task.examples.take(np.flatnonzero(task.examples.labels <= _BASE))
        task = dataclasses.replace(task, examples=examples, num_classes=_BASE + 1)
        images = _images(50, seed=2, views=1)
        test = images.take(np.flatnonzero(images.labels <= _BASE))
        scores = fitted_method.imprint_fitted(task)(test.plain)
        self.assertEqual(scores.shape, (len(test.labels), _BASE + 1))
        found = protocol.accuracies(scores, test.labels, num_base=_BASE)
        self.assertEqual(found.novel, 1.0)
        self.assertGreater(found.harmonic_mean, 0.5)
        alone = fitted_method.imprint_fitted(task.without_base())(test.plain)
        self.assertEqual(alone.shape, (len(test.labels), 1))

    def test_without_base(self):
        task, test = _task(5, views=4).without_base(), _images(50, seed=2, views=1)
        is_novel = test.labels >= _BASE
        labels = test.labels[is_novel] - _BASE
        right = {}
        for method in (fitted_method.imprint_fitted, protocol.imprint):
            scores = method(task)(test.plain[is_novel])
            self.assertEqual(scores.shape, (len(labels), _CLASSES - _BASE))
            right[method] = (scores.argmax(axis=1) == labels).mean()
        self.assertGreater(
            right[fitted_method.imprint_fitted], right[protocol.imprint] + 0.05, msg=right
        )


if __name__ == "__main__":
    absltest.main()
