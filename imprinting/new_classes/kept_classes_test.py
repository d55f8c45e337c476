"""Tests of kept_classes.py, with embeddings around known centres."""

from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from imprinting.base import large_arrays
from imprinting.embedding import unit_vectors
from imprinting.new_classes import kept_classes

_DEPTH = 64


def embeddings(random, count: int, *, common: float, centre: np.ndarray) -> np.ndarray:
    """Embeddings around a centre, which also share a common component, [count, depth]."""
    values = centre + random.normal(scale=0.05, size=(count, _DEPTH))
    values[:, 0] += common
    return unit_vectors.unit(values)


class KeptClassesTest(parameterized.TestCase):
    @parameterized.product(common=[0.0, 1.5], shots=[1, 5], new_classes=[1, 3])
    def test_lost_where_photos_have_in_common_what_kept_vectors_lack(
        self, common, shots, new_classes
    ):
        random = np.random.default_rng(0)
        centres = unit_vectors.unit(random.normal(size=(30, _DEPTH)))
        # The common part of all photos does not depend on their classes: training leaves it out.
        centres[:, 0] = 0
        kept, new = unit_vectors.unit(centres[:20]), centres[20 : 20 + new_classes]
        photos = [embeddings(random, shots, common=common, centre=centre) for centre in new]
        others = np.concatenate(
            [embeddings(random, 4, common=common, centre=centre) for centre in centres[25:]]
        )
        cosines = kept_classes.compare(kept, photos, others)
        self.assertEqual(cosines.own.shape, (shots * new_classes,))
        self.assertEqual(cosines.kept.shape, (shots * new_classes,))
        self.assertEqual(cosines.others_new.shape, (20, new_classes))
        self.assertEqual(cosines.lost, common > 0)
        if not common:
            self.assertStartsWith(
                kept_classes.check(cosines, allowed=False), "Cosines: photos of new"
            )
            return
        with self.assertRaisesRegex(ValueError, "20 of 20 of these .* with --allow_lost_classes"):
            kept_classes.check(cosines, allowed=False)
        self.assertRegex(kept_classes.check(cosines, allowed=True), "^Warning: .*20 of 20 of these")

    def test_figures(self):
        kept = np.eye(4)[:2]
        photos = [np.eye(4)[[2, 2]], unit_vectors.unit(np.array([[1.0, 0, 0, 1], [-1, 0, 0, 1]]))]
        cosines = kept_classes.compare(kept, photos, np.eye(4))
        np.testing.assert_allclose(cosines.own, [1, 1, 0.5**0.5, 0.5**0.5])
        np.testing.assert_allclose(cosines.kept, [0, 0, 0.5**0.5, 0], atol=1e-12)
        np.testing.assert_allclose(cosines.others_new, [[0, 0], [0, 0], [1, 0], [0, 1]], atol=1e-12)
        np.testing.assert_allclose(cosines.others_kept, [1, 1, 0, 0])
        self.assertEqual(cosines.taken, "2 of 4")
        with mock.patch.object(large_arrays, "_PIECE_BYTES", 1):
            pieces = kept_classes.compare(kept, photos, np.eye(4))
        np.testing.assert_allclose(pieces.kept, cosines.kept)


if __name__ == "__main__":
    absltest.main()
