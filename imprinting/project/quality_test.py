import numpy as np
from absl.testing import absltest

from imprinting.embedding import unit_vectors
from imprinting.project import quality

_NONE = np.zeros([0, 8], np.float32)


def photos(count: int, seed: int, *, spread: float = 1.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centre = random.standard_normal(8)
    return unit_vectors.unit(centre + spread * random.standard_normal([count, 8])).astype(
        np.float32
    )


class QualityTest(absltest.TestCase):
    def test_each_photo_is_left_out_as_if_it_were_not_there(self):
        classes, kept = [photos(4, 1), photos(3, 2), photos(2, 3)], photos(5, 4)
        found = quality.leave_one_out(classes, kept)
        place = 0
        for number, each in enumerate(classes):
            for left_out in range(len(each)):
                rest = list(classes)
                rest[number] = np.delete(each, left_out, axis=0)
                vectors = [unit_vectors.unit(points.mean(axis=0)) for points in rest]
                cosines = np.concatenate([np.stack(vectors), kept]) @ each[left_out]
                self.assertEqual(found.answers[place], cosines.argmax())
                self.assertEqual(found.labels[place], number)
                place += 1
        self.assertLen(found.answers, place)
        right = found.answers == found.labels
        self.assertEqual(found.accuracy(), right.mean())
        self.assertEqual(found.accuracy(0), right[:4].mean())

    def test_suspects_are_the_worst_first(self):
        cups, mugs = photos(6, 1, spread=0.3), photos(6, 2, spread=0.3)
        found = quality.leave_one_out([np.concatenate([cups, mugs[:1]]), mugs[1:]], _NONE)
        self.assertEqual((found.suspects[0].photo, found.suspects[0].likely), (6, 1))

    def test_the_worst_suspects_are_first(self):
        found = quality.leave_one_out([photos(20, 1), photos(20, 2)], _NONE)
        margins = [each.margin for each in found.suspects]
        self.assertEqual(margins, sorted(margins, reverse=True))
        self.assertGreater(margins[-1], 0)

    def test_confusion(self):
        found = quality.Quality(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 7, -1]), [])
        self.assertEqual(found.confusion(3).tolist(), [[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]])
        self.assertEqual((found.num_photos, found.accuracy(), found.accuracy(1)), (4, 0.5, 0.5))
        self.assertIsNone(found.accuracy(2))

    def test_too_few_photos(self):
        self.assertIsNone(quality.leave_one_out([], _NONE).accuracy())
        found = quality.leave_one_out([photos(1, 1), photos(1, 2)], _NONE)
        self.assertEqual((found.accuracy(), found.num_photos, found.suspects), (None, 0, []))

    def test_a_single_class(self):
        self.assertEqual(quality.leave_one_out([photos(4, 1)], _NONE).accuracy(), 1)


if __name__ == "__main__":
    absltest.main()
