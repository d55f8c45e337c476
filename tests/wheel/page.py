"""Runs the commands of the page imprinting/edge_tpu.md that need no special hardware.

A block of the page is in `sh` or `python`. The word after that says what it needs: `setup` is the
installation, `compiled` needs what Google's compiler makes, and `hardware` cannot be run here.
"""

import pathlib
import re
import subprocess
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from tests import runfiles

_BLOCK = re.compile(r"```(sh|python) ?(\w*)\n(.*?)```", re.DOTALL)
_EXTRACTOR = "parts_extractor.tflite"
_COMPILED = "parts_extractor_edgetpu.tflite"


def write_photos(folder: pathlib.Path, *, count: int = 3) -> None:
    """Writes photos of a class that looks like nothing else, and one more, photo.jpg."""
    random = np.random.default_rng(0)
    (folder / "photos" / "my mug").mkdir(parents=True)
    for index in range(count + 1):
        stripes = np.zeros([240, 320, 3], np.uint8)
        stripes[:, index * 4 :: 40] = (250, 40, 160)
        stripes[index * 6 :: 60] = (40, 220, 250)
        noise = random.integers(0, 30, stripes.shape, np.uint8)
        name = f"photos/my mug/{index}.jpg" if index else "photo.jpg"
        Image.fromarray(np.maximum(stripes, noise)).save(folder / name)


def run(
    folder: pathlib.Path,
    environment: Mapping[str, str],
    compiler: Callable[[bytes], bytes],
    *,
    setup: bool,
) -> list[str]:
    """Runs the blocks, in order.

    Args:
      folder: where to run them, after `write_photos`.
      environment: the environment variables, with a PATH to `imprinting` and `python3`.
      compiler: makes a compiled extractor of one that is not compiled.
      setup: whether to run the installation, too.

    Returns:
      What each block printed.

    Raises:
      AssertionError: if a block fails.
    """
    text = runfiles.path("imprinting/edge_tpu.md").read_text()
    wanted = {"", "compiled"} | ({"setup"} if setup else set())
    script = ["set -e", f"cd '{folder}'"]
    printed: list[str] = []
    for language, kind, block in _BLOCK.findall(text):
        if kind not in wanted:
            continue
        extractor = folder / _EXTRACTOR
        if kind == "compiled" and not (folder / _COMPILED).exists():
            (folder / _COMPILED).write_bytes(compiler(extractor.read_bytes()))
        if language == "python":
            (folder / "block.py").write_text(block)
            block = "python3 block.py"
        # The installation activates the environment for the blocks after it.
        lines = [*script, block]
        if kind == "setup":
            script = [*script, ". venv/bin/activate"]
        done = subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{block}: {done.returncode} {done.stdout} {done.stderr}")
        printed.append(done.stdout)
    return printed
