import dataclasses

import numpy as np
from absl.testing import absltest

from imprinting.photos.photo_file import BadImageError
from imprinting.project import project_testing
from imprinting.project.state import Fit

photo = project_testing.photo


class PhotoEmbeddingsTest(absltest.TestCase):
    def test_embeddings_are_those_of_the_network_in_the_order_of_the_photos(self):
        project = project_testing.project(self, one=2, two=1)
        network = project.network()
        expected = []
        for kind, number in ((1, 0), (0, 0), (1, 0)):
            values, _ = network.values([network.compute(photo(kind, number))], views=1)
            expected.append(values[0, 0])
        found = project.photos.of(project.state, [3, 1, 3])
        np.testing.assert_array_equal(found, np.stack(expected))

    def test_missing_views_are_computed_and_kept(self):
        project = project_testing.project(self, one=3)
        before = project.photos.of(project.state, [1, 2, 3])
        seen = []
        computed = project.photos.complete("", [2, 1, 2], 4, lambda *steps: seen.append(steps))
        self.assertEqual([each.views for each in computed], [4, 4, 4])
        self.assertEqual(computed[0], computed[2])
        self.assertEqual(seen, [(2, 2)])
        stored = project.store.computed("")
        self.assertEqual({number: stored[number].views for number in stored}, {1: 4, 2: 4, 3: 1})
        # Enough views are there already.
        project.photos.complete(
            "", [1, 2], 3, lambda done, total: self.fail(f"computed {done} of {total}")
        )
        np.testing.assert_array_equal(project.photos.of(project.state, [1, 2, 3]), before)

    def test_what_is_learned_first_stays(self):
        project = project_testing.project(self, one=1)
        self.assertTrue(project.photos.knows(1, ""))
        self.assertFalse(project.photos.knows(2, ""))
        before = project.photos.complete("", [1], 1)
        project.photos.learn(1, "", project.network().compute(photo(5)))
        self.assertEqual(project.photos.complete("", [1], 1), before)

    def test_lost_and_damaged_photos(self):
        project = project_testing.project(self, one=2)
        project.store.photo(1).path.unlink()
        project.store.photo(2).path.write_bytes(b"nonsense")
        for number in (1, 2):
            # A file that is gone cannot be read, either.
            with self.assertRaises(BadImageError):
                project.photos.complete("", [number], 4)
            # What is known needs no file.
            project.photos.of(project.state, [number])

    def test_networks(self):
        project = project_testing.project(self, one=1)
        self.assertIs(project.photos.network(""), project.network())
        other = project.store.add_model(project.classifier.file())
        self.assertIs(project.photos.network(other), project.photos.network(other))
        self.assertLen(project.photos.network(other).labels, 1001)
        with self.assertRaises(FileNotFoundError):
            project.photos.network("missing")

    def test_a_fit_is_used_only_with_its_position_of_the_switch(self):
        project = project_testing.project(self, one=1)
        digest = project.store.add_model(project.network().data)
        fit = Fit(digest, True, (1,), None, None, "", 0.1)
        state = dataclasses.replace(project.state, fit=fit)
        self.assertIsNotNone(project.photos.fitted(state))
        self.assertIsNone(project.photos.fitted(dataclasses.replace(state, keep_classes=False)))
        project.photos.check(state)


if __name__ == "__main__":
    absltest.main()
