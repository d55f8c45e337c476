"""Measures imprinting, and compares it with the interpreter's time for the same images.

  ./bazelw run //tests/benchmarks:imprint
  ./bazelw run //tests/benchmarks:imprint -- --model=MODEL.tflite

The measurements take turns; the results are medians:

  inference  the extractor's interpreters alone, on decoded pixels, with as many threads as
             processors
  imprint    the same images as JPEG files of 256 pixels, 20 of each of 10 classes: read, decode,
             crop, embed with as many threads, imprint and write
  write      add 1,000 new classes with one embedding each to those of the model, and write the file

The limits are 1.15 times inference for imprint, and 100 ms for write. The output says whether they
are met; the exit status is 0 in either case. Without --model, a network with depth multiplier 1.0,
224 x 224 pixels and 1001 classes is made first.
"""

import concurrent.futures
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
from absl import flags

from classification.base import runner
from classification.deployment import check_images
from classification.nets.model_config import ModelConfig
from imprinting.base import atomic_files, path_flags
from imprinting.new_classes import tflite_embedder
from imprinting.photos.pixel_reader import PixelReader
from imprinting.tflite import metadata, model_file, model_graph, split
from imprinting.tflite.imprinting import ImprintingEngine
from imprinting.tflite.inference import Kernels, Runner
from imprinting.tflite.model_graph import Model
from tests.benchmarks import jpeg_images
from tests.end_to_end import calibrated_network, checkpoint_products

FLAGS = flags.FLAGS

path_flags.define("model", "", "A quantised .tflite classifier. Default: one is made.")
flags.DEFINE_integer("runs", 5, "Runs of each measurement, after one to warm up.")

_NETWORK = ModelConfig(image_size=224, depth_multiplier=1.0, num_classes=1001, quantize=True)
_CLASSES, _PHOTOS = 10, 20
_NEW_CLASSES = 1000
_MOST_TIMES, _MOST_SECONDS = 1.15, 0.1


def make(model: ModelConfig = _NETWORK) -> Model:
    """Returns a TFLite model to measure with, which is calibrated but not trained."""
    images = check_images.of_photographs(64, image_size=model.image_size).images
    with tempfile.TemporaryDirectory() as folder:
        prefix = calibrated_network.write(folder, model, images)
        return checkpoint_products.build(model, prefix).tflite_model


def measure(tflite_model: Model, *, runs: int) -> dict[str, list[float]]:
    """Runs the measurements in turns; returns name -> seconds of each run."""
    with tempfile.TemporaryDirectory() as folder:
        jpeg_images.make(folder, _CLASSES * _PHOTOS)
        paths = sorted(map(str, pathlib.Path(folder, "train").rglob("*.jpg")))
        tasks: dict[str, Callable[[], None]] = {
            "inference": _inference(tflite_model, paths),
            "imprint": lambda: _imprint(tflite_model, paths, os.path.join(folder, "out.tflite")),
            "write": _write(tflite_model, os.path.join(folder, "out.tflite")),
        }
        seconds: dict[str, list[float]] = {name: [] for name in tasks}
        for run in range(runs + 1):
            for name, task in tasks.items():
                start = time.perf_counter()
                task()
                if run:
                    seconds[name].append(time.perf_counter() - start)
    return seconds


def describe(seconds: dict[str, list[float]]) -> str:
    """Returns a line for each measurement, with its limit."""
    median = {name: statistics.median(values) for name, values in seconds.items()}
    times = median["imprint"] / median["inference"]
    images = _CLASSES * _PHOTOS
    return "\n".join(
        [
            f"inference  {median['inference']:.2f} s, {images / median['inference']:.0f} images/s",
            f"imprint    {median['imprint']:.2f} s, {times:.2f} x inference; at most "
            f"{_MOST_TIMES} x: {_verdict(times <= _MOST_TIMES)}",
            f"write      {1000 * median['write']:.0f} ms for {_NEW_CLASSES:,} classes; at most "
            f"{1000 * _MOST_SECONDS:.0f} ms: {_verdict(median['write'] <= _MOST_SECONDS)}",
        ]
    )


def main() -> None:
    """Measures, and prints the results."""
    if FLAGS.runs < 1:
        raise ValueError(f"expected --runs to be at least 1, got {FLAGS.runs}")
    tflite_model = model_file.read(FLAGS.model) if FLAGS.model else make()
    print(f"{os.cpu_count()} threads, medians of {FLAGS.runs} runs:", flush=True)
    print(describe(measure(tflite_model, runs=FLAGS.runs)))


def _inference(tflite_model: Model, paths: list[str]) -> Callable[[], None]:
    extractor = split.at_embedding(tflite_model).extractor
    (image,) = model_graph.graph(extractor).inputs
    reader = PixelReader(image.shape[1])
    pixels = np.concatenate([reader.read(path) for path in paths])
    threads = os.cpu_count() or 1
    data = model_file.serialise(extractor)
    runners = [Runner(data, kernels=Kernels.DEFAULT) for _ in range(threads)]

    def run() -> None:
        def share(runner: Runner, images: np.ndarray) -> None:
            for image in images:
                runner.run(image)

        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            list(pool.map(share, runners, np.array_split(pixels, threads)))

    return run


def _imprint(tflite_model: Model, paths: list[str], output: str) -> None:
    place = split.at_embedding(tflite_model).place
    (embeddings,), bad = tflite_embedder.compute(tflite_model, [place], paths)
    if bad:
        raise ValueError(f"expected images that can be read, got {bad}")
    engine = ImprintingEngine(tflite_model, keep_classes=False)
    for number in range(_CLASSES):
        engine.add(number, embeddings[number * _PHOTOS : (number + 1) * _PHOTOS, 0])
    names = [f"new {number}" for number in range(_CLASSES)]
    atomic_files.write_atomically(
        output, metadata.extend(engine.build().tflite_model, names, data=None)
    )


def _write(tflite_model: Model, output: str) -> Callable[[], None]:
    depth = ImprintingEngine(tflite_model, keep_classes=True).depth
    vectors = np.random.default_rng(0).normal(size=[_NEW_CLASSES, 1, depth])
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)

    def run() -> None:
        engine = ImprintingEngine(tflite_model, keep_classes=True)
        for vector in vectors:
            engine.add(engine.num_classes, vector)
        names = [f"class {number}" for number in range(engine.num_classes)]
        atomic_files.write_atomically(
            output, metadata.extend(engine.build().tflite_model, names, data=None)
        )

    return run


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "missed"


if __name__ == "__main__":
    runner.run(main)
