"""Compares the network with the reference's recorded numbers.

  ./bazelw run //tests/reference:compare_with_reference -- --reference=FILE.npz --checkpoint=CKPT

Prints the worst difference of each group of numbers beside its bound, and exits
with 1 where one is exceeded. The recorded numbers are those of the network trained
by TensorFlow 1's tools: losses, moving statistics, quantisation ranges, gradients,
embeddings, logits and predictions, float and quantised.
"""

import dataclasses
import math
import os
import zipfile
from collections.abc import Iterable, Mapping
from typing import NamedTuple

# The recording was made with it off; with fake quantisation, roundings flip otherwise.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import third_party.tensorflow.quiet  # noqa: E402, F401

# isort: split
import numpy as np  # noqa: E402

from classification.base import runner
from tests.reference.reference_setting import Setting
from transforms.base import path_flags, program

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
      share: of each tensor's numbers that the bound holds for; the rest may differ by more.
    """

    name: str
    prefixes: tuple[str, ...]
    bound: float
    relative: bool
    share: float = 1.0


# Behind each bound, the largest difference that was measured: of oneDNN off and on, with one thread
# and with two, with the processor's own instructions and with AVX2's and SSE4.1's alone, and of
# another make of processor. Bounds of float networks are about two to six times that; those of
# quantised ones, of which one rounding may decide, at least a third above it.
#
# One operation in float32 rounds by u = 6e-8, relatively. Sums of n numbers add up to about
# sqrt(n) u, and cancellation divides that by what is left of the sum:
# - moving statistics take 0.0003 of a batch's, so that little more than their own four roundings is
#   left of its sums' errors: 1.4 u;
# - losses, embedding, logits and predictions are what 29 layers make of theirs: 13 u to 48 u;
# - gradients of the head are sums of which much cancels: 350 u;
# - further down, a Relu6's gradient is 0 or 1. Where an activation is within rounding of 0 or 6, it
#   may be either, whatever u is. In Conv2d_13, next to the head, one or two of 256 channels show
#   it; in the first layer, all that lies behind it does.
#
# With fake quantisation, a value within rounding of the middle between two quanta falls either way,
# by 1/255 of its range, and what follows differs by that. In the first layers hardly any does:
# their statistics and ranges tell a network that is wrong from one that rounds otherwise.
# reference_mutants.py has such networks: each exceeds a bound at least tenfold.
_FIRST = "grad/MobilenetV1/Conv2d_0/"
_LAST = "grad/MobilenetV1/Conv2d_13_pointwise/"
_HEAD = "grad/MobilenetV1/Logits/"
_RANGES = ("after/MobilenetV1/MobilenetV1/", "after/MobilenetV1/Logits/")
_FIRST_LAYERS = tuple(
    f"after/MobilenetV1/{scope}Conv2d_{layer}"
    for scope in ("", "MobilenetV1/")
    for layer in ("0/", "1_", "2_", "3_")
)
GROUPS = {
    "float": (
        Group("losses", ("losses",), 5e-6, True),  # 7.7e-7
        Group("gradients of the first layer", (_FIRST,), 1e-2, True),  # 3.1e-3
        Group("gradients of Conv2d_13", (_LAST,), 1e-2, True),  # 2.9e-3
        Group("99 % of these", (_LAST,), 1e-4, True, share=0.99),  # 1.6e-5
        Group("gradients of the head", (_HEAD,), 5e-5, True),  # 2.1e-5
        Group("moving statistics", ("after/",), 5e-7, True),  # 8.1e-8
        Group("embedding", ("eval_embedding/",), 1e-5, True),  # 2.9e-6
        Group("logits", ("eval_logits/",), 1e-5, True),  # 2.4e-6
        Group("predictions", ("eval_predictions/",), 5e-6, True),  # 1.6e-6
    ),
    "quant": (
        Group("losses", ("losses",), 0.01, False),  # 6.3e-3
        # Nearly as large as the gradients: it tells little more than that they are numbers.
        Group("gradients of the first layer", (_FIRST,), 0.05, False),  # 3.7e-2
        Group("other gradients", ("grad/",), 0.004, False),  # 1.6e-3
        Group("ranges, statistics up to Conv2d_3", _FIRST_LAYERS, 5e-7, True),  # 1.7e-7
        Group("other ranges", _RANGES, 0.02, True),  # 1.2e-2
        Group("other moving statistics", ("after/",), 5e-5, True),  # 1.8e-5
        Group("embedding", ("eval_embedding/",), 0.005, False),  # 3.1e-3
        Group("logits", ("eval_logits/",), 0.05, False),  # 2.9e-2
        Group("predictions", ("eval_predictions/",), 0.005, False),  # 2.0e-3
    ),
}


def difference(
    ours: np.ndarray, recorded: np.ndarray, *, relative: bool, share: float = 1.0
) -> float:
    """The largest absolute difference, divided by the largest recorded value if relative.

    It is infinite where shapes differ or where either has a number that is not finite.

    Args:
      ours: any numbers.
      recorded: as many.
      relative: whether to divide.
      share: of the numbers, the nearest of which are looked at.
    """
    if ours.shape != recorded.shape:
        return float("inf")
    ours, recorded = ours.astype(np.float64), recorded.astype(np.float64)
    differences = np.sort(np.abs(ours - recorded), axis=None)
    if not np.all(np.isfinite(differences)):
        return float("inf")
    worst = float(differences[math.ceil(share * differences.size) - 1]) if differences.size else 0.0
    if not relative or worst == 0:
        return worst
    scale = float(np.max(np.abs(recorded), initial=0.0))
    return worst / scale if scale else float("inf")


class Worst(NamedTuple):
    """The worst difference of a group, the name of what has it, and how many were compared."""

    group: Group
    difference: float
    name: str
    compared: int


def worst_of_groups(
    ours: Mapping[str, np.ndarray], recorded: Mapping[str, np.ndarray], groups: Iterable[Group]
) -> list[Worst]:
    """The worst of each group.

    A number belongs to the first group that has a prefix of its name, and to all others with the
    same prefixes. One that was recorded and that we lack differs by infinity, and so does a group
    with none.

    Raises:
      ValueError: if a recorded number belongs to no group.
    """
    found: dict[Group, list[tuple[float, str]]] = {group: [] for group in groups}
    for name, value in recorded.items():
        prefixes = next((g.prefixes for g in found if name.startswith(g.prefixes)), None)
        if prefixes is None:
            raise ValueError(f"no bound is known for the recorded {name}")
        for group in found:
            if group.prefixes == prefixes:
                worst = np.inf
                if name in ours:
                    worst = difference(
                        ours[name], value, relative=group.relative, share=group.share
                    )
                found[group].append((worst, name))
    return [
        Worst(group, *max(values, default=(np.inf, "nothing recorded")), len(values))
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


def recorded_of(recording: Mapping[str, np.ndarray], tag: str) -> dict[str, np.ndarray]:
    """The recorded results of `float` or `quant`, by names without that."""
    return {k.removeprefix(tag + "/"): recording[k] for k in recording if k.startswith(tag + "/")}


def measure(recording: Mapping[str, np.ndarray], checkpoint: str, tag: str) -> list[Worst]:
    """Runs the network in the recording's setting, and compares.

    Args:
      recording: what `read_recording` returned.
      checkpoint: prefix of the checkpoint that the base's weights come from.
      tag: `float` or `quant`.

    Raises:
      ValueError: if the recording or the checkpoint lacks what is needed.
      FileNotFoundError: if there is no such checkpoint.
    """
    recorded = recorded_of(recording, tag)
    names = [name.removeprefix("grad/") for name in recorded if name.startswith("grad/")]
    eval_batches = sum(name.startswith("eval_logits/") for name in recorded)
    setting = Setting(recording, checkpoint, quantize=tag == "quant")
    ours = setting.run(names, eval_batches=eval_batches)
    return worst_of_groups(ours, recorded, GROUPS[tag])


def show(tag: str, worst: Iterable[Worst]) -> bool:
    """Prints the table of `float` or `quant`; returns whether every bound holds."""
    all_hold = True
    for group, value, name, compared in worst:
        holds = value <= group.bound
        all_hold = all_hold and holds
        print(
            f"{tag:6}{group.name:34}{compared:6}{value:12.2e}{group.bound:10.0e}"
            f" {'relative' if group.relative else 'absolute'}"
            f"  {'ok' if holds else 'EXCEEDED'}  {name}"
        )
    return all_hold


def main() -> None:
    """Compares, as the flags say; raises ValueError where a bound is exceeded."""
    program.require("reference", "checkpoint")
    recording = read_recording(_REFERENCE.value)
    print(f"{'':6}{'':34}{'count':>6}{'worst':>12}{'bound':>10}")
    if not all([show(tag, measure(recording, _CHECKPOINT.value, tag)) for tag in GROUPS]):
        raise ValueError("a bound is exceeded, see above")
    print("Every bound holds.")


if __name__ == "__main__":
    runner.run(main)
