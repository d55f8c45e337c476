r"""Measures the accuracy and the speed of .tflite classifiers on a sample of ImageNet.

  ./bazelw run //tests/benchmarks:imagenet_sample -- --images_dir=DIR A.tflite B.tflite

DIR holds one photo of each of the 1,000 classes; the order of their names is that of the classes.
Counted from 0, the photos at odd positions give the accuracy. Those at even positions, which may be
used for fitting, give the scale factor with the least cross entropy. With --time, the models take
turns with the same photos, with one thread and with two; the medians are printed, with their ratios
to that of the last model.
"""

import os
import statistics
import time
from collections.abc import Sequence

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
import tensorflow as tf
from absl import flags

from classification.base import runner
from imprinting.base import path_flags, program
from imprinting.photos.pixel_reader import PixelReader
from imprinting.tflite import metadata, model_file, model_graph
from imprinting.tflite.inference import Kernels
from imprinting.tflite.model_graph import Model
from transforms.conversion import agreement

FLAGS = flags.FLAGS

path_flags.define("images_dir", "", "Folder of photos, one of each class.")
flags.DEFINE_bool("time", False, "Also measure the time per photo.")
flags.DEFINE_integer("rounds", 50, "How often each model takes its turn.")

_CLASSES = 1000
_SCALES = np.arange(10.0, 100.5, 0.5)
_THREADS = (1, 2)


def image_size(model: Model) -> int:
    """The height and width of a model's input."""
    return model_graph.graph(model).inputs[0].shape[1]


def read_photos(folder: str, model: Model) -> np.ndarray:
    """The photos of a folder in the order of their names, uint8 [1000, s, s, 3], for a model."""
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if "_" in name]
    if len(paths) != _CLASSES:
        raise ValueError(f"expected {_CLASSES} photos in {folder}, got {len(paths)}")
    reader = PixelReader(image_size(model), metadata.crop_of(model))
    return np.concatenate([reader.read(path) for path in paths])


def accuracy(model: Model, photos: np.ndarray) -> tuple[float, float, float, float]:
    """Top-1 and top-5 at odd positions; the best scale factor and its cross entropy at even ones.

    Args:
      model: a classifier, whose first class is the first of the 1,000, or the background before it.
      photos: uint8 [1000, s, s, 3].
    """
    run = agreement.Run(model, photos, kernels=Kernels.DEFAULT)
    probabilities = run.probabilities.reshape(len(photos), -1).astype(np.float64)
    labels = np.arange(_CLASSES) + probabilities.shape[1] - _CLASSES
    # A stable order, as argmax has: equal probabilities are in the order of the classes.
    ranks = np.argsort(-probabilities, axis=1, kind="stable")
    hits = ranks == labels[:, np.newaxis]
    graph = model_graph.graph(model)
    (mul,) = graph.named("MUL")
    factor = mul.input(1)
    assert factor is not None
    buffer = model.subgraphs[0].tensors[factor.index].buffer
    dtype = np.uint8 if factor.type == "UINT8" else np.float32
    scale = float(factor.dequantise(np.asarray(model.buffers[buffer].data).view(dtype)).item())
    cosines = run.real.logits[::2].astype(np.float64) / scale
    losses = [_cross_entropy(cosines * s, labels[::2]) for s in _SCALES]
    best = int(np.argmin(losses))
    odd = hits[1::2]
    return (
        float(odd[:, 0].mean()),
        float(odd[:, :5].any(axis=1).mean()),
        float(_SCALES[best]),
        losses[best],
    )


def _cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    logits = logits - logits.max(axis=1, keepdims=True)
    own = np.take_along_axis(logits, labels[:, np.newaxis], axis=1)[:, 0]
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - own))


def times(models: Sequence[bytes], photos: Sequence[np.ndarray], threads: int) -> list[float]:
    """The median time of each model for a photo, in seconds; the models take turns."""
    interpreters = []
    for data in models:
        interpreter = tf.lite.Interpreter(model_content=data, num_threads=threads)
        interpreter.allocate_tensors()
        interpreters.append(interpreter)
    seconds: list[list[float]] = [[] for _ in models]
    for number in range(FLAGS.rounds):
        for interpreter, own, found in zip(interpreters, photos, seconds, strict=True):
            index = interpreter.get_input_details()[0]["index"]
            interpreter.set_tensor(index, own[number % len(own)][np.newaxis])
            begin = time.perf_counter()
            interpreter.invoke()
            found.append(time.perf_counter() - begin)
    return [statistics.median(found) for found in seconds]


def main(paths: Sequence[str]) -> None:
    """Prints a table."""
    program.require("images_dir")
    if not paths:
        raise ValueError("expected the paths of .tflite files after the flags, got none")
    data = []
    for path in paths:
        with open(path, "rb") as file:
            data.append(file.read())
    models = [model_file.parse(each) for each in data]
    photos = [read_photos(FLAGS.images_dir, model) for model in models]
    for path, model, own in zip(paths, models, photos, strict=True):
        top1, top5, scale, loss = accuracy(model, own)
        print(
            f"{path}: top-1 {top1:.3f}, top-5 {top5:.3f} of {_CLASSES // 2} photos; scale factor "
            f"with the least cross entropy {scale:g} ({loss:.4f})",
            flush=True,
        )
    for threads in _THREADS if FLAGS.time else ():
        medians = times(data, photos, threads)
        for path, median in zip(paths, medians, strict=True):
            print(f"{path}: {1000 * median:.2f} ms a photo with {threads} threads", end="")
            print(f", {median / medians[-1]:.3f} of the last", flush=True)


if __name__ == "__main__":
    runner.run(main, takes_arguments=True)
