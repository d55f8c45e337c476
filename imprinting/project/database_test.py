import errno
import pathlib

from absl.testing import absltest

from imprinting.project import project_testing
from imprinting.project.database import Database

_SCHEMA = "CREATE TABLE IF NOT EXISTS things (name TEXT PRIMARY KEY);"


class DatabaseTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(project_testing.folder(self), "things.sqlite")
        self.database = self.open()

    def open(self) -> Database:
        found = Database(self.path, _SCHEMA)
        self.addCleanup(found.close)
        return found

    def names(self) -> list[str]:
        return [name for (name,) in self.database.execute("SELECT name FROM things ORDER BY name")]

    def add(self, name: str) -> None:
        self.database.execute("INSERT INTO things VALUES (?)", name)

    def test_a_transaction_is_there_after_opening_again(self):
        with self.database.transaction():
            self.add("a")
            self.add("b")
        self.database.close()
        self.database = self.open()
        self.assertEqual(self.names(), ["a", "b"])

    def test_an_error_takes_all_of_a_transaction_back(self):
        self.add("a")
        with self.assertRaises(KeyError), self.database.transaction():
            self.add("b")
            raise KeyError
        with self.assertRaisesRegex(ValueError, "UNIQUE"), self.database.transaction():
            self.add("b")
            self.add("a")
        self.assertEqual(self.names(), ["a"])
        with self.database.transaction():
            self.add("c")
        self.assertEqual(self.names(), ["a", "c"])

    def test_a_full_disk(self):
        (pages,) = self.database.execute("PRAGMA page_count")[0]
        self.database.execute(f"PRAGMA max_page_count = {pages + 1}")
        with self.assertRaises(OSError) as caught, self.database.transaction():
            self.add("x" * 100_000)
        self.assertEqual(caught.exception.errno, errno.ENOSPC)
        self.assertEqual(self.names(), [])
        self.add("a")
        self.assertEqual(self.names(), ["a"])

    def test_a_second_program(self):
        with self.assertRaisesRegex(OSError, "no other program has open"):
            Database(self.path, _SCHEMA)
        self.database.close()
        self.open()

    def test_the_file_has_what_was_in_the_log(self):
        self.add("something to look for")
        self.assertNotIn(b"something to look for", self.path.read_bytes())
        self.database.write_log()
        self.assertIn(b"something to look for", self.path.read_bytes())

    def test_other_files(self):
        other = self.path.with_name("other.sqlite")
        other.write_bytes(b"no database" * 100)
        with self.assertRaisesRegex(ValueError, "damaged or of another program"):
            Database(other, _SCHEMA)
        with self.assertRaisesRegex(OSError, "cannot be written"):
            Database(self.path.parent / "missing" / "x.sqlite", _SCHEMA)


if __name__ == "__main__":
    absltest.main()
