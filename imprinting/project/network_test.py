import numpy as np
from absl.testing import absltest, parameterized

from imprinting.photos.photo_file import BadImageError
from imprinting.project import project_testing
from imprinting.project.network import Network, NewClass
from imprinting.tflite import class_vectors, metadata, model_file
from imprinting.tflite.head_runner import HeadRunner
from transforms.conversion import testing

photo = project_testing.photo


def small(**options: bool) -> Network:
    """The network with the classes of `testing.LABELS`."""
    model = model_file.parse(testing.small(**options).model)
    return Network(metadata.attach(model, testing.LABELS), workers=1)


class NetworkTest(parameterized.TestCase):
    @parameterized.parameters(False, True)
    def test_embeddings_are_those_of_the_classifier(self, int8):
        network = small(int8=int8)
        runner = HeadRunner(network.classifier)
        computed = [network.compute(photo(kind)) for kind in range(3)]
        embeddings, _ = network.values(computed, views=1)
        for kind in range(3):
            pixels = network._reader.read(photo(kind))[0]
            np.testing.assert_array_equal(embeddings[kind, 0], runner.run(pixels).embedding)

    def test_views(self):
        network = small()
        several, one = network.compute(photo(1), views=4), network.compute(photo(1))
        embeddings, features = network.values([several], views=4)
        self.assertEqual(
            (several.views, embeddings.shape[:2], features.shape[:2]), (4, *[(1, 4)] * 2)
        )
        # The first view is the photo itself.
        for found, expected in zip(
            network.values([several], views=1), network.values([one], views=1), strict=True
        ):
            np.testing.assert_array_equal(found, expected)

    def test_classes(self):
        network = small()
        embeddings, _ = network.values([network.compute(photo(kind)) for kind in (1, 2)], views=1)
        new = [NewClass("a", embeddings[:1, 0]), NewClass(" ÄPFEL", embeddings[1:, 0])]
        kept = tuple(label for label in testing.LABELS if label != "Äpfel")
        for keeps, expected in ((True, (*kept, "a", " ÄPFEL")), (False, ("a", " ÄPFEL"))):
            built = network.build(new, keep_classes=keeps)
            self.assertEqual(built.names, expected)
            self.assertEqual(built.num_kept, len(expected) - 2)
            self.assertLen(class_vectors.read(built.tflite_model), len(expected))
            self.assertEqual(
                metadata.labels_of(built.file(), model_file.parse(built.file())), expected
            )
        with self.assertRaisesRegex(ValueError, "at least one class"):
            network.build([], keep_classes=False)

    def test_names_that_mean_the_same(self):
        network = small()
        self.assertEqual(network.replaced(["CRANE", "two  words", "other"]), [1, 2, 4])

    def test_a_fit_of_another_network(self):
        network, other = small(), small(int8=True)
        self.assertIs(
            network.fitted("a", lambda: network.data), network.fitted("a", lambda: b"unused")
        )
        with self.assertRaisesRegex(ValueError, "got one of another network"):
            network.fitted("b", lambda: other.data)
        with self.assertRaises(ValueError):
            network.fitted("c", lambda: b"nonsense")

    def test_bad_files(self):
        network = small()
        with self.assertRaises(BadImageError):
            network.compute(b"nonsense")
        for data in (b"", network.data[:1000], testing.small().extractor, testing.small().head):
            with self.assertRaises(ValueError):
                Network(data)


if __name__ == "__main__":
    absltest.main()
