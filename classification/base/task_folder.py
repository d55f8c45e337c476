"""A folder beside a result, in which tasks leave their parts until the result is complete.

The tasks need not run at the same time, and each may be killed at any moment, run again, or run
twice at the same time. There are no locks, because network file systems may lack them, and no
process waits for another. Instead, each step is one rename of something complete, which has the
same effect whoever does it, and however often. The folder of RESULT is RESULT.tasks-1:

  plan.json    what all tasks must agree on; the folder appears with it
  files/       the complete files of the tasks
  part-*.json  that a part is complete: its files, their sizes, and what else is known of it
  replaced/    what was at RESULT before; it appears just before the new RESULT
  result.json  what the new RESULT contains; written when it is there

When RESULT is complete, `files` and the descriptions of parts are removed. What is left, a few
hundred bytes, shows a task that is started again that there is nothing to do. If the result has to
be made anew, because the plan or RESULT has changed since, this happens in RESULT.tasks-2.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from imprinting.base import atomic_files

_PLAN, _FILES, _REPLACED, _RESULT = "plan.json", "files", "replaced", "result.json"
# A file in `replaced`, which is never empty, so that nothing can be moved there a second time.
_PLACEHOLDER = "placeholder"
# Larger files of the result are known by their size.
_MOST_HASHED = 64 << 20


class TaskFolder:
    """The parts of a result that are complete.

    Attributes:
      path: the folder.
      result: the result's path, without symbolic links.
      files: the folder in it with the files of all complete parts.
    """

    def __init__(self, result: str, number: int) -> None:
        self.result = result
        self.path = f"{result}.tasks-{number}"
        self.files = os.path.join(self.path, _FILES)
        self._number = number

    def is_complete(self) -> bool:
        """Whether the result is at its path, and has not been changed since."""
        if not os.path.isdir(os.path.join(self.path, _REPLACED)):
            return False
        recorded = os.path.join(self.path, _RESULT)
        if not os.path.exists(recorded):
            # Perhaps a process was killed just after it had moved `files` to the result's path.
            return not os.path.isdir(self.files) and os.path.isdir(self.result)
        try:
            return _read(recorded) == _summary(self.result)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def part(self, name: str) -> dict[str, Any] | None:
        """What `leave` recorded of a part; None if the part is not complete."""
        try:
            found = _read(os.path.join(self.path, _description(name)))
            files = found.pop("files")
            sizes = {file: os.path.getsize(os.path.join(self.files, file)) for file in files}
        except FileNotFoundError:
            return None
        # After a machine has lost its power, files may be shorter.
        return found if sizes == files else None

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of the named parts that have not been left; opens no file."""
        there = set(os.listdir(self.path))
        return [name for name in names if _description(name) not in there]

    @contextlib.contextmanager
    def scratch(self) -> Iterator[str]:
        """A new folder for files that are not complete; it is removed at the end."""
        path = os.path.join(self.path, f"scratch-{uuid.uuid4().hex}")
        os.mkdir(path)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def leave(self, name: str, files: Sequence[str], found: Mapping[str, Any]) -> None:
        """Moves the complete files of a part to `files`, and records that the part is complete.

        Args:
          name: of the part.
          files: their paths, in `scratch`.
          found: what else is known of the part, as for JSON, without a key "files".
        """
        sizes = {os.path.basename(path): os.path.getsize(path) for path in files}
        for path in files:
            os.replace(path, os.path.join(self.files, os.path.basename(path)))
        _write(os.path.join(self.path, _description(name)), {"files": sizes, **found})

    def publish(self, folder: str) -> None:
        """Moves a complete folder to the result's path, and removes the parts.

        What was there is replaced. If another process publishes at the same time, the first wins.

        Args:
          folder: `files`, or a folder in `scratch`.

        Raises:
          OSError: if a folder cannot be renamed, or something else has created the result.
        """
        try:
            self._set_aside()
            os.rename(folder, self.result)
        except OSError:
            if not (
                os.path.isdir(os.path.join(self.path, _REPLACED))
                and os.path.isdir(self.result)
                and (not os.path.isdir(folder) or _sizes(folder) == _sizes(self.result))
            ):
                raise
        self.clean()

    def clean(self) -> None:
        """Records the complete result, and removes the parts; any process may do so again."""
        recorded = os.path.join(self.path, _RESULT)
        if not os.path.exists(recorded):
            try:
                _write(recorded, _summary(self.result))
            except FileNotFoundError:
                # Another process may have written it, and removed this one's temporary file.
                if not os.path.exists(recorded):
                    raise
        replaced = os.path.join(self.path, _REPLACED)
        with open(os.path.join(replaced, _PLACEHOLDER), "wb"):
            pass
        # In one step, since a folder that has `files` has to be completed.
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.files, os.path.join(self.path, f"scratch-{uuid.uuid4().hex}"))
        kept = {_PLAN, _REPLACED, _RESULT}
        leftovers = [os.path.join(self.path, n) for n in os.listdir(self.path) if n not in kept]
        leftovers += [
            os.path.join(replaced, name) for name in os.listdir(replaced) if name != _PLACEHOLDER
        ]
        beside = os.path.dirname(self.result)
        for name in os.listdir(beside):
            number, is_partial = _number(self.result, name)
            if 0 < number < self._number or (number == self._number and is_partial):
                leftovers.append(os.path.join(beside, name))
        for path in leftovers:
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(path)

    def _set_aside(self) -> None:
        """Moves what is at the result's path to `replaced`, once.

        `replaced` then stays. Otherwise, a process that was slow could move away the new result.
        """
        with contextlib.suppress(OSError):
            # An empty folder, which is not worth keeping.
            os.rmdir(self.result)
        with self.scratch() as nothing:
            with open(os.path.join(nothing, _PLACEHOLDER), "wb"):
                pass
            for source in (self.result, nothing):
                try:
                    os.rename(source, os.path.join(self.path, _REPLACED))
                    return
                except FileNotFoundError:
                    continue
                except OSError:
                    if not os.path.isdir(os.path.join(self.path, _REPLACED)):
                        raise
                    return


