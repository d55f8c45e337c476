"""Tests of task_folder.py: what is left at any moment, and what slow processes may do."""

import errno
import os
import pathlib
import shutil
import tempfile
from unittest import mock

from absl.testing import absltest, parameterized

from classification.base import task_folder
from classification.base.task_folder import TaskFolder
from imprinting.base import atomic_files

_PLAN = {"num_tasks": 2, "seed": 0}
_NAMES = ("0", "1")


class Killed(BaseException):
    """Ends a process in a test at any call, without any cleaning up."""


class TaskFolderTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.create_tempdir().full_path)
        self.result = self.root / "out"

    def opened(self, **changes: int) -> TaskFolder:
        return task_folder.opened(str(self.result), {**_PLAN, **changes})

    def leave(self, folder: TaskFolder, name: str, text: str = "") -> None:
        with folder.scratch() as scratch:
            path = pathlib.Path(scratch, f"file-{name}")
            path.write_text(text or f"of {name}")
            folder.leave(name, [str(path)], {"known": int(name)})

    def all_left(self, before: str = "nothing") -> TaskFolder:
        """A folder with all parts, for a result with something else at its path before."""
        if before in ("an empty folder", "an earlier result"):
            self.result.mkdir()
        if before == "an earlier result":
            (self.result / "old").write_text("old")
        folder = self.opened()
        for name in _NAMES:
            self.leave(folder, name)
        return folder

    def complete(self, folder: TaskFolder) -> None:
        """What a task does that finds all parts."""
        with folder.scratch() as scratch:
            whole = pathlib.Path(scratch, "whole")
            shutil.copytree(folder.files, whole)
            folder.publish(str(whole))

    def assert_complete(self, folder: TaskFolder) -> None:
        self.assertTrue(folder.is_complete())
        self.assertEqual(
            {path.name: path.read_text() for path in self.result.iterdir()},
            {"file-0": "of 0", "file-1": "of 1"},
        )

    def assert_clean(self, folder: TaskFolder) -> None:
        self.assert_complete(folder)
        self.assertCountEqual(os.listdir(self.root), ["out", os.path.basename(folder.path)])
        self.assertCountEqual(os.listdir(folder.path), ["plan.json", "replaced", "result.json"])
        self.assertEqual(os.listdir(os.path.join(folder.path, "replaced")), ["placeholder"])

    def test_parts(self):
        folder = self.opened()
        self.assertEqual(folder.missing(_NAMES), ["0", "1"])
        self.assertIsNone(folder.part("0"))
        self.leave(folder, "1")
        # As another process sees them.
        folder = self.opened()
        self.assertEqual(folder.missing(_NAMES), ["0"])
        self.assertEqual(folder.part("1"), {"known": 1})
        self.leave(folder, "1")
        pathlib.Path(folder.files, "file-1").write_text("of")
        self.assertIsNone(folder.part("1"))
        self.assertFalse(folder.is_complete())
        self.assertEqual(os.listdir(self.root), ["out.tasks-1"])
        self.assertCountEqual(os.listdir(folder.path), ["plan.json", "files", "part-1.json"])

    @parameterized.parameters("nothing", "an empty folder", "an earlier result", "a link")
    def test_publishes(self, before):
        if before == "a link":
            real = pathlib.Path(self.create_tempdir().full_path)
            self.result.symlink_to(real / "out")
            self.root, self.result = real, self.result
        folder = self.all_left(before)
        folder.publish(folder.files)
        self.assert_clean(folder)
        self.assert_clean(self.opened())

    @parameterized.parameters(False, True)
    def test_may_be_killed_at_any_call(self, has_earlier):
        """Fails at the first, second, … call that changes something, then runs again."""
        for number in range(100):
            self.root = pathlib.Path(tempfile.mkdtemp(dir=self.create_tempdir().full_path))
            self.result = self.root / "out"
            folder = self.all_left("an earlier result" if has_earlier else "nothing")
            if not self.killed_at(number, folder):
                self.assert_clean(folder)
                break
            if self.result.exists() and not folder.is_complete():
                self.assertEqual(os.listdir(self.result), ["old"])
            again = self.opened()
            self.assertEqual(again.path, folder.path)
            if again.is_complete():
                again.clean()
            else:
                again.publish(again.files)
            self.assert_clean(again)
        self.assertBetween(number, 8, 90)

    def killed_at(self, number: int, folder: TaskFolder) -> bool:
        """Publishes, and returns whether the call of this number was reached."""
        calls = 0

        def counted(original):
            def call(*arguments, **more):
                nonlocal calls
                calls += 1
                if calls > number:
                    # All later ones, too: a killed process does not clean up.
                    raise Killed
                return original(*arguments, **more)

            return call

        with (
            mock.patch.object(os, "rename", counted(os.rename)),
            mock.patch.object(os, "replace", counted(os.replace)),
            mock.patch.object(os, "mkdir", counted(os.mkdir)),
            mock.patch.object(os, "rmdir", counted(os.rmdir)),
            mock.patch.object(os, "remove", counted(os.remove)),
            mock.patch.object(shutil, "rmtree", counted(shutil.rmtree)),
        ):
            try:
                folder.publish(folder.files)
            except Killed:
                return True
        return False

    @parameterized.product(
        before=["nothing", "an empty folder", "an earlier result"],
        of_parts=[False, True],
        cleans=[False, True],
    )
    def test_two_publish_at_the_same_time(self, before, of_parts, cleans):
        """The other process publishes just before each call of the first, and perhaps cleans."""
        publish = (lambda f: f.publish(f.files)) if of_parts else self.complete
        for number in range(100):
            self.root = pathlib.Path(tempfile.mkdtemp(dir=self.create_tempdir().full_path))
            self.result = self.root / "out"
            folder = self.all_left(before)
            calls = 0
            original = os.rename

            def renamed(source, target, number=number, folder=folder, original=original):
                nonlocal calls
                calls += 1
                if calls == number + 1:
                    other = self.opened()
                    self.assertEqual(other.path, folder.path)
                    if not other.is_complete():
                        clean = other.clean if cleans else lambda: None
                        with mock.patch.object(other, "clean", clean):
                            publish(other)
                original(source, target)

            with mock.patch.object(os, "rename", renamed):
                try:
                    publish(folder)
                except OSError:
                    # Programs then ask whether the result is complete.
                    self.assertTrue(folder.is_complete())
            self.assert_complete(folder)
            self.opened().clean()
            self.assert_clean(folder)
            if calls <= number:
                break
        self.assertBetween(number, 2, 90)

    def test_two_clean_at_the_same_time(self):
        folder = self.all_left()
        with mock.patch.object(folder, "clean"):
            folder.publish(folder.files)
        others, original = [self.opened()], os.replace

        def replaced(source, target):
            if others:
                others.pop().clean()
            original(source, target)

        with mock.patch.object(os, "replace", replaced):
            folder.clean()
        self.assertEmpty(others)
        self.assert_clean(folder)

    def test_leaves_nothing_if_the_folder_cannot_be_created(self):
        full = OSError(errno.ENOSPC, "No space left on device")
        with (
            mock.patch.object(atomic_files, "write_atomically", side_effect=full),
            self.assertRaisesRegex(OSError, "No space left"),
        ):
            self.opened()
        self.assertEmpty(os.listdir(self.root))

    def test_copy_that_rounds_differently(self):
        folder = self.all_left()
        original = folder._set_aside

        def set_aside() -> None:
            self.complete(self.opened())
            original()

        whole = self.root / "whole"
        shutil.copytree(folder.files, whole)
        (whole / "file-0").write_text("OF 0")
        with mock.patch.object(folder, "_set_aside", set_aside):
            folder.publish(str(whole))
        shutil.rmtree(whole)
        self.assert_complete(folder)
        self.opened().clean()
        self.assert_clean(folder)

    def test_two_create_the_folder_at_the_same_time(self):
        first = self.opened()
        self.leave(first, "0")
        original = os.listdir
        names: list[list[str]] = [[]]
        with mock.patch.object(
            os, "listdir", lambda path: names.pop() if names else original(path)
        ):
            second = self.opened()
        self.assertEqual(second.path, first.path)
        self.assertEqual(second.part("0"), {"known": 0})
        self.assertEqual(os.listdir(self.root), ["out.tasks-1"])

    @parameterized.parameters(False, True)
    def test_opens_while_another_publishes(self, of_parts):
        folder = self.all_left()
        original = TaskFolder.is_complete

        def is_complete(opened: TaskFolder) -> bool:
            found = original(opened)
            if of_parts:
                folder.publish(folder.files)
            else:
                self.complete(folder)
            return found

        with mock.patch.object(TaskFolder, "is_complete", is_complete):
            other = self.opened()
        self.assertEqual(other.path, folder.path)
        self.assert_clean(other)

    def test_copy_whose_files_are_being_removed(self):
        folder = self.all_left()
        with folder.scratch() as scratch:
            whole = pathlib.Path(scratch, "whole")
            shutil.copytree(folder.files, whole)
            with mock.patch.object(shutil, "rmtree"):
                self.complete(self.opened())
            (whole / "file-0").unlink()
            with self.assertRaises(OSError):
                folder.publish(str(whole))
        self.assert_complete(folder)

    def test_slow_copy_of_a_task(self):
        folder = self.all_left()
        slow = self.opened()
        with slow.scratch() as scratch:
            path = pathlib.Path(scratch, "file-0")
            path.write_text("of")
            folder.publish(folder.files)
            with self.assertRaises(OSError):
                slow.leave("0", [str(path)], {})
        self.assert_clean(folder)

    def test_other_plan(self):
        folder = self.opened()
        with self.assertRaisesRegex(
            ValueError,
            "as of the tasks that began .*/out.tasks-1, got seed 1 instead of 0, size 3 instead "
            "of None; give all tasks the same, or remove that folder to start anew$",
        ):
            self.opened(seed=1, size=3)
        self.assertEqual(os.listdir(self.root), ["out.tasks-1"])
        for name in _NAMES:
            self.leave(folder, name)
        folder.publish(folder.files)
        self.assertEqual(self.opened(seed=1).path, f"{os.path.realpath(self.result)}.tasks-2")

    def test_makes_a_changed_result_again(self):
        for number in range(1, 4):
            folder = self.opened()
            self.assertEqual(folder.path, f"{os.path.realpath(self.result)}.tasks-{number}")
            for name in _NAMES:
                self.leave(folder, name)
            folder.publish(folder.files)
            self.assert_clean(folder)
            if number == 1:
                (self.result / "file-0").write_text("OF 0")
            elif number == 2:
                shutil.rmtree(self.result)

    def test_refuses_what_others_wrote_meanwhile(self):
        folder = self.opened()
        self.leave(folder, "0")

        def set_aside(original=folder._set_aside):
            original()
            self.result.mkdir()
            (self.result / "mine").write_text("mine")

        with (
            mock.patch.object(folder, "_set_aside", set_aside),
            self.assertRaisesRegex(OSError, "not empty"),
        ):
            folder.publish(folder.files)
        self.assertEqual(os.listdir(self.result), ["mine"])
        self.assertEqual(folder.part("0"), {"known": 0})

    def test_removes_what_killed_tasks_left(self):
        # Of a task that was killed when it created the folder.
        (self.root / "out.tasks-1.partial-0a").mkdir()
        others = ("out.tasks-x", "out.tasks-3.partial-0a", "other.tasks-1", "out.tasks-01")
        for name in others:
            (self.root / name).mkdir()
        folder = self.opened()
        with mock.patch.object(shutil, "rmtree"), folder.scratch() as scratch:
            pathlib.Path(scratch, "file-0").write_text("o")
        for name in _NAMES:
            self.leave(folder, name)
        folder.publish(folder.files)
        for name in others:
            (self.root / name).rmdir()
        self.assert_clean(folder)


if __name__ == "__main__":
    absltest.main()
