import os
import pathlib
import shutil
import sqlite3

from absl.testing import absltest

from imprinting.project import project_testing
from imprinting.project.records import Computed
from imprinting.project.state import PhotoClass, State
from imprinting.project.store import MOST_UNDONE, Store


def named(name: str, *photos: int) -> State:
    return State((PhotoClass(1, name, photos),), next_id=2)


class StoreTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = project_testing.folder(self) + "/project"
        self.store = Store(self.folder)
        self.addCleanup(lambda: self.store.close())

    def add_photo(self, data: bytes, name: str, ending: str) -> int:
        return self.store.add_photo(self.store.write_photo(data, ending), name)

    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.folder)

    def test_a_new_project(self):
        self.assertEqual(self.store.state, State())
        self.assertIsNone(self.store.now.undo_label)
        self.assertIsNone(self.store.now.redo_label)
        with self.assertRaisesRegex(ValueError, "a change to undo, got none"):
            self.store.undo()

    def test_undo_and_redo_after_opening_again(self):
        self.store.put(named("mug"), "add mug")
        self.store.put(named("cup"), "rename mug")
        self.reopen()
        self.assertEqual(self.store.state, named("cup"))
        self.assertEqual(self.store.now.undo_label, "rename mug")
        self.store.undo()
        self.assertEqual(
            (self.store.state, self.store.now.redo_label), (named("mug"), "rename mug")
        )
        self.reopen()
        self.store.redo()
        self.assertEqual(self.store.state, named("cup"))
        self.store.undo()
        self.store.put(named("glass"), "rename mug")
        self.assertIsNone(self.store.now.redo_label)
        self.store.undo()
        self.store.undo()
        self.assertEqual(self.store.state, State())

    def test_the_version_grows(self):
        versions = [self.store.now.version]
        for change in (
            lambda: self.store.put(named("mug"), "add"),
            self.store.undo,
            self.store.redo,
            self.reopen,
            lambda: self.store.put(named("cup"), "rename"),
        ):
            change()
            versions.append(self.store.now.version)
        self.assertEqual(versions, sorted(versions))
        self.assertLen(set(versions), len(versions))

    def test_an_operation_is_undone_at_once(self):
        self.store.put(named("mug"), "add", "a")
        for photo in range(3):
            self.store.put(named("mug", *range(photo + 1)), f"add {photo + 1} photos", "b")
        self.assertEqual(self.store.now.undo_label, "add 3 photos")
        self.store.undo()
        self.assertEqual(self.store.state, named("mug"))

    def test_the_history_is_limited(self):
        for number in range(MOST_UNDONE + 5):
            self.store.put(named(str(number)), "change")
        for _ in range(MOST_UNDONE):
            self.store.undo()
        self.assertIsNone(self.store.now.undo_label)
        self.assertEqual(self.store.state, named("4"))

    def test_an_error_undoes_all_of_a_change(self):
        version = self.store.now.version
        with self.assertRaises(KeyError), self.store.change():
            photo = self.add_photo(b"photo", "a.jpg", ".jpg")
            self.store.put(named("mug", photo), "add")
            raise KeyError
        self.assertEqual((self.store.state, self.store.now.version), (State(), version))
        self.assertEqual(self.store.names(), {})
        self.assertEqual(self.add_photo(b"other", "b.jpg", ".jpg"), photo)
        self.assertEqual(self.store.photo(photo).path.read_bytes(), b"other")

    def test_photos(self):
        first = self.add_photo(b"one", "a.jpg", ".jpg")
        second = self.add_photo(b"two", "b.png", ".png")
        self.assertEqual(self.add_photo(b"one", "c.jpg", ".jpg"), first)
        self.assertEqual(self.store.names(), {first: "a.jpg", second: "b.png"})
        self.assertEqual(self.store.photo(second).path.read_bytes(), b"two")
        self.assertEqual(self.store.photo(second).path.suffix, ".png")
        for number in (99, -1, 10**30):
            with self.assertRaisesRegex(ValueError, f"the number of a photo, got {number}"):
                self.store.photo(number)

    def test_a_lost_photo_comes_back_when_it_is_added_again(self):
        photo = self.add_photo(b"one", "a.jpg", ".jpg")
        path = self.store.photo(photo).path
        path.unlink()
        self.assertEqual(self.add_photo(b"one", "a.jpg", ".jpg"), photo)
        self.assertEqual(path.read_bytes(), b"one")

    def test_computed(self):
        photo = self.add_photo(b"one", "a.jpg", ".jpg")
        for computed in (Computed(1, b"e", b"f"), Computed(7, b"eeeeeee", b"fffffff")):
            self.store.put_computed(photo, "base", computed)
            self.assertEqual(self.store.computed("base"), {photo: computed})
        self.assertEqual(self.store.computed("other"), {})

    def test_what_no_state_names_is_removed(self):
        kept = self.add_photo(b"kept", "a.jpg", ".jpg")
        undone = self.add_photo(b"undone", "b.jpg", ".jpg")
        unused = self.add_photo(b"unused", "c.jpg", ".jpg")
        paths = {photo: self.store.photo(photo).path for photo in (kept, undone, unused)}
        model = self.store.add_model(b"model")
        self.store.add_model(b"unused model")
        self.store.put(named("mug", kept, undone), "add")
        self.store.put(State(named("mug", kept).classes, base=model), "remove")
        photos = pathlib.Path(self.folder, "photos")
        (photos / "9.jpg.partial-1-a").write_bytes(b"half")
        (photos / "holiday.jpg").write_bytes(b"of the user")
        self.reopen()
        self.assertEqual({*self.store.names()}, {kept, undone})
        self.assertEqual(
            {path.name for path in photos.iterdir()},
            {paths[kept].name, paths[undone].name, "holiday.jpg"},
        )
        self.assertEqual(self.store.model(model), b"model")
        self.assertLen(os.listdir(os.path.join(self.folder, "models")), 1)
        # A number is never used again: pages keep the pictures of old ones.
        self.assertGreater(self.add_photo(b"new", "d.jpg", ".jpg"), unused)

    def test_photos_are_not_removed_if_the_database_is_incomplete(self):
        self.store.put(named("mug", self.add_photo(b"one", "a.jpg", ".jpg")), "add")
        self.store.close()
        database = pathlib.Path(self.folder, "project.sqlite")
        database.write_bytes(b"")
        with self.assertRaisesRegex(ValueError, "restore project.sqlite"):
            Store(self.folder)
        self.assertLen(os.listdir(os.path.join(self.folder, "photos")), 1)
        self.store = Store(project_testing.folder(self) + "/other")

    def test_the_log_of_changes_is_lost(self):
        copy = project_testing.folder(self) + "/copy"
        self.store.put(named("mug", self.add_photo(b"one", "a.jpg", ".jpg")), "add")
        shutil.copytree(self.folder, copy, ignore=shutil.ignore_patterns("*-wal"))
        other = Store(copy)
        self.addCleanup(other.close)
        self.assertEqual(other.state, State())
        (path,) = pathlib.Path(copy, "photos").iterdir()
        self.assertEqual(path.read_bytes(), b"one")
        self.assertNotEqual(other.key, "")

    def test_a_damaged_state_of_the_past(self):
        self.store.put(named("mug"), "add")
        self.store.put(named("cup"), "rename")
        self.store._database.execute("UPDATE states SET state = '{}' WHERE number = 1")
        self.reopen()
        self.assertEqual(self.store.state, named("cup"))
        with self.assertRaisesRegex(ValueError, "expected the description of a project"):
            self.store.undo()
        self.assertEqual(self.store.state, named("cup"))

    def test_keys(self):
        key = self.store.key
        self.reopen()
        self.assertEqual(self.store.key, key)
        other = Store(project_testing.folder(self) + "/other")
        self.addCleanup(other.close)
        self.assertNotEqual(other.key, key)

    def test_two_programs(self):
        with self.assertRaisesRegex(OSError, "that no other program has open"):
            Store(self.folder)

    def test_bad_folders(self):
        folder = project_testing.folder(self)
        pathlib.Path(folder, "file").write_text("x")
        with self.assertRaisesRegex(ValueError, "got the file"):
            Store(folder + "/file")
        with self.assertRaisesRegex(ValueError, "which has other files"):
            Store(folder)
        with self.assertRaisesRegex(ValueError, "got none; create it"):
            Store(folder + "/a/b")
        pathlib.Path(folder, "project.sqlite").write_text("no database" * 100)
        with self.assertRaisesRegex(ValueError, "damaged or of another program"):
            Store(folder)

    def test_a_later_format(self):
        self.store.close()
        with sqlite3.connect(os.path.join(self.folder, "project.sqlite")) as database:
            database.execute("UPDATE numbers SET value = 2 WHERE name = 'format'")
        database.close()
        with self.assertRaisesRegex(ValueError, "use a newer version"):
            Store(self.folder)
        self.store = Store(project_testing.folder(self) + "/other")


if __name__ == "__main__":
    absltest.main()
