import dataclasses
import hashlib
import threading
from unittest import mock

import numpy as np
from absl.testing import absltest

from imprinting.new_classes.embedding_fit import FitEmbedding
from imprinting.photos.photo_file import BadImageError
from imprinting.project import fitting, project_testing
from imprinting.project.network import Network
from imprinting.project.project import Added, Project
from imprinting.project.store import Store

photo = project_testing.photo


class ProjectTest(absltest.TestCase):
    def check_embedding(self, project: Project, added: Added, kind: int) -> None:
        """Checks that the embedding of a photo is its own."""
        network = project.network()
        values, _ = network.values([network.compute(photo(kind))], views=1)
        found = project.photos.of(project.state, [added.photo])
        np.testing.assert_array_equal(found, values[:, 0])

    def test_bad_photos_change_nothing(self):
        project = project_testing.project(self, one=1)
        state, version = project.state, project.store.now.version
        cut = photo(1, size=300)[:2000]
        for data in (b"", b"hello", cut):
            with self.assertRaises(BadImageError):
                project.add_photo(data, "x.jpg", class_name="two")
        with self.assertRaisesRegex(ValueError, "number 99, which was removed"):
            project.add_photo(photo(1), "x.jpg", class_id=99)
        with self.assertRaisesRegex(ValueError, "expected the name of a class"):
            project.add_photo(photo(1), "x.jpg", class_name=" ")
        self.assertEqual((project.state, project.store.now.version), (state, version))

    def test_a_photo_that_failed_leaves_nothing_behind(self):
        project = project_testing.project(self, one=1, two=1)
        with mock.patch.object(Store, "put", side_effect=OSError("disk full")):
            with self.assertRaisesRegex(OSError, "disk full"):
                project.add_photo(photo(7), "a.jpg", class_name="three")
        # It has the number that the failed one would have had.
        self.check_embedding(project, project.add_photo(photo(8), "b.jpg", class_name="three"), 8)
        self.assertEqual(project.store.now.undo_label, "add 1 photo to three")

    def test_a_class_that_is_removed_while_a_photo_is_computed(self):
        project = project_testing.project(self, one=1, two=1)
        (one, _) = project.state.classes
        compute = Network.compute

        def remove(network, data, **options):
            project.change(lambda s: s.remove_class(one.id), "remove")
            return compute(network, data, **options)

        with mock.patch.object(Network, "compute", remove):
            with self.assertRaisesRegex(ValueError, "which was removed"):
                project.add_photo(photo(7), "a.jpg", class_id=one.id)
        self.check_embedding(project, project.add_photo(photo(8), "b.jpg", class_name="three"), 8)

    def test_the_same_photo_twice(self):
        project = project_testing.project(self, one=1)
        state = project.state
        self.assertTrue(project.add_photo(photo(0), "b.jpg", class_name="one").is_duplicate)
        self.assertEqual(project.state, state)

    def test_labels_of_undo(self):
        project = project_testing.project(self)
        for number in range(3):
            project.add_photo(photo(1, number), "a.jpg", class_name="one", operation="x")
        self.assertEqual(project.store.now.undo_label, "add 3 photos to one")
        project.add_photo(photo(2), "a.jpg", class_name="two", operation="x")
        self.assertEqual(project.store.now.undo_label, "add 4 photos to 2 classes")
        project.add_photo(photo(2, 1), "a.jpg", class_name="two")
        self.assertEqual(project.store.now.undo_label, "add 1 photo to two")
        project.undo()
        project.undo()
        project.add_photo(photo(1, 9), "a.jpg", class_name="one", operation="x")
        self.assertEqual(project.store.now.undo_label, "add 1 photo to one")
        project.undo()
        self.assertEqual(project.state.num_photos, 0)

    def test_a_fit(self):
        project = project_testing.project(self, one=4, two=4, three=4)
        before = project.classifier.file()
        project.fit()
        fit = project.state.fit
        self.assertLen(fit.photos, 12)
        self.assertBetween(fit.before, 0, 1)
        self.assertGreaterEqual(fit.after, fit.before)
        self.assertIn("held-out photos were recognised", fit.description)
        self.assertEqual(project.classifier.judge().quality.num_photos, 12)
        project_testing.keep(project, False)
        self.assertIsNone(project.state.active_fit)
        project_testing.keep(project, True)
        project.change(lambda s: s.without_fit(), "remove the fit")
        self.assertEqual(project.classifier.file(), before)
        project.undo()
        self.assertEqual(project.state.active_fit, fit)

    def test_a_fitted_embedding(self):
        project = project_testing.project(self, one=4, two=4)
        before = project.photos.of(project.state, [1, 2])
        options = dataclasses.replace(fitting._OPTIONS, fit_embedding=FitEmbedding.ALWAYS)
        with mock.patch.object(fitting, "_OPTIONS", options):
            project.fit()
        self.assertGreater(project.state.fit.weight, 0)
        after = project.photos.of(project.state, [1, 2])
        self.assertEqual(after.shape, before.shape)
        self.assertLess((after * before).sum(axis=1).max(), 0.99)
        # A photo that the fit has not seen has fewer views.
        project.add_photo(photo(0, 9), "a.jpg", class_name="one")
        self.assertEqual(project.classifier.judge().quality.num_photos, 9)
        self.assertEqual(project.classifier.classify(photo(0, 8)).best[0].label, "one")

    def test_opening_a_model(self):
        project = project_testing.project(self, one=2)
        data = project.classifier.file()
        other = project_testing.project(self, two=2)
        other.open_network(data, "mine.tflite")
        self.assertEqual(other.state.classes, ())
        self.assertEqual(other.state.base, hashlib.sha256(data).hexdigest())
        self.assertEqual(other.classifier.file(), data)
        answers = other.classifier.classify(photo(0, 5)).best
        self.assertEqual((answers[0].label, answers[0].is_kept), ("one", True))
        other.undo()
        self.assertEqual([each.name for each in other.state.classes], ["two"])
        self.assertEqual(other.classifier.classify(photo(0, 5)).best[0].label, "two")
        with self.assertRaises(ValueError):
            other.open_network(b"nonsense", "x.tflite")
        self.assertEqual(other.store.now.undo_label, "add 1 photo to two")

    def test_everything_is_there_after_opening_again(self):
        project = project_testing.fitted_project(self)
        project.add_photo(photo(0, 7), "a.jpg", class_name="one")
        data, state = project.classifier.file(), project.state
        # Not the project, as after a crash: the lock of the database ends with the process.
        project.store._database.close()
        again = Project(str(project.store.folder))
        self.addCleanup(again.close)
        self.assertEqual((again.state, again.classifier.file()), (state, data))

    def test_photos_of_which_nothing_is_known_are_computed(self):
        project = project_testing.project(self, one=2)
        data = project.classifier.file()
        project.store._database.execute("DELETE FROM computed")
        project.close()
        again = Project(str(project.store.folder))
        self.addCleanup(again.close)
        self.assertEqual(again.classifier.file(), data)

    def test_several_threads(self):
        project = project_testing.project(self, one=1)
        errors = []

        def add(kind):
            try:
                for number in range(5):
                    project.add_photo(photo(kind, number), "a.jpg", class_name=f"class {kind}")
                    project.classifier.classify(photo(kind))
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=add, args=[kind]) for kind in range(2, 6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        self.assertEqual([len(each.photos) for each in project.state.classes], [1, 5, 5, 5, 5])


if __name__ == "__main__":
    absltest.main()
