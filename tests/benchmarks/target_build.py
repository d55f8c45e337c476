"""Measures `./bazelw build frozen_tflite`: a cold build, a changed checkpoint, and no change."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

from tests.benchmarks import measuring

# Variables of this process's launcher and of Python, which must not be passed to Bazel.
_NOT_FOR_BAZEL = re.compile("PYTHON|TF_|RUNFILES|TEST_|BAZELW_USER_DIRECTORY")


class Build(NamedTuple):
    """A build.

    Attributes:
      seconds: its time.
      processes: Bazel's text about how many processes ran.
    """

    seconds: float
    processes: str


def measure(
    workspace: str, checkpoint: str, folder: str, arguments: Sequence[str]
) -> dict[str, Build]:
    """Builds the target with copies of a checkpoint, each with one weight changed.

    The first build runs all actions, including compilations, except that which samples images,
    since a variable in their environment has changed. The second runs those that depend on the
    checkpoint, and the last runs none.

    Args:
      workspace: the folder of ./bazelw.
      checkpoint: a checkpoint's prefix; a model.json next to it is copied, too.
      folder: an empty folder for the copies.
      arguments: arguments of the build, such as --//:quantize.

    Raises:
      RuntimeError: if a build fails.
    """
    stamp = time.time_ns()
    everything = [f"--action_env=FREEZE_TO_TFLITE={stamp}"]
    builds = {}
    for number, name in enumerate(("all cold", "checkpoint changed", "nothing changed")):
        copy = os.path.join(folder, "model.ckpt")
        if name != "nothing changed":
            # Also different from earlier measurements, whose results Bazel would use.
            change = stamp // 1_000_000_000 % 1000 + number
            measuring.run(
                "--task=change", f"--checkpoint={checkpoint}", f"--prefix={copy}",
                f"--number={change}",
            )  # fmt: skip
            _copy_description(os.path.dirname(checkpoint), folder)
        builds[name] = _build(workspace, copy, [*everything, *arguments])
    return builds


def _copy_description(source: str, folder: str) -> None:
    path = os.path.join(source, "model.json")
    if os.path.exists(path):
        with open(path, "rb") as read, open(os.path.join(folder, "model.json"), "wb") as written:
            written.write(read.read())


def _build(workspace: str, checkpoint: str, arguments: Sequence[str]) -> Build:
    environment = {k: v for k, v in os.environ.items() if not _NOT_FOR_BAZEL.match(k)}
    start = time.monotonic()
    done = subprocess.run(
        ["./bazelw", "build", "frozen_tflite", *arguments],
        cwd=workspace,
        env=environment | {"CHECKPOINT": checkpoint},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seconds = time.monotonic() - start
    if done.returncode:
        raise RuntimeError(f"expected frozen_tflite to build, got:\n{done.stdout}")
    found = re.search(r"INFO: (\d+ process.*)", done.stdout)
    return Build(seconds, found[1].rstrip(".") if found else "")
