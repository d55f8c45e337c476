import functools

import numpy as np
from absl.testing import absltest

from imprinting.inference import default_model
from imprinting.project import fitting, project_testing, quality
from imprinting.project.network import Fitted, Network
from imprinting.tflite import class_vectors, metadata, model_file
from transforms.conversion import testing

photo = project_testing.photo
_CLASSES = {"one": [0, 1, 2], "lemon": [3, 4, 5]}


class FittingTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(default_model.path(), "rb") as file:
            cls.network = Network(file.read())
        computed = [
            cls.network.compute(photo(kind, number), views=4)
            for kind in range(2)
            for number in range(3)
        ]
        cls.embeddings, cls.features = cls.network.values(computed, views=4)

    @classmethod
    @functools.cache
    def fit(cls, *, keep_classes: bool) -> fitting.Fitting:
        return fitting.fit(
            cls.network, cls.embeddings, cls.features, _CLASSES, keep_classes=keep_classes
        )

    def test_a_fit(self):
        found = self.fit(keep_classes=True)
        self.assertBetween(found.before, 0, 1)
        self.assertGreaterEqual(found.after, found.before)
        self.assertIn("held-out photos were recognised", found.description)
        fitted = Fitted(found.tflite)
        self.assertLen(class_vectors.read(fitted.classifier), 1000)
        # It is a fit of this network, and gives embeddings of unit length.
        self.assertIsNotNone(self.network.fitted("digest", lambda: found.tflite))
        lengths = np.linalg.norm(fitted.embed(self.features), axis=-1)
        np.testing.assert_allclose(lengths, 1, atol=1e-5)

    def test_held_out_photos_are_those_that_the_fit_was_chosen_by(self):
        for keeps in (True, False):
            found = self.fit(keep_classes=keeps)
            cosines, photos = fitting.held_out(
                self.network, self.features, _CLASSES, keep_classes=keeps, weight=found.weight
            )
            # The network's lemon does not compete with the new one.
            self.assertEqual(cosines.shape, (6, 2 + 999 * keeps))
            self.assertCountEqual(photos, range(6))
            judged = quality.of_cosines([3, 3], cosines, photos)
            self.assertAlmostEqual(judged.accuracy(), found.after)

    def test_a_network_without_an_embedding_layer_stays_as_it_is(self):
        model = model_file.parse(testing.small().model)
        network = Network(metadata.attach(model, testing.LABELS), workers=1)
        computed = [network.compute(photo(kind)) for kind in range(2)]
        embeddings, features = network.values(computed, views=1)
        found = fitting.fit(network, embeddings, features, {"a": [0], "b": [1]}, keep_classes=True)
        self.assertIsNone(found.tflite)
        self.assertEqual((found.weight, found.before, found.after), (0, None, None))
        self.assertIn("not changed", found.description)

    def test_views(self):
        self.assertEqual([fitting.num_views(c) for c in ([1, 1], [5, 5], [10, 30])], [7, 5, 4])


if __name__ == "__main__":
    absltest.main()
