"""Finding checkpoints, and restoring what they hold of a network.

A checkpoint that lacks a variable, or has it in another shape, is never passed over
in silence: what was restored is counted, and what was not is named.
"""

import dataclasses
import glob
import os
import re
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from transforms.base import atomic_files

# What training leaves its networks in when no folder is named, below the user's own.
DEFAULT_ROOT = "models"

_STATE = "checkpoint"
_SHOWN = 5
# Those of kernels and of activations, as this project and the reference name them.
_RANGE = re.compile(r"/(weights|act|activation_\w+)_quant/(min|max)$")
# What TensorFlow's reader raises, depending on what is wrong: it translates some by their texts.
_READ_ERRORS = (tf.errors.OpError, IndexError, RuntimeError, ValueError)


def find(path: str) -> str:
    """The prefix of the checkpoint that a path means.

    Args:
      path: a checkpoint's prefix, one of its files, or a folder, of which the newest
        checkpoint is meant, as the file `checkpoint` in it tells, or else the only one.

    Raises:
      FileNotFoundError: if there is no checkpoint.
      ValueError: if the folder has several, and nothing that tells the newest.
    """
    if os.path.isdir(path):
        return _newest(path)
    if os.path.basename(path) == _STATE and os.path.isfile(path):
        return _newest(os.path.dirname(path) or ".")
    prefix = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path)
    if not tf.train.checkpoint_exists(prefix):
        raise FileNotFoundError(
            f"expected a checkpoint or a folder of checkpoints, got {path}: "
            "there is no such folder, and no such checkpoint (the files are named PATH.index, …)"
        )
    return prefix


def _newest(path: str) -> str:
    """The prefix of a folder's newest checkpoint."""
    named = _named(path)
    # A folder that was moved or copied still has its old name in there, if it was absolute, and
    # perhaps one of another system; what lies in the folder itself is meant.
    for name in named:
        for prefix in (os.path.join(path, re.split(r"[/\\]", name)[-1]), os.path.join(path, name)):
            if tf.train.checkpoint_exists(prefix):
                return prefix
    names = sorted(
        name.removesuffix(".index") for name in os.listdir(path) if name.endswith(".index")
    )
    if not names:
        told = (
            f"the file named `{_STATE}` tells of {named[0]}"
            if named
            else (
                "a checkpoint is files NAME.index and NAME.data-…, and a file named "
                f"`{_STATE}` tells the newest"
            )
        )
        raise FileNotFoundError(
            f"expected a checkpoint in the folder {path}; there is none ({told})"
        )
    if len(names) > 1:
        exists = os.path.isfile(os.path.join(path, _STATE))
        got = f", got one that tells of {named[0] if named else 'none'}" if exists else ""
        raise ValueError(
            f"expected a file named `{_STATE}` in the folder {path} that tells which of its "
            f"{len(names)} checkpoints is the newest{got}; name the one that you mean: "
            + _some(tuple(names))
        )
    return os.path.join(path, names[0])