def opened(result: str, plan: Mapping[str, Any]) -> TaskFolder:
    """Finds or creates the folder for a result.

    Args:
      result: the path of the result, a folder, in a folder that exists.
      plan: what all tasks must agree on, as for JSON, with keys that users understand.

    Returns:
      The folder; it has `files`, or is complete.

    Raises:
      ValueError: if tasks with another plan have begun with the result, and have not completed it.
      OSError: if a folder cannot be read or written.
    """
    result = os.path.realpath(result)
    plan = json.loads(json.dumps(plan))
    number = 0
    while True:
        found = (_number(result, name) for name in os.listdir(os.path.dirname(result)))
        number = max(
            [number, *(found_number for found_number, is_partial in found if not is_partial)]
        )
        if number:
            folder = TaskFolder(result, number)
            known = _read(os.path.join(folder.path, _PLAN))
            # In this order: another process may publish in between.
            has_files = os.path.isdir(folder.files)
            is_complete = folder.is_complete()
            if has_files and not is_complete and known != plan:
                raise ValueError(_other_plan(folder.path, known, plan))
            if known == plan and (has_files or is_complete):
                return folder
        # The first folder, or one for a new result. If another task is faster, its folder is used.
        number += 1
        _create(TaskFolder(result, number).path, plan)


def _create(path: str, plan: Mapping[str, Any]) -> None:
    partial = f"{path}.partial-{uuid.uuid4().hex}"
    try:
        os.makedirs(os.path.join(partial, _FILES))
        _write(os.path.join(partial, _PLAN), plan)
        os.rename(partial, path)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        if not os.path.isdir(path):
            raise


def _description(part: str) -> str:
    return f"part-{part}.json"


def _other_plan(path: str, known: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    differences = ", ".join(
        f"{key} {plan.get(key)} instead of {known.get(key)}"
        for key in {**known, **plan}
        if plan.get(key) != known.get(key)
    )
    return (
        f"expected the same input and flags as of the tasks that began {path}, got {differences}; "
        "give all tasks the same, or remove that folder to start anew"
    )


def _number(result: str, name: str) -> tuple[int, bool]:
    """The number of a folder of tasks for the result, and whether it is not yet complete.

    The number is 0 for other names.
    """
    base = re.escape(os.path.basename(result))
    found = re.fullmatch(rf"{base}\.tasks-([1-9][0-9]*)(\.partial-[0-9a-f]+)?", name)
    return (int(found[1]), found[2] is not None) if found else (0, False)


def _summary(folder: str) -> dict[str, list[Any]]:
    """The size of each file of a folder, and the hash of its content if it is small."""
    summary = {}
    for name, size in _sizes(folder).items():
        digest = None
        if size <= _MOST_HASHED:
            with open(os.path.join(folder, name), "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        summary[name] = [size, digest]
    return summary


def _sizes(folder: str) -> dict[str, int]:
    names = sorted(os.listdir(folder))
    return {name: os.path.getsize(os.path.join(folder, name)) for name in names}


def _read(path: str) -> Any:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _write(path: str, value: Mapping[str, Any]) -> None:
    atomic_files.write_atomically(path, json.dumps(value).encode())
