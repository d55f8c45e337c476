"""Tests of trials of low-shot learning, on embeddings that are known."""

import pathlib
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from classification.low_shot import fitted_method, protocol, trials
from classification.low_shot.embedding_sources import Source
from classification.low_shot.trials import Settings


def _source(labels=("red", "green")):
    """Embeds an image as its mean colour."""

    def compute(paths, *, views):
        for path in paths:
            colour = np.asarray(Image.open(path)).mean((0, 1), keepdims=True)[0]
            yield np.repeat(colour / np.linalg.norm(colour), views, axis=0).astype(np.float32)

    vectors = np.eye(3, dtype=np.float32)[:2]
    return Source(
        name="colours",
        path="colours",
        labels=labels,
        vectors=vectors,
        scale=10.0,
        key=b"colours",
        compute=compute,
        classify=lambda embeddings: embeddings @ vectors.T,
    )


class SettingsTest(parameterized.TestCase):
    @parameterized.parameters(
        ({"shots": ()}, "as --shots, as in 1,5,20, got $"),
        ({"shots": (0, 1)}, "as --shots, as in 1,5,20, got 0,1"),
        ({"num_seeds": 0}, "--num_seeds to be at least 1, got 0"),
        ({"views": 0}, "--views to be at least 1, got 0"),
    )
    def test_refuses(self, values, expected):
        with self.assertRaisesRegex(ValueError, expected):
            Settings(**values)


class TrialsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.create_tempdir().full_path)
        colours = {"red": (250, 9, 9), "green": (9, 250, 9), "blue": (9, 9, 250)}
        colours["yellow"] = (200, 200, 9)
        for part, names in (("base", ("red", "green")), ("novel", ("blue", "yellow"))):
            for split in ("train", "test"):
                for name in names:
                    folder = self.root / part / split / name
                    folder.mkdir(parents=True)
                    for index in range(2):
                        pixels = np.full([8, 8, 3], colours[name], np.uint8) - np.uint8(index)
                        Image.fromarray(pixels).save(folder / f"{index}.png")

    def run_trials(self, **changes):
        self.said = []
        options = {"shots": (1, 2), "num_seeds": 2} | changes
        return trials.run(
            [_source()],
            str(self.root / "base"),
            str(self.root / "novel"),
            Settings(**options),
            say=self.said.append,
        )

    def test_all_methods_learn_colours(self):
        results = self.run_trials()
        methods = {trial.method for trial in results.trials}
        self.assertContainsSubset({"imprinting", "nearest neighbour"}, methods)
        self.assertLen(results.trials, len(methods) * 2 * 2)
        for trial in results.trials:
            if trial.method in ("imprinting", "nearest neighbour"):
                self.assertEqual(trial.accuracies, (1.0,) * 5, trial)
        self.assertEqual(results.base_alone, {"colours": 1.0})
        self.assertLen(self.said, 2)

    def test_views_add_a_method(self):
        methods = {trial.method for trial in self.run_trials(views=2).trials}
        self.assertContainsSubset({"imprinting, augmented", "imprinting, fitted"}, methods)

    def test_a_fit_sees_the_views(self):
        seen = []

        def fitted(task):
            seen.append((task.num_base, task.examples.embeddings.shape[1]))
            return protocol.imprint(task)

        with mock.patch.object(fitted_method, "imprint_fitted", fitted):
            self.run_trials(views=3, num_seeds=1, shots=(1,))
        # Next to the base, and for the accuracy among themselves alone.
        self.assertEqual(seen, [(2, 3), (0, 3)])

    def test_too_few_photos(self):
        with self.assertRaisesRegex(ValueError, "at least 3 photos of each novel class"):
            self.run_trials(shots=(3,))

    def test_networks_of_other_classes(self):
        with self.assertRaisesRegex(ValueError, "expected networks of the same classes"):
            trials.run(
                [_source(), _source(("green", "red"))],
                str(self.root / "base"),
                str(self.root / "novel"),
                Settings(),
            )


if __name__ == "__main__":
    absltest.main()
