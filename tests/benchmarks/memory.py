r"""Measures time and memory for more and more photos.

  ./bazelw run //tests/benchmarks:memory
  ./bazelw run //tests/benchmarks:memory -- --photos=1000,10000 --folder=DIR

For each number of photos, each of these runs in a process of its own:

  imprint                 TfliteNetwork.imprint with all photos, of ten new classes, in four views,
                          and a fit, as the command `imprint --keep_classes`
  cache_features=memory   the features of all photos, and 100 batches of them, as in training
  cache_features=DIR      the same, with the features in a folder
  evaluate_low_shot       trials.run with all methods, one draw of one photo of each new class and
                          a --cache_dir; half of the photos are for learning the base classes

The photos are synthetic: JPEG files of 48 x 48 pixels, no two with the same bytes. The network is
small, so that 100,000 photos take minutes: a quantised MobileNet V1 of depth multiplier 0.25 for 32
x 32 pixels. It has 256 features and embeddings of 1,024 components: 20 kB for each photo in four
views.

`anonymous` is the greatest memory that is no part of a file (RssAnon), and `resident` the greatest
of all (VmHWM), with those pages of mapped files that the system keeps as long as nothing else needs
the memory. If the folder for temporary files is in memory (tmpfs), these are no files on a disk:
--folder names another folder. It needs 60 kB for each photo.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
from absl import flags
from PIL import Image

from classification.base import runner
from classification.data import testing as data_testing
from classification.data.dataset import open_dataset
from classification.deployment import check_images
from classification.low_shot import embedding_sources, trials
from classification.low_shot.trials import Settings
from classification.nets import checkpoints, model_config
from classification.nets.model_config import ModelConfig
from classification.training import cached_features
from imprinting.base import path_flags
from imprinting.new_classes import photos
from imprinting.new_classes.photo_imprinting import Options
from imprinting.new_classes.tflite_network import TfliteNetwork
from imprinting.tflite import metadata
from tests.end_to_end import calibrated_network, checkpoint_products

TASKS = ("imprint", "cache_features=memory", "cache_features=DIR", "evaluate_low_shot")

_PHOTOS = flags.DEFINE_list("photos", ["1000", "10000", "100000"], "Numbers of photos.")
_FOLDER = path_flags.define("folder", "", "Folder for temporary files. Default: the system's.")
_TASK = flags.DEFINE_enum("task", None, TASKS, "Runs only this, here, on --folder as prepared.")

_NETWORK = ModelConfig(
    image_size=32,
    depth_multiplier=0.25,
    num_classes=10,
    quantize=True,
    labels=tuple(f"base {number}" for number in range(10)),
)
_NEW = tuple(f"new {number}" for number in range(10))
_POOL = 500
_SIDE = 48
_SHARD = 10_000
_BATCHES = 100
_INTERVAL = 0.02


class Measured(NamedTuple):
    """Time and memory of a task.

    Attributes:
      seconds: the time, without imports.
      anonymous: the greatest RssAnon, in bytes.
      resident: the greatest resident memory, in bytes.
    """

    seconds: float
    anonymous: int
    resident: int


def prepare(folder: str, count: int) -> None:
    """Writes photos in the forms that the tasks read, and the network.

    Args:
      folder: an empty folder.
      count: the number of photos, at least 80.
    """
    pool = [_jpeg(number) for number in range(_POOL)]
    paths = []
    for name in _NEW:
        os.makedirs(os.path.join(folder, "photos", name))
    for number in range(count):
        paths.append(os.path.join(folder, "photos", _NEW[number % 10], f"{number:07d}.jpg"))
        with open(paths[-1], "wb") as file:
            file.write(_unique(pool[number % _POOL], number))
    # Of eight photos of a class, four and two are of the base, and two of new classes.
    kinds = [("base", "train")] * 4 + [("base", "test")] * 2
    kinds += [("novel", "train"), ("novel", "test")]
    for number, path in enumerate(paths):
        part, split = kinds[number // 10 % 8]
        name = os.path.basename(os.path.dirname(path))
        name = name.replace("new", "base") if part == "base" else name
        place = os.path.join(folder, "low_shot", part, split, name)
        os.makedirs(place, exist_ok=True)
        os.link(path, os.path.join(place, os.path.basename(path)))
    records = os.path.join(folder, "records")
    os.makedirs(records)
    shards = -(-count // _SHARD)
    for shard in range(shards):
        numbers = range(shard * _SHARD, min((shard + 1) * _SHARD, count))
        data_testing.write_records(
            os.path.join(records, f"train-{shard:05d}-of-{shards:05d}"),
            [data_testing.make_image_example(_unique(pool[n % _POOL], n), n % 10) for n in numbers],
        )
    with open(os.path.join(records, "labels.txt"), "w", encoding="utf-8") as labels:
        labels.write("\n".join(_NEW))
    images = check_images.of_photographs(64, image_size=_NETWORK.image_size).images
    prefix = calibrated_network.write(os.path.join(folder, "network"), _NETWORK, images)
    model = checkpoint_products.build(_NETWORK, prefix).tflite_model
    with open(os.path.join(folder, "model.tflite"), "wb") as file:
        file.write(metadata.attach(model, _NETWORK.labels or ()))


def _jpeg(number: int) -> bytes:
    """A photo of smooth noise in the colour of its class, the number's last digit."""
    colour = np.random.default_rng(number % 10).integers(40, 215, 3)
    noise = np.random.default_rng(number).normal(0, 60, [6, 6, 3])
    data = io.BytesIO()
    small = Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8))
    small.resize([_SIDE, _SIDE], Image.Resampling.BILINEAR).save(data, "JPEG", quality=90)
    return data.getvalue()


