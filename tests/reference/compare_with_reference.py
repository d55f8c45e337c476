"""Compares the network with the reference's recorded numbers.

  ./bazelw run //tests/reference:compare_with_reference -- --reference=FILE.npz --checkpoint=CKPT

Prints the largest difference of each group of numbers and its bound, and exits with status 1 if a
bound is exceeded. The numbers were recorded from the network trained with TensorFlow 1's tools:
losses, moving statistics, quantisation ranges, gradients, embeddings, logits and predictions, float
and quantised.
"""

import dataclasses
import math
import os
import zipfile
from collections.abc import Iterable, Mapping
from typing import NamedTuple

# The recording was made without oneDNN, which would change the rounding of fake quantisation.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import third_party.tensorflow.quiet  # noqa: E402, F401

# isort: split
import numpy as np  # noqa: E402

from classification.base import runner
from imprinting.base import path_flags, program
from tests.reference.reference_setting import Setting

_REFERENCE = path_flags.define("reference", "", "Recorded numbers, an .npz file.")
_CHECKPOINT = path_flags.define(
    "checkpoint", "", "Prefix of the checkpoint that the base's weights were taken from."
)


@dataclasses.dataclass(frozen=True)
class Group:
    """Numbers that share a bound.

    Attributes:
      name: the name to print.
      prefixes: the beginnings of the numbers' names, after `float/` or `quant/`.
      bound: the bound of the largest difference.
      relative: whether differences are divided by the recorded tensor's largest value.
      share: the share of each tensor's numbers that must be within the bound.
    """

    name: str
    prefixes: tuple[str, ...]
    bound: float
    relative: bool
    share: float = 1.0


# The comment after each bound is the largest difference that was measured: without and with oneDNN,
# with one and two threads, with all of the processor's instructions and with only AVX2 or SSE4.1,
# and on a processor of another manufacturer. The bounds of float networks are about two to six
# times that difference. Those of quantised networks, in which a single rounding can matter, are at
# least a third larger than it.
#
# An operation in float32 has a relative rounding error of u = 6e-8. The error of a sum of n numbers
# is about sqrt(n) u, and grows relatively if the terms cancel:
# - moving statistics use 0.0003 of a batch's statistics, so little more than their own four
#   rounding errors remains: 1.4 u;
# - losses, embedding, logits and predictions accumulate the errors of 29 layers: 13 u to 48 u;
# - gradients of the head are sums whose terms mostly cancel: 350 u;
# - in lower layers, the gradient of a Relu6 is 0 or 1. If an activation is nearly 0 or 6, a
#   rounding error decides which. This affects one or two of the 256 channels of Conv2d_13, next to
#   the head, and all gradients of the first layer.
#
# With fake quantisation, a value near the middle between two quanta is rounded up or down, which
# changes it by 1/255 of its range, and changes everything that follows. This is rare in the first
# layers, so their statistics and ranges distinguish a wrong network from other rounding.
# reference_mutants.py has wrong networks, each of which exceeds a bound at least tenfold.
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
        # Nearly as large as the gradients, so this checks little more than that they are finite.
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
    """Returns the largest absolute difference, divided by the largest recorded value if relative.

    It is infinite if shapes differ or if a number is not finite.

    Args:
      ours: numbers, any shape.
      recorded: numbers, the same shape.
      relative: whether to divide.
      share: the share of the numbers to consider, those with the smallest differences.
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
    """The largest difference of a group, the tensor that has it, and how many were compared."""

    group: Group
    difference: float
    name: str
    compared: int


def worst_of_groups(
    ours: Mapping[str, np.ndarray], recorded: Mapping[str, np.ndarray], groups: Iterable[Group]
) -> list[Worst]:
    """Returns the largest difference of each group.

    A tensor belongs to the first group that has a prefix of its name, and to all others with the
    same prefixes. The difference is infinite for a recorded tensor that `ours` lacks, and for a
    group without tensors.

    Raises:
      ValueError: if a recorded tensor belongs to no group.
    """
    found: dict[Group, list[tuple[float, str]]] = {group: [] for group in groups}
    for name, value in recorded.items():
        prefixes = next((g.prefixes for g in found if name.startswith(g.prefixes)), None)
        if prefixes is None:
            raise ValueError(f"expected a group for each recorded tensor, got none for {name}")
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
      ValueError: if it is not an `.npz` file of numbers.
      OSError: if it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"expected an .npz file of numbers, got {path}: {error}") from error


def recorded_of(recording: Mapping[str, np.ndarray], tag: str) -> dict[str, np.ndarray]:
    """Returns the recorded results of `float` or `quant`, by their names without that prefix."""
    return {k.removeprefix(tag + "/"): recording[k] for k in recording if k.startswith(tag + "/")}


def measure(recording: Mapping[str, np.ndarray], checkpoint: str, tag: str) -> list[Worst]:
    """Runs the network with the recording's inputs, and compares.

    Args:
      recording: the result of `read_recording`.
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
    """Compares the files that the flags name; raises a ValueError if a bound is exceeded."""
    program.require("reference", "checkpoint")
    recording = read_recording(_REFERENCE.value)
    print(f"{'':6}{'':34}{'count':>6}{'worst':>12}{'bound':>10}")
    if not all([show(tag, measure(recording, _CHECKPOINT.value, tag)) for tag in GROUPS]):
        raise ValueError("expected all differences within their bounds, got larger ones, see above")
    print("All differences are within their bounds.")


if __name__ == "__main__":
    runner.run(main)
