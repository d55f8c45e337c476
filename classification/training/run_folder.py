"""The folder of a training run: its lock, and the checkpoint to continue from."""

import contextlib
import dataclasses
import fcntl
import os
import socket
from collections.abc import Callable, Iterator

from classification.nets import checkpoints, model_config
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig

LOCK_FILE = "training.lock"


@contextlib.contextmanager
def lock(folder: str, say: Callable[[str], None]) -> Iterator[None]:
    """Locks a folder against other training runs while the context is open and the process lives.

    The lock is the operating system's, on a file that stays in the folder. So a process that was
    killed leaves no lock.

    Args:
      folder: the folder.
      say: called with a warning if the file system has no locks.

    Raises:
      BlockingIOError: if another process holds the lock.
      OSError: if the file cannot be written.
    """
    with open(os.path.join(folder, LOCK_FILE), "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            # Without an error number: with one, the system's own message would be shown.
            raise BlockingIOError(
                f"expected a folder in which no other training runs, got {folder}, in which "
                f"{holder} trains; wait until it ends, stop it, or name another --checkpoint_dir"
            ) from None
        except OSError as error:
            # Some network file systems have no locks; training there is still possible.
            say(f"Warning: {folder} cannot be locked against a second training: {error}")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


def check(folder: str, model: ModelConfig) -> None:
    """Checks that this network can be trained in a folder, which need not exist yet.

    Raises:
      NotADirectoryError: if the path is a file or leads through one.
      PermissionError: if nothing can be written there.
      ValueError: if the folder holds another network.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise NotADirectoryError(
            f"expected a folder for checkpoints, new or of an earlier run, got the file {folder}; "
            "name another --checkpoint_dir"
        )
    _check_writable(folder)
    known = model_config.read(folder)
    if known is None or dataclasses.replace(known, dataset=model.dataset) == model:
        return
    ours, theirs = dataclasses.asdict(model), dataclasses.asdict(known)
    differing = ", ".join(
        f"{name} {_short(theirs[name])}, not {_short(ours[name])}"
        for name in ours
        if ours[name] != theirs[name] and name != "dataset"
    )
    raise ValueError(
        f"expected the network to train in {os.path.join(folder, model_config.FILE_NAME)}, got "
        f"another: {differing}; name another --checkpoint_dir, or give the flags that this one "
        "was trained with"
    )


def newest_readable(folder: str, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest completely readable checkpoint in a folder; None if there are no checkpoints.

    Args:
      folder: the folder, which need not exist.
      say: called with a line for each newer checkpoint that cannot be read.

    Raises:
      ValueError: if there are checkpoints, and none can be read.
    """
    found = checkpoints.by_step(folder)
    for checkpoint in found:
        if checkpoint.damage is None:
            return checkpoint
        say(f"Warning: {checkpoint} is not complete and is skipped: {checkpoint.damage}")
    if found:
        raise ValueError(
            f"expected at least one readable checkpoint to continue from in {folder}, got "
            f"{len(found)} that cannot be read; name another --checkpoint_dir, or empty this one"
        )
    return None


def prepare(folder: str, model: ModelConfig, newest: Checkpoint | None) -> None:
    """Writes `model.json`, and makes the session find the checkpoint to continue from.

    Args:
      folder: the folder.
      model: the network.
      newest: the checkpoint to continue from, one of the folder's; None if there is none.

    Raises:
      OSError: if a file cannot be written.
    """
    model.write(folder)
    if newest is None:
        return
    found = checkpoints.by_step(folder)
    older = found[found.index(newest) :]
    names = [os.path.basename(checkpoint.prefix) for checkpoint in older[::-1]]
    checkpoints.write_state(folder, names)


def _check_writable(folder: str) -> None:
    there = os.path.abspath(folder)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise NotADirectoryError(
            f"expected a folder for checkpoints, got {folder}, and {there} is not a folder; name "
            "another --checkpoint_dir"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(
            f"expected a folder for checkpoints that can be written to, got {folder}, and nothing "
            f"can be written in {there}; name another --checkpoint_dir"
        )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
