r"""Measures each step from a checkpoint to a checked .tflite.

  ./bazelw run //tests/benchmarks:freeze_to_tflite
  ./bazelw run //tests/benchmarks:freeze_to_tflite -- --checkpoint=CKPT --build

Prints for each step the time of its first run in a process, the median of --runs more runs, and the
peak memory of its process, including Python, TensorFlow (`imports`) and its input. Freezing and
folding are compared with TensorFlow's own Python tools, in the same run, from and to bytes. With
--build, the target frozen_tflite is built in the workspace three times: all actions run, except
that which samples images; those that depend on the checkpoint run; no action runs.

By default, the network is quantised, with 1001 classes, 224 x 224 pixels and depth multiplier 1. It
is not trained; its ranges and class vectors come from the images of the check. Each measurement
with a limit says whether the limit is met; the exit status is 0 in either case.
"""

import json
import os
import sys
import tempfile

from absl import flags

from imprinting.base import path_flags, program
from tests.benchmarks import measuring, steps, target_build
from tests.benchmarks.measuring import Measured

_CHECKPOINT = path_flags.define(
    "checkpoint",
    "",
    "Prefix of a checkpoint to measure with. If there is no model.json next to it, the other flags "
    "describe its network; it may be a published checkpoint of tf-slim. Default: a network that is "
    "made for the measurement.",
)
_RUNS = flags.DEFINE_integer("runs", 5, "Runs of each step after the first.", lower_bound=1)
_BUILD = flags.DEFINE_bool(
    "build",
    False,
    "Also build frozen_tflite. The first of these builds compiles the C++ code again, and so does "
    "the next build after the measurement.",
)
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 224, "Pixels.")
_NUM_CLASSES = flags.DEFINE_integer("num_classes", 1001, "Classes.")
_DEPTH_MULTIPLIER = flags.DEFINE_float("depth_multiplier", 1.0, "Of the base's channels.")

# Limits in seconds.
_MOST_FREEZE_AND_FOLD = 0.15
_MOST_COLD = 60.0
_MOST_UNCHANGED = 1.0

# TensorFlow's step -> our step that it is compared with, and a description.
_COMPARED = {
    "freeze_graph": (
        "freeze",
        "tensorflow.python.tools.freeze_graph.freeze_graph_with_def_protos, graph and checkpoint "
        "to bytes, as ours",
    ),
    "convert_variables": (
        "freeze",
        "tf.compat.v1.graph_util.convert_variables_to_constants, with graph and variables already "
        "in memory",
    ),
    "transform_graph": (
        "fold",
        "TensorFlow's TransformGraph from Python (its wheel's _pywrap_transform_graph), "
        "strip_unused_nodes fold_constants, with exclude_op for fake-quant nodes: bytes to bytes, "
        "the same nodes as ours",
    ),
    "optimize_for_inference": (
        "fold",
        "tensorflow.python.tools.optimize_for_inference_lib, bytes to bytes: it strips nodes, and "
        "does not fold constants such as kernels' norms",
    ),
}


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Returns rows as text, with the first column aligned left and the others right."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [heads, *rows]
    )


def verdict(what: str, value: float, most: float, unit: str = " s") -> str:
    """Returns a sentence that says whether a limit is met."""
    met = "met" if value <= most else "missed"
    return f"{what}: {value:.3g}{unit}, at most {most:g}{unit}: {met}"


def step_lines(measured: dict[str, Measured], runs: int) -> list[str]:
    """Returns the lines to print for our steps and TensorFlow's, with ratios and limits."""
    heads = ["step", "first run", f"median of {runs}", "peak memory"]
    rows = [
        [
            name,
            f"{figures.first:.3f} s",
            # Later runs import nothing.
            "" if name == "imports" else f"{figures.median:.3f} s",
            f"{figures.peak / 2**20:,.0f} MiB",
        ]
        for name, figures in measured.items()
    ]
    lines = [table(heads, rows), "", "Ours / TensorFlow's, of medians and of first runs:"]
    for theirs, (ours, what) in _COMPARED.items():
        a, b = measured[ours], measured[theirs]
        ratios = f"{a.median / b.median:.2f} and {a.first / b.first:.2f}"
        lines.append(f"  {ours} / {theirs}: {ratios} ({what})")
    median = measured["freeze"].median + measured["fold"].median
    first = measured["freeze"].first + measured["fold"].first
    tensorflow = measured["freeze_graph"].median + measured["transform_graph"].median
    return [
        *lines,
        "",
        verdict("freeze + fold, medians", median, _MOST_FREEZE_AND_FOLD),
        verdict("freeze + fold, first runs", first, _MOST_FREEZE_AND_FOLD),
        verdict("freeze + fold / freeze_graph + transform_graph", median / tensorflow, 1, unit=""),
    ]


def build_lines(builds: dict[str, target_build.Build]) -> list[str]:
    """Returns the lines to print for the builds of the target, with their limits."""
    limits = {
        "all cold": _MOST_COLD,
        "checkpoint changed": _MOST_COLD,
        "nothing changed": _MOST_UNCHANGED,
    }
    return [
        f"{verdict('frozen_tflite, ' + name, build.seconds, limits[name])} ({build.processes})"
        for name, build in builds.items()
    ]


def main() -> None:
    """Measures, and prints the results."""
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY", "")
    if _BUILD.value and not workspace:
        raise ValueError("expected to be started by ./bazelw run, which --build needs")
    config = {
        "image_size": _IMAGE_SIZE.value,
        "num_classes": _NUM_CLASSES.value,
        "depth_multiplier": _DEPTH_MULTIPLIER.value,
        "quantize": True,
    }
    checkpoint = os.path.abspath(_CHECKPOINT.value) if _CHECKPOINT.value else ""
    print("Preparing a network …", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.join(scratch, "network")
        measuring.run(
            "--task=prepare", f"--folder={folder}", f"--checkpoint={checkpoint}",
            f"--network={json.dumps(config)}",
        )  # fmt: skip
        measured = {}
        for name in steps.STEPS:
            print(f"Measuring {name} …", file=sys.stderr)
            measured[name] = measuring.step(name, folder, _RUNS.value)
        print("\n".join(step_lines(measured, _RUNS.value)))
        if _BUILD.value:
            print("Building //:frozen_tflite …", file=sys.stderr)
            copies = os.path.join(scratch, "copies")
            os.mkdir(copies)
            checkpoint = checkpoint or os.path.join(folder, steps.CHECKPOINT)
            arguments = []
            if not os.path.exists(os.path.join(os.path.dirname(checkpoint), "model.json")):
                arguments = [f"--//:{k}={str(value).lower()}" for k, value in config.items()]
            builds = target_build.measure(workspace, checkpoint, copies, arguments)
            print("\n".join(build_lines(builds)))


if __name__ == "__main__":
    program.run(main, user_errors=(RuntimeError,))