def _named(path: str) -> list[str]:
    """The newest checkpoint as a folder's state file names it, in one way or more, or in none."""
    try:
        with open(os.path.join(path, _STATE), encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return []
    state = tf.train.get_checkpoint_state(path)
    named = [] if state is None else [state.model_checkpoint_path]
    # As it stands there: edited by hand, Windows' paths have single backslashes, which mean
    # something else to TensorFlow.
    return named + re.findall(r"(?m)^\s*model_checkpoint_path\s*:\s*[\"'](.*)[\"']\s*$", text)


def folder(path: str) -> str:
    """The folder that a path, as `find` takes, means: where its `model.json` lies."""
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


def by_step(path: str) -> list[str]:
    """The prefixes of the checkpoints that training left in a folder, the newest step first."""
    if not os.path.isdir(path):
        return []
    numbered = [re.fullmatch(r"(.+-(\d+))\.index", name) for name in os.listdir(path)]
    found = sorted(((int(match[2]), match[1]) for match in numbered if match), reverse=True)
    return [os.path.join(path, name) for _, name in found]


def newest_step(path: str) -> int | None:
    """The step of the newest checkpoint that training left in a folder, as its name tells."""
    prefixes = by_step(path)
    return int(prefixes[0].rpartition("-")[2]) if prefixes else None


def write_state(folder: str, names: Sequence[str]) -> None:
    """Writes the file that tells a folder's checkpoints, by names without a folder, oldest first.

    Raises:
      OSError: if it cannot be written.
    """
    lines = [f'model_checkpoint_path: "{names[-1]}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    atomic_files.write_atomically(os.path.join(folder, _STATE), ("\n".join(lines) + "\n").encode())


def damage(prefix: str) -> str | None:
    """What keeps a checkpoint from being read to its end, checksums included; None: nothing."""
    try:
        reader = _open(prefix)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except _READ_ERRORS as error:
        return str(error).splitlines()[0]
    return None


def global_step(prefix: str) -> int | None:
    """The training step that a checkpoint was written at; None where it does not tell.

    Raises:
      ValueError: if the checkpoint cannot be read.
    """
    step = scalar(prefix, "global_step")
    return None if step is None else int(step)


def read(prefix: str, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The values of a checkpoint's variables, by name, each of the shape it has there.

    Raises:
      ValueError: if the checkpoint cannot be read, or lacks one of them.
    """
    reader = _open(prefix)
    try:
        return {name: np.asarray(reader.get_tensor(name)) for name in names}
    except _READ_ERRORS as error:
        raise _unreadable(prefix, error) from error


def shapes(prefix: str) -> dict[str, list[int]]:
    """The shapes of a checkpoint's variables, by name.

    Raises:
      ValueError: if the checkpoint cannot be read.
    """
    return _open(prefix).get_variable_to_shape_map()


def is_quantised(prefix: str) -> bool:
    """Whether a checkpoint holds quantisation ranges: whether its network is a quantised one.

    Raises:
      ValueError: if the checkpoint cannot be read.
    """
    return any(_RANGE.search(name) for name in shapes(prefix))


def scalar(prefix: str, name: str) -> float | None:
    """The value of a checkpoint's variable that is a single number; None where it lacks it.

    Raises:
      ValueError: if the checkpoint cannot be read.
    """
    reader = _open(prefix)
    try:
        return reader.get_tensor(name).item() if reader.has_tensor(name) else None
    except _READ_ERRORS as error:
        raise _unreadable(prefix, error) from error


def _open(prefix: str) -> tf.train.NewCheckpointReader:
    try:
        return tf.train.load_checkpoint(prefix)
    except _READ_ERRORS as error:
        raise _unreadable(prefix, error) from error


def _unreadable(prefix: str, error: Exception) -> ValueError:
    if "not an sstable" in str(error):
        return ValueError(
            f"{prefix} cannot be read as a checkpoint: it is a file of another kind, no sstable; "
            "name a checkpoint's prefix, or a folder of checkpoints"
        )
    return ValueError(f"{prefix} cannot be read as a checkpoint: {error}")


@dataclasses.dataclass(frozen=True)
class Restoration:
    """What a checkpoint gives to a graph's variables.

    Attributes:
      prefix: the checkpoint's.
      restored: names of variables that it has.
      missing: names of those that it lacks.
      mismatched: those that it has in another shape, as "NAME [shape], not [shape]".
      variables: the graph's variables that are restored.
      shapes: of all that the checkpoint holds, by name.
    """

    prefix: str
    restored: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]
    variables: tuple[tf.Variable, ...] = dataclasses.field(repr=False)
    shapes: dict[str, list[int]] = dataclasses.field(repr=False)

    def summary(self) -> str:
        """How many variables were restored and which were not, in a few lines."""
        total = len(self.restored) + len(self.missing) + len(self.mismatched)
        lines = [f"{self.prefix}: {len(self.restored)} of {total} variables restored"]
        if self.missing:
            lines.append(f"  {len(self.missing)} are not in it: {_some(self.missing)}")
        if self.mismatched:
            lines.append(
                f"  {len(self.mismatched)} have another shape in it: {_some(self.mismatched)}"
            )
        return "\n".join(lines)


def plan(prefix: str, variables: Iterable[tf.Variable]) -> Restoration:
    """Compares variables with what a checkpoint holds.

    Raises:
      ValueError: if the checkpoint cannot be read.
    """
    there = shapes(prefix)
    broken = damage(prefix)
    if broken:
        # A session that restores would find out, too, but with files written already.
        raise ValueError(
            f"{prefix} cannot be read as a checkpoint to its end: {broken}; copy it again, or take "
            "another"
        )
    found: list[tf.Variable] = []
    missing, mismatched = [], []
    for variable in sorted(variables, key=lambda v: v.op.name):
        name, shape = variable.op.name, variable.shape.as_list()
        if name not in there:
            missing.append(name)
        elif there[name] != shape:
            mismatched.append(f"{name} {there[name]}, not {shape}")
        else:
            found.append(variable)
    names = tuple(v.op.name for v in found)
    return Restoration(prefix, names, tuple(missing), tuple(mismatched), tuple(found), there)


def require_all(restoration: Restoration) -> None:
    """Raises ValueError, naming them, if a variable was missing or of another shape."""
    missing = restoration.missing
    if not missing and not restoration.mismatched:
        return
    hint = "are depth multiplier, number of classes and quantisation right?"
    if missing and all(re.search(r"_quant/m(in|ax)$", name) for name in missing):
        hint = (
            "it has no quantisation ranges, so it is a float network's: leave --quantize out, or "
            "fine-tune from it with --quantize first"
        )
    raise ValueError(
        "expected a checkpoint of this network, got one that does not hold all of it; "
        f"{hint}\n{restoration.summary()}"
    )


def require_base(restoration: Restoration) -> None:
    """Raises ValueError if nothing of the network's base was restored."""
    if not any(
        re.search(r"/Conv2d_\d+(_\w+)?/(depthwise_)?weights$", n) for n in restoration.restored
    ):
        raise ValueError(
            "expected a checkpoint to fine-tune from, got one that holds nothing of this "
            "network's base; is the depth multiplier right, and is it a MobileNet V1?\n"
            + restoration.summary()
        )


def _some(names: tuple[str, ...]) -> str:
    rest = len(names) - _SHOWN
    # The longest are moving averages' companions, which say the least.
    return ", ".join(sorted(names, key=len)[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
