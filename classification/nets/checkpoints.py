"""Finds checkpoints: by a path, in a folder, the newest one."""

import glob
import os
import re
from collections.abc import Sequence

import tensorflow.compat.v1 as tf

from classification.nets.checkpoint import Checkpoint, shorten
from imprinting.base import atomic_files

# Where training puts its networks if no folder is named, relative to the user's current folder.
DEFAULT_ROOT = "models"

_STATE = "checkpoint"


def find(path: str) -> Checkpoint:
    """The checkpoint that a path refers to.

    Args:
      path: a checkpoint's prefix, one of its files, or a folder. A folder stands for its newest
        checkpoint according to the file `checkpoint` in it, or else for its only checkpoint.

    Raises:
      FileNotFoundError: if there is no checkpoint.
      ValueError: if the folder has several, and nothing says which is the newest.
    """
    if os.path.isdir(path):
        return Checkpoint(_newest(path), path)
    if os.path.basename(path) == _STATE and os.path.isfile(path):
        return find(os.path.dirname(path) or ".")
    prefix = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path)
    if not tf.train.checkpoint_exists(prefix):
        raise FileNotFoundError(
            f"expected a checkpoint or a folder of checkpoints, got {path}: "
            "there is no such folder, and no such checkpoint (the files are named PATH.index, …)"
        )
    return Checkpoint(prefix)


def _newest(path: str) -> str:
    """The prefix of a folder's newest checkpoint."""
    named = _named(path)
    # In a folder that was moved or copied, the file may still have the folder's old absolute name,
    # perhaps that of another system. It then means the checkpoint in the folder itself.
    for name in named:
        for prefix in (os.path.join(path, re.split(r"[/\\]", name)[-1]), os.path.join(path, name)):
            if tf.train.checkpoint_exists(prefix):
                return prefix
    names = sorted(
        name.removesuffix(".index") for name in os.listdir(path) if name.endswith(".index")
    )
    if not names:
        told = (
            f"the file named `{_STATE}` names {named[0]}"
            if named
            else (
                "a checkpoint is files NAME.index and NAME.data-…, and a file named "
                f"`{_STATE}` names the newest"
            )
        )
        raise FileNotFoundError(
            f"expected a checkpoint in the folder {path}; there is none ({told})"
        )
    if len(names) > 1:
        exists = os.path.isfile(os.path.join(path, _STATE))
        got = f", got one that names {named[0] if named else 'none'}" if exists else ""
        raise ValueError(
            f"expected a file named `{_STATE}` in the folder {path} that says which of its "
            f"{len(names)} checkpoints is the newest{got}; name the one that you mean: "
            + shorten(tuple(names))
        )
    return os.path.join(path, names[0])


def _named(path: str) -> list[str]:
    """The possible names of the newest checkpoint, from a folder's state file; may be empty."""
    try:
        with open(os.path.join(path, _STATE), encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return []
    state = tf.train.get_checkpoint_state(path)
    named = [] if state is None else [state.model_checkpoint_path]
    # Also the name as it is in the text: a Windows path that was edited by hand has single
    # backslashes, which TensorFlow reads as escapes.
    return named + re.findall(r"(?m)^\s*model_checkpoint_path\s*:\s*[\"'](.*)[\"']\s*$", text)


def folder(path: str) -> str:
    """The folder of a path that `find` takes: where its `model.json` is."""
    return path if os.path.isdir(path) else os.path.dirname(path) or "."


def newest_model(root: str = DEFAULT_ROOT) -> str:
    """The folder below root whose checkpoint is the newest.

    Raises:
      FileNotFoundError: if none below root has a checkpoint.
    """
    states = glob.glob(os.path.join(glob.escape(root), "*", _STATE))
    if not states:
        raise FileNotFoundError(
            f"expected a trained network in a folder below {os.path.abspath(root)}; there is "
            "none: train one first, or name one with --checkpoint_dir"
        )
    return os.path.dirname(max(states, key=lambda path: (os.stat(path).st_mtime_ns, path)))


def by_step(path: str) -> list[Checkpoint]:
    """The checkpoints that training left in a folder, the newest step first."""
    if not os.path.isdir(path):
        return []
    numbered = [re.fullmatch(r"(.+-(\d+))\.index", name) for name in os.listdir(path)]
    found = sorted(((int(match[2]), match[1]) for match in numbered if match), reverse=True)
    return [Checkpoint(os.path.join(path, name)) for _, name in found]


def newest_step(path: str) -> int | None:
    """The step of the newest checkpoint that training left in a folder, as its name says."""
    found = by_step(path)
    return int(found[0].prefix.rpartition("-")[2]) if found else None


def write_state(folder: str, names: Sequence[str]) -> None:
    """Writes the file that lists a folder's checkpoints.

    Args:
      folder: the folder.
      names: the checkpoints' names without the folder, the oldest first.

    Raises:
      OSError: if it cannot be written.
    """
    lines = [f'model_checkpoint_path: "{names[-1]}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    atomic_files.write_atomically(os.path.join(folder, _STATE), ("\n".join(lines) + "\n").encode())
