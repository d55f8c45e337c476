"""Compares the network with the reference's recorded numbers.

  ./bazelw run //tests:compare_with_reference -- --reference=FILE.npz --checkpoint=CKPT

Prints the worst difference of each group of numbers beside its bound, and exits
with 1 where one is exceeded. The recorded numbers are those of the network trained
by TensorFlow 1's tools: losses, moving statistics, quantisation ranges, gradients,
embeddings, logits and predictions, float and quantised.
"""

import dataclasses
import os
import zipfile
from collections.abc import Mapping

# The recording was made with it off; with fake quantisation, roundings flip otherwise.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import third_party.tensorflow.quiet  # noqa: E402, F401

# isort: split
import numpy as np  # noqa: E402

from classification import program  # noqa: E402
from tests.reference_setting import Setting  # noqa: E402
from transforms import path_flags

_REFERENCE = path_flags.define("reference", "", "Recorded numbers, an .npz file.")
_CHECKPOINT = path_flags.define(
    "checkpoint", "", "Prefix of the checkpoint that the base's weights were taken from."
)


@dataclasses.dataclass(frozen=True)
class Group:
    """Numbers that share a bound.

    Attributes:
      name: for people.
      prefixes: what the numbers' names start with, behind `float/` or `quant/`.
      bound: on the largest difference.
      relative: whether differences are divided by the recorded tensor's largest value.
    """

    name: str
    prefixes: tuple[str, ...]
    bound: float
    relative: bool


_FIRST = "grad/MobilenetV1/Conv2d_0/"
_RANGES = ("after/MobilenetV1/MobilenetV1/", "after/MobilenetV1/Logits/")
_FLOAT = (
    Group("losses", ("losses",), 1e-5, True),
    Group("gradients of the first layer", (_FIRST,), 2e-3, True),
    Group("other gradients", ("grad/",), 1e-5, True),
    Group("moving statistics", ("after/",), 1e-5, True),
    Group("embedding", ("eval_embedding/",), 1e-5, True),
    Group("logits", ("eval_logits/",), 1e-5, True),
    Group("predictions", ("eval_predictions/",), 1e-5, True),
)
_QUANT = (
    Group("losses", ("losses",), 0.01, False),
    Group("gradients of the first layer", (_FIRST,), 0.05, False),
    Group("other gradients", ("grad/",), 0.001, False),
    Group("ranges", _RANGES, 0.02, True),
    Group("moving statistics", ("after/",), 1e-4, True),
    Group("embedding", ("eval_embedding/",), 0.005, False),
    Group("logits", ("eval_logits/",), 0.05, False),
    Group("predictions", ("eval_predictions/",), 0.005, False),
)


def difference(ours: np.ndarray, recorded: np.ndarray, *, relative: bool) -> float:
    """The largest absolute difference, divided by the largest recorded value if relative.

    It is infinite where shapes differ or where either has a number that is not finite.
    """
    if ours.shape != recorded.shape:
        return float("inf")
    ours, recorded = ours.astype(np.float64), recorded.astype(np.float64)
    worst = float(np.max(np.abs(ours - recorded), initial=0.0))
    if not np.isfinite(worst):
        return float("inf")
    if not relative or worst == 0:
        return worst
    scale = float(np.max(np.abs(recorded), initial=0.0))
    return worst / scale if scale else float("inf")


def worst_of_groups(
    ours: Mapping[str, np.ndarray], recorded: Mapping[str, np.ndarray], groups: tuple[Group, ...]
) -> list[tuple[Group, float, str, int]]:
    """Each group with its worst difference, the name of what has it, and how many were compared.

    A number belongs to the first group that has a prefix of its name. One that was
    recorded and that we lack differs by infinity, and so does a group with none.

    Raises:
      ValueError: if a recorded number belongs to no group.
    """
    found: dict[Group, list[tuple[float, str]]] = {group: [] for group in groups}
    for name, value in recorded.items():
        group = next((g for g in groups if name.startswith(g.prefixes)), None)
        if group is None:
            raise ValueError(f"no bound is known for the recorded {name}")
        worst = difference(ours[name], value, relative=group.relative) if name in ours else np.inf
        found[group].append((worst, name))
    return [
        (group, *max(values, default=(np.inf, "nothing recorded")), len(values))
        for group, values in found.items()
    ]


def read_recording(path: str) -> dict[str, np.ndarray]:
    """Reads an `.npz` file.

    Raises:
      ValueError: if it is none.
      OSError: if it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"expected an .npz file of numbers, got {path}: {error}") from error


def compare(recording: Mapping[str, np.ndarray], checkpoint: str, tag: str) -> bool:
    """Prints the table of `float` or `quant`; returns whether every bound holds.

    Args:
      recording: what `read_recording` returned.
      checkpoint: prefix of the checkpoint that the base's weights come from.
      tag: which of the two.

    Raises:
      ValueError: if the recording or the checkpoint lacks what is needed.
      FileNotFoundError: if there is no such checkpoint.
    """
    recorded = {
        k.removeprefix(tag + "/"): recording[k] for k in recording if k.startswith(tag + "/")
    }
    names = [name.removeprefix("grad/") for name in recorded if name.startswith("grad/")]
    eval_batches = sum(name.startswith("eval_logits/") for name in recorded)
    setting = Setting(recording, checkpoint, quantize=tag == "quant")
    ours = setting.run(names, eval_batches=eval_batches)
    rows = worst_of_groups(ours, recorded, _QUANT if tag == "quant" else _FLOAT)
    for group, worst, name, count in rows:
        print(
            f"{tag:6}{group.name:29}{count:6}{worst:12.2e}{group.bound:10.0e}"
            f" {'relative' if group.relative else 'absolute'}"
            f"  {'ok' if worst <= group.bound else 'EXCEEDED'}  {name}"
        )
    return all(worst <= group.bound for group, worst, _, _ in rows)


def main() -> None:
    """Compares, as the flags say; raises ValueError where a bound is exceeded."""
    program.require("reference", "checkpoint")
    recording = read_recording(_REFERENCE.value)
    print(f"{'':6}{'':29}{'count':>6}{'worst':>12}{'bound':>10}")
    if not all([compare(recording, _CHECKPOINT.value, tag) for tag in ("float", "quant")]):
        raise ValueError("a bound is exceeded, see above")
    print("Every bound holds.")


if __name__ == "__main__":
    program.run(main)
