import numpy as np
from absl.testing import absltest, parameterized

from imprinting.project import embedding_map
from imprinting.project.embedding_map import Method


class EmbeddingMapTest(parameterized.TestCase):
    @parameterized.parameters(*Method)
    def test_similar_photos_are_close(self, method):
        random = np.random.default_rng(0)
        centres = random.standard_normal([2, 1, 20])
        points = (centres + 0.1 * random.standard_normal([2, 10, 20])).reshape(20, 20)
        found = embedding_map.places(points.astype(np.float32), method)
        self.assertEqual((found.min(axis=0).tolist(), found.max(axis=0).tolist()), ([0, 0], [1, 1]))
        first, second = found[:10], found[10:]
        between = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
        within = np.linalg.norm(first - first.mean(axis=0), axis=1).mean()
        self.assertGreater(between, 2 * within)
        np.testing.assert_array_equal(
            embedding_map.places(points.astype(np.float32), method), found
        )

    @parameterized.parameters(*Method)
    def test_photos_that_are_all_the_same(self, method):
        found = embedding_map.places(np.ones([3, 4], np.float32), method)
        self.assertTrue(np.isfinite(found).all())

    @parameterized.parameters(*Method)
    def test_photos_that_are_there_several_times(self, method):
        points = np.random.default_rng(0).standard_normal([4, 8]).astype(np.float32)
        found = embedding_map.places(np.repeat(points, 50, axis=0), method)
        self.assertTrue(np.isfinite(found).all())

    def test_too_few_photos(self):
        with self.assertRaisesRegex(ValueError, "at least 3 photos for a map, got 2"):
            embedding_map.places(np.ones([2, 4]), Method.PCA)


if __name__ == "__main__":
    absltest.main()