def _unique(jpeg: bytes, number: int) -> bytes:
    """The photo with its number in a comment, so that no two are kept as one."""
    return jpeg[:2] + b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big") + jpeg[2:]


def run(task: str, folder: str) -> float:
    """Runs a task in this process; returns how many seconds it took."""
    start = time.monotonic()
    if task == "imprint":
        with open(os.path.join(folder, "model.tflite"), "rb") as file:
            options = Options(keep_classes=True, allow_lost_classes=True)
            network = TfliteNetwork(file.read(), options)
        network.imprint(photos.find(os.path.join(folder, "photos")))
    elif task == "evaluate_low_shot":
        low_shot = os.path.join(folder, "low_shot")
        trials.run(
            [embedding_sources.of_model(os.path.join(folder, "model.tflite"))],
            os.path.join(low_shot, "base"),
            os.path.join(low_shot, "novel"),
            Settings(shots=(1,), num_seeds=1, cache_dir=os.path.join(folder, "embeddings")),
        )
    else:
        checkpoint = checkpoints.find(os.path.join(folder, "network"))
        model = model_config.read(checkpoint.folder)
        assert model is not None
        store = cached_features.MEMORY if "memory" in task else os.path.join(folder, "features")
        features = cached_features.get(
            store,
            model=model,
            checkpoint=checkpoint,
            dataset=open_dataset(os.path.join(folder, "records"), "train"),
        )
        batches = features.batches(64, seed=0, start=0)
        for _ in range(_BATCHES):
            next(batches)
    return time.monotonic() - start


def measure(task: str, folder: str) -> Measured:
    """Runs a task in another process.

    Args:
      task: the task.
      folder: what `prepare` wrote.

    Raises:
      ChildProcessError: if it fails, after it has printed why on standard error.
    """
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        # Where temporary files are.
        "TMPDIR": folder,
    }
    command = [sys.executable, os.path.abspath(__file__), f"--task={task}", f"--folder={folder}"]
    anonymous = resident = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        while child.poll() is None:
            found = _status(child.pid)
            anonymous = max(anonymous, found.get("RssAnon", 0))
            resident = max(resident, found.get("VmHWM", 0))
            time.sleep(_INTERVAL)
        assert child.stdout is not None
        output = child.stdout.read()
    if child.returncode:
        raise ChildProcessError(
            f"expected exit status 0 of {task}, got {child.returncode}; see its output above"
        )
    return Measured(json.loads(output.splitlines()[-1]), anonymous, resident)


def _status(process: int) -> dict[str, int]:
    """The figures of a process's memory, in bytes; none if it has ended."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/status", encoding="utf-8") as file:
        lines = [line.split() for line in file]
        return {words[0][:-1]: 1024 * int(words[1]) for words in lines if words[-1] == "kB"}
    return {}


def rows(counts: list[int], folder: str | None) -> Iterator[str]:
    """The lines of the table, as they become known."""
    yield "| task | photos | s | photos/s | peak anonymous, MB | peak resident, MB |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for count in counts:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            prepare(place, count)
            for task in TASKS:
                found = measure(task, place)
                yield (
                    f"| {task} | {count:,} | {found.seconds:.1f} | {count / found.seconds:,.0f} | "
                    f"{found.anonymous / 1e6:,.0f} | {found.resident / 1e6:,.0f} |"
                )


def main() -> None:
    """Measures, and prints a table; or runs one task."""
    if _TASK.value:
        print(json.dumps(run(_TASK.value, _FOLDER.value)))
        return
    try:
        counts = [int(number) for number in _PHOTOS.value]
    except ValueError as error:
        raise ValueError(f"expected numbers as --photos, got {','.join(_PHOTOS.value)}") from error
    if not counts or min(counts) < 80:
        raise ValueError(f"expected at least 80 --photos, got {','.join(_PHOTOS.value)}")
    for line in rows(counts, _FOLDER.value or None):
        print(line, flush=True)


if __name__ == "__main__":
    runner.run(main)
