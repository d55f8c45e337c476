from unittest import mock

import numpy as np
from absl.testing import absltest

from imprinting.inference.photo_classifier import PhotoClassifier
from imprinting.project import project_testing
from imprinting.project.classifier import Answer, NoClassesError
from imprinting.tflite import model_file
from imprinting.tflite.imprinting import ImprintingEngine

photo = project_testing.photo


class ClassifierTest(absltest.TestCase):
    def test_a_class_exists_as_soon_as_its_first_photo_does(self):
        project = project_testing.project(self)
        before = project.classifier.classify(photo(1, 9))
        self.assertTrue(all(each.is_kept for each in before.best))
        project.add_photo(photo(1), "a.jpg", class_name="stripes")
        after = project.classifier.classify(photo(1, 9))
        self.assertEqual((after.best[0].label, after.best[0].is_kept), ("stripes", False))
        self.assertGreater(after.version, before.version)
        project.undo()
        self.assertEqual(project.classifier.classify(photo(1, 9)).best, before.best)
        project.redo()
        self.assertEqual(project.classifier.classify(photo(1, 9)).best, after.best)

    def test_the_file_gives_the_same_answers(self):
        for project in (
            project_testing.project(self, one=3, two=2),
            project_testing.fitted_project(self),
        ):
            classifier = PhotoClassifier(project.classifier.file())
            self.assertEqual(classifier.labels[-2:], ("one", "two"))
            path = project_testing.folder(self) + "/photo.jpg"
            for kind in range(3):
                with open(path, "wb") as file:
                    file.write(photo(kind, 7))
                (answers,), _ = classifier.classify([path], top=5)
                mine = project.classifier.classify(photo(kind, 7)).best
                self.assertEqual(
                    [(a.label, a.probability) for a in answers],
                    [(a.label, a.probability) for a in mine],
                )

    def test_a_class_is_the_mean_of_its_photos(self):
        project = project_testing.project(self, one=3)
        project_testing.keep(project, False)
        network = project.network()
        engine = ImprintingEngine(network.classifier, keep_classes=False)
        embeddings = []
        for number in range(3):
            values, _ = network.values([network.compute(photo(0, number))], views=1)
            embeddings.append(values[0, 0])
        engine.add(0, np.stack(embeddings))
        expected = model_file.serialise(engine.build().tflite_model)
        self.assertEqual(model_file.serialise(project.classifier.built().tflite_model), expected)

    def test_a_class_of_the_network_with_the_same_name_is_replaced(self):
        project = project_testing.project(self)
        self.assertIn("lemon", project.classifier.built().names)
        project.add_photo(photo(1), "a.jpg", class_name="Lemon")
        built = project.classifier.built()
        self.assertLen(built.names, 1000)
        self.assertNotIn("lemon", built.names)
        self.assertEqual((built.names[-1], built.num_kept), ("Lemon", 999))

    def test_without_classes(self):
        project = project_testing.project(self)
        project_testing.keep(project, False)
        with self.assertRaisesRegex(NoClassesError, "at least one class with a photo"):
            project.classifier.classify(photo(1))
        with self.assertRaises(NoClassesError):
            project.fit()
        self.assertEqual(project.add_class("empty"), (1, True))
        self.assertEqual(project.add_class("empty"), (1, False))
        with self.assertRaises(NoClassesError):
            project.classifier.file()

    def test_all_classes_of_the_network_are_replaced(self):
        project = project_testing.project(self, cat=2, dog=2)
        project_testing.keep(project, False)
        project.open_network(project.classifier.file(), "cats.tflite")
        for kind, name in enumerate(("cat", "dog")):
            project.add_photo(photo(kind + 5), "a.jpg", class_name=name)
        self.assertEqual(project.classifier.built().names, ("cat", "dog"))
        self.assertEqual(
            project.classifier.classify(photo(5)).best[0], Answer("cat", mock.ANY, False)
        )
        project.fit()
        self.assertEqual(project.classifier.built().names, ("cat", "dog"))

    def test_results_without_photos_after_a_fit(self):
        project = project_testing.fitted_project(self)
        for each in project.state.classes:
            project.change(lambda s, number=each.id: s.remove_class(number), "remove")
        self.assertIsNone(project.classifier.judge().quality.accuracy())
        # With the switch off, there is nothing that a photo could show.
        project_testing.keep(project, False)
        with self.assertRaises(NoClassesError):
            project.classifier.judge()
        with self.assertRaises(NoClassesError):
            project.classifier.prepare()


if __name__ == "__main__":
    absltest.main()
