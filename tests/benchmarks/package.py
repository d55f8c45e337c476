"""Measures the package: start-up, imprinting, memory, and classifying against the bare interpreter.

  ./bazelw run //tests/benchmarks:package

The wheel is installed into a temporary folder first. Programs are run in turns, in processes of
their own; times are medians, and memory is the peak of a process. Photos are classified in one
process, in turns with the bare interpreter of the same model, with one thread: decoded photos of
500 x 375 pixels, and the same ones as JPEG files.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import flags
from PIL import Image

from imprinting.base import program
from tests.wheel import installed, page

_RUNS = flags.DEFINE_integer("runs", 5, "Runs of each program.", lower_bound=1)

_CLASSIFY = """
import json, statistics, sys, time
import numpy as np
from PIL import Image
from ai_edge_litert import interpreter as litert
import imprinting
from imprinting.inference import default_model
from imprinting.photos.pixel_reader import PixelReader

path = sys.argv[1]
model = imprinting.load()
pixels = np.asarray(Image.open(path))
(image,) = PixelReader(model.image_size).read(pixels)
bare = litert.Interpreter(default_model.path(), num_threads=1)
bare.allocate_tensors()
(source,), (result,) = bare.get_input_details(), bare.get_output_details()

def run_bare():
    bare.set_tensor(source["index"], image[np.newaxis])
    bare.invoke()
    return bare.get_tensor(result["index"])

tasks = {
    "the bare interpreter": run_bare,
    "classify, pixels": lambda: model.classify(pixels),
    "classify, JPEG file": lambda: model.classify(path),
    "decoding the JPEG file": lambda: np.asarray(Image.open(path)),
}
times = {name: [] for name in tasks}
for number in range(220):
    for name, task in tasks.items():
        start = time.perf_counter()
        task()
        if number >= 20:
            times[name].append(time.perf_counter() - start)
print(json.dumps({name: statistics.median(found) for name, found in times.items()}))
"""


def run(environment: dict[str, str], folder: str, *arguments: str) -> tuple[float, int]:
    """Runs Python; returns the seconds that it took and its peak memory in bytes."""
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    # absl exits with 1 after --help.
    if child.returncode > ("--help" in arguments):
        raise RuntimeError(f"expected {arguments} to succeed, got status {child.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024


def main() -> None:
    """Measures, and prints tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        installed.install(installed.wheel(), str(folder / "site"))
        environment = os.environ | {"PYTHONPATH": installed.python_path(str(folder / "site"))}
        # Modules are compiled when they are first imported.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        page.write_photos(folder, count=5)
        imprint = ("imprint", "--images_dir=photos", "--keep_classes", "--output=mine.tflite")
        commands = {
            "imprinting --help": ("--help",),
            "imprinting imprint --help": ("imprint", "--help"),
            "imprinting classify --help": ("classify", "--help"),
            "imprinting imprint, 5 photos": imprint,
            "the same with --fit_embedding=never": (*imprint, "--fit_embedding=never"),
            "imprinting classify, 1 photo": ("classify", "photo.jpg"),
        }
        found: dict[str, list[tuple[float, int]]] = {command: [] for command in commands}
        for number in range(_RUNS.value + 1):
            for command, arguments in commands.items():
                measured = run(environment, name, "-m", "imprinting", *arguments)
                found[command] += [measured] * (number > 0)
        print("| program | s | peak memory, MB |\n| --- | --- | --- |")
        for command, several in found.items():
            seconds, peak = (statistics.median(values) for values in zip(*several, strict=True))
            print(f"| `{command}` | {seconds:.2f} | {peak / 1e6:.0f} |")
        photo = Image.fromarray(np.asarray(Image.open(folder / "photo.jpg").resize((500, 375))))
        photo.save(folder / "large.jpg", quality=90)
        done = subprocess.run(
            [sys.executable, "-c", _CLASSIFY, "large.jpg"],
            cwd=name,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        times = json.loads(done.stdout.splitlines()[-1])
        bare = times["the bare interpreter"]
        print("\n| in one process | ms | of the bare interpreter |\n| --- | --- | --- |")
        for task, seconds in times.items():
            print(f"| {task} | {1000 * seconds:.2f} | {seconds / bare:.2f} |")


if __name__ == "__main__":
    program.run(main, user_errors=(RuntimeError,))
