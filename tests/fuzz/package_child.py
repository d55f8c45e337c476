"""Runs the package on changed files, in a process that may crash, hang or run out of memory.

For each file, it prints the number before it begins, then the outcome, the seconds and the most
memory. It imports no TensorFlow, as the package.
"""

import os
import pathlib
import random
import re
import resource
import tempfile
import time
import traceback
import warnings

from absl import app, flags

from imprinting.inference.photo_classifier import PhotoClassifier
from imprinting.model import Model
from imprinting.new_classes import photos
from imprinting.new_classes.embedding_fit import FitEmbedding
from imprinting.new_classes.photo_imprinting import Options
from imprinting.new_classes.tflite_network import TfliteNetwork
from imprinting.photos import photo_file
from tests.fuzz import model_mutations, photo_mutations

# They have names of their own, since the fuzzer imports this file.
_FOLDER = flags.DEFINE_string("child_folder", "", "The folder of valid files.")
_KIND = flags.DEFINE_enum("child_kind", "models", ["models", "photos"], "What is changed.")
_SEED = flags.DEFINE_integer("child_seed", 0, "The seed.")
_FIRST = flags.DEFINE_integer("child_first", 0, "The first file.")
_STEP = flags.DEFINE_integer("child_step", 1, "The distance of the numbers of files.")
_END = flags.DEFINE_integer("child_end", 0, "The end of the numbers of files.")

# The most memory for a file, in bytes, and address space besides what the process has at first.
MOST_MEMORY = 1_000_000_000
_NO_THREAD = "can't start new thread"


def changed(folder: pathlib.Path, kind: str, seed: int, number: int) -> tuple[str, bytes]:
    """Returns what was changed how, and the bytes; they depend only on the arguments."""
    rng = random.Random(f"{seed} {kind} {number}")
    names = sorted(path.name for path in (folder / kind).iterdir())
    if kind == "photos":
        name = rng.choice(names)
        valid, other = _read(folder / kind, name, rng.choice(names))
        return name, photo_mutations.mutate(valid, other, rng)
    groups = {"product": 45, "part": 12, "operator": 40, "large": 3}
    (group,) = rng.choices(list(groups), list(groups.values()))
    chosen = [name for name in names if name.startswith(group)] or names
    name = rng.choice(chosen)
    valid, other = _read(folder / kind, name, rng.choice(names))
    how, data = model_mutations.mutate(valid, other, rng)
    return f"{how} of {name}", data


def _read(folder: pathlib.Path, *names: str) -> list[bytes]:
    return [(folder / name).read_bytes() for name in names]


def _outcome(data: bytes, found: photos.Photos, written: str) -> str:
    for _ in range(20):
        try:
            if _KIND.value == "models":
                return _run_model(data, found, written)
            return _run_photo(data)
        except Exception as error:
            if _NO_THREAD not in str(error):
                return "WRONG " + " | ".join(traceback.format_exc().splitlines()[-5:])
        # Other programs of the machine have too many threads for a while.
        time.sleep(0.3)
    return f"WRONG {_NO_THREAD}"


def _run_model(data: bytes, found: photos.Photos, written: str) -> str:
    outcomes = []
    try:
        classifier = PhotoClassifier(data)
        classifier.classify(found.paths[:1])
        outcomes.append("classified")
    except (ValueError, OSError, MemoryError) as error:
        outcomes.append(_shortened(error))
    options = Options(
        keep_classes=True,
        allow_lost_classes=True,
        fit_embedding=FitEmbedding.NEVER,
        fit_scale_factor=False,
    )
    try:
        TfliteNetwork(data, options).imprint(found).write(written)
        outcomes.append("imprinted")
    except (ValueError, OSError, MemoryError) as error:
        outcomes.append(_shortened(error))
    try:
        model = Model(data)
        model.classify(found.paths[0])
        model.imprint("another", found.paths)
        model.save(written)
        outcomes.append("learned")
    except (ValueError, OSError, MemoryError) as error:
        outcomes.append(_shortened(error))
    return " + ".join(dict.fromkeys(outcomes))


def _run_photo(data: bytes) -> str:
    try:
        photo_file.decode(data)
    except photo_file.BadImageError as error:
        return _shortened(error)
    return "read"


def _shortened(error: Exception) -> str:
    """A message without what differs between files."""
    text = re.sub(r"\(.*", "", str(error), flags=re.DOTALL) or "NO MESSAGE"
    text = re.sub(r"[\w;/.]*[0-9][\w;/.]*", "N", text)
    return f"{type(error).__name__}: {' '.join(text.split())[:60]}"


def _memory() -> int:
    """The most memory that this process had since `_forget_memory`, in bytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        found = {line.split(":")[0]: line.split()[1] for line in file if "kB" in line}
    return 1024 * int(found["VmHWM"])


def _forget_memory() -> None:
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def main(argv: list[str]) -> None:
    """Runs all files."""
    del argv
    warnings.simplefilter("ignore")
    folder = pathlib.Path(_FOLDER.value)
    found = photos.find(str(folder / "classes"))
    # Loads what is loaded once.
    (valid,) = _read(folder / "models", "product_uint8.tflite")
    with tempfile.TemporaryDirectory() as made:
        written = os.path.join(made, "out.tflite")
        print("warm", _run_model(valid, found, written), flush=True)
        with open("/proc/self/statm", encoding="ascii") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MOST_MEMORY,) * 2)
        for number in range(_FIRST.value, _END.value, _STEP.value):
            print("begin", number, flush=True)
            _, data = changed(folder, _KIND.value, _SEED.value, number)
            _forget_memory()
            begin = time.monotonic()
            outcome = _outcome(data, found, written)
            seconds = time.monotonic() - begin
            print("end", number, f"{seconds:.2f}", _memory(), outcome, flush=True)


if __name__ == "__main__":
    app.run(main)
