import dataclasses
import io
import json
import zipfile

from absl.testing import absltest, parameterized

from imprinting.project import project_testing, saved, zip_files
from imprinting.project.project import Project


def written(project: Project) -> bytes:
    output = io.BytesIO()
    saved.write(project, output)
    return output.getvalue()


def changed(data: bytes, name: str, content: bytes | None) -> bytes:
    """The archive with another content of an entry, or without it."""
    output = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(output, "w") as new:
        for info in old.infolist():
            if info.filename != name:
                new.writestr(info, old.read(info))
        if content is not None:
            new.writestr(name, content)
    return output.getvalue()


def open_into(project: Project, data: bytes) -> None:
    with zip_files.opened(io.BytesIO(data)) as archive:
        saved.open_into(project, archive, "project.zip")


class SavedTest(parameterized.TestCase):
    def test_another_project_becomes_the_same(self):
        project = project_testing.fitted_project(self)
        other = project_testing.project(self)
        other.add_photo(project_testing.photo(9), "a.jpg", class_name="three")
        open_into(other, written(project))
        self.assertEqual(other.classifier.file(), project.classifier.file())
        self.assertEqual(
            [(each.name, len(each.photos)) for each in other.state.classes],
            [("one", 3), ("two", 3)],
        )
        self.assertEqual(other.state.fit.description, project.state.fit.description)
        self.assertEqual(other.store.photo(other.state.classes[0].photos[0]).name, "one_0.jpg")
        other.undo()
        self.assertEqual([each.name for each in other.state.classes], ["three"])

    def test_with_an_opened_network(self):
        project = project_testing.project(self, one=2)
        project.open_network(project.classifier.file(), "mine.tflite")
        project.add_photo(project_testing.photo(3), "a.jpg", class_name="two")
        other = project_testing.project(self)
        open_into(other, written(project))
        self.assertEqual(other.classifier.file(), project.classifier.file())
        self.assertEqual(other.state.base_name, "mine.tflite")

    def test_the_same_bytes(self):
        project = project_testing.project(self, one=1)
        self.assertEqual(written(project), written(project))

    def test_lost_photos(self):
        project = project_testing.project(self, one=2)
        project.store.photo(1).path.unlink()
        other = project_testing.project(self)
        open_into(other, written(project))
        self.assertEqual(other.state.num_photos, 1)

    def test_a_fit_of_another_network(self):
        project = project_testing.fitted_project(self)
        stranger = project_testing.project(self, three=1)
        digest = stranger.store.add_model(stranger.classifier.file())
        fit = dataclasses.replace(project.state.fit, model=digest)
        project.store.add_model(stranger.classifier.file())
        for keeps in (True, False):
            bad = dataclasses.replace(fit, keeps_classes=keeps)
            project.change(lambda s, bad=bad: dataclasses.replace(s, fit=bad), "fit")
            other = project_testing.project(self)
            with self.assertRaisesRegex(ValueError, "one of another network"):
                open_into(other, written(project))

    def test_bad_files_change_nothing(self):
        project = project_testing.fitted_project(self)
        data = written(project)
        photo = f"photos/{project.store.photo(1).path.name}"
        described = json.loads(zipfile.ZipFile(io.BytesIO(data)).read("project.json"))
        model = f"models/{project.state.fit.model}.tflite"
        cases = [
            changed(data, photo, None),
            changed(data, photo, b"nonsense"),
            changed(data, "project.json", b"nonsense"),
            changed(data, "project.json", b"[]"),
            changed(data, "project.json", json.dumps(described | {"format": 2}).encode()),
            changed(data, "project.json", json.dumps(described | {"photos": {}}).encode()),
            changed(
                data,
                "project.json",
                json.dumps(
                    described | {"state": described["state"] | {"base": "../../etc/passwd"}}
                ).encode(),
            ),
        ]
        if project.state.fit.model:
            cases += [changed(data, model, None), changed(data, model, b"nonsense")]
        other = project_testing.project(self, three=1)
        state = other.state
        for case in cases:
            with self.assertRaises(ValueError):
                open_into(other, case)
            self.assertEqual(other.state, state)


if __name__ == "__main__":
    absltest.main()
