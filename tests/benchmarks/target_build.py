"""How long `./bazelw build frozen_tflite` takes: everything anew, a changed checkpoint, nothing."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

from tests.benchmarks import measuring

# Of the launchers and of Python: Bazel, and what it runs, has its own.
_NOT_FOR_BAZEL = re.compile("PYTHON|TF_|RUNFILES|TEST_|BAZELW_USER_DIRECTORY")


class Build(NamedTuple):
    """A build.

    Attributes:
      seconds: what it took.
      processes: Bazel's line of how many processes ran, for people.
    """

    seconds: float
    processes: str


def measure(
    workspace: str, checkpoint: str, folder: str, arguments: Sequence[str]
) -> dict[str, Build]:
    """Builds the target with copies of a checkpoint, each with one weight changed.

    The first has all actions to run but the sampling of images, compilations included, since a
    variable in their environment has changed; the second those that depend on the checkpoint; the
    last none.

    Args:
      workspace: where ./bazelw is.
      checkpoint: a checkpoint's prefix; a model.json beside it is copied, too.
      folder: to work in, empty.
      arguments: for the build, such as --//:quantize.

    Raises:
      RuntimeError: if a build fails.
    """
    stamp = time.time_ns()
    everything = [f"--action_env=FREEZE_TO_TFLITE={stamp}"]
    builds = {}
    for number, name in enumerate(("all cold", "checkpoint changed", "nothing changed")):
        copy = os.path.join(folder, "model.ckpt")
        if name != "nothing changed":
            # Another than last time, too: Bazel would find what that has built.
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
        raise RuntimeError(f"expected frozen_tflite to build, but it does not:\n{done.stdout}")
    found = re.search(r"INFO: (\d+ process.*)", done.stdout)
    return Build(seconds, found[1].rstrip(".") if found else "")
