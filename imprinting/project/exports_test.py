import io
import os
import subprocess
import sys
import zipfile

from absl.testing import absltest, parameterized

from imprinting.base import labels
from imprinting.project import exports, project_testing
from imprinting.project.classifier import NoClassesError
from imprinting.tflite import inference, join, split


class ExportsTest(parameterized.TestCase):
    def test_photos(self):
        project = project_testing.project(self, one=2, two=1)
        project.add_photo(project_testing.photo(5), "../../x/y.jpeg", class_name="../<b>")
        project.add_photo(project_testing.photo(6, form="PNG"), "y.png", class_name="../<b>")
        project.add_photo(project_testing.photo(7), "y.jpg", class_name="../<b>")
        output = io.BytesIO()
        exports.photos_zip(project, output)
        with zipfile.ZipFile(output) as archive:
            self.assertEqual(
                archive.namelist(),
                [
                    *("one/one_0.jpg", "one/one_1.jpg", "two/two_0.jpg"),
                    *("__b_/y.jpg", "__b_/y.png", "__b_/y 2.jpg"),
                ],
            )
            self.assertEqual(archive.read("one/one_1.jpg"), project_testing.photo(0, 1))

    def test_edge_tpu(self):
        project = project_testing.project(self, one=1)
        with zipfile.ZipFile(io.BytesIO(exports.edge_tpu_zip(project))) as archive:
            extractor, head = (
                inference.verify(archive.read(f"model_{part}.tflite"))
                for part in ("extractor", "head")
            )
            text = archive.read("README.txt").decode()
        for command in exports.edge_tpu_commands().values():
            self.assertIn(command, text)
        expected = split.split(inference.verify(project.classifier.file()))
        for part, whole in ((extractor, expected.extractor), (head, expected.head)):
            self.assertEqual(
                [op.opcodeIndex for op in part.subgraphs[0].operators],
                [op.opcodeIndex for op in whole.subgraphs[0].operators],
            )
        self.assertLen(join.connect(extractor, head).subgraphs, 1)

    def test_labels(self):
        project = project_testing.project(self, one=1)
        names = labels.parse(exports.labels_text(project), "labels.txt")
        self.assertEqual(names, project.classifier.built().names)

    def test_the_report(self):
        project = project_testing.project(self, one=3, two=3)
        text = exports.report_html(project).decode()
        self.assertIn("2 new classes from 6 photos", text)
        self.assertIn("Confusion matrix", text)

    def test_lost_photos(self):
        project = project_testing.project(self, one=2)
        project.store.photo(1).path.unlink()
        output = io.BytesIO()
        exports.photos_zip(project, output)
        with zipfile.ZipFile(output) as archive:
            self.assertEqual(archive.namelist(), ["one/one_1.jpg"])
        self.assertIn("1 new class from 2 photos", exports.report_html(project).decode())

    def test_nothing_to_export(self):
        project = project_testing.project(self)
        with self.assertRaises(NoClassesError):
            exports.photos_zip(project, io.BytesIO())

    @parameterized.parameters("model.tflite", "my_model-2.1.tflite")
    def test_model_names(self, name):
        self.assertTrue(exports.is_model_name(name))

    @parameterized.parameters("", "model", "a/b.tflite", "a b.tflite", "é.tflite", 'a".tflite')
    def test_other_names(self, name):
        self.assertFalse(exports.is_model_name(name))

    def test_the_example_runs(self):
        project = project_testing.project(self, stripes=2)
        folder = project_testing.folder(self)
        for name, data in (
            ("mine.tflite", project.classifier.file()),
            ("photo.jpg", project_testing.photo(0, 5)),
            ("example.py", exports.example("mine.tflite").encode()),
        ):
            with open(f"{folder}/{name}", "wb") as file:
                file.write(data)
        done = subprocess.run(
            [sys.executable, "example.py", "photo.jpg"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        best = project.classifier.classify(project_testing.photo(0, 5)).best[0]
        self.assertEqual(done.stdout, f"photo.jpg: stripes ({best.probability:.0%})\n")


if __name__ == "__main__":
    absltest.main()
