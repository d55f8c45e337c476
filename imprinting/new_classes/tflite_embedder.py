"""Computes embeddings of image files with a .tflite, on all processors."""

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from imprinting.base.photo_crop import Crop
from imprinting.photos.photo_file import BadImageError
from imprinting.photos.pixel_reader import PixelReader
from imprinting.tflite import metadata, model_file, model_graph, runner_pool, split
from imprinting.tflite.inference import Kernels, Runner
from imprinting.tflite.model_graph import Model


class Computed(NamedTuple):
    """What a model computes from image files.

    Attributes:
      tensors: the real values of each of the tensors that were asked for, float32 [n, views, d].
        Those of files that cannot be read are 0.
      bad: the reasons why files cannot be read, by index.
    """

    tensors: tuple[np.ndarray, ...]
    bad: dict[int, str]


def embed(
    tflite_model: Model,
    paths: Sequence[str],
    *,
    views: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, dict[int, str]]:
    """Computes the embeddings of image files; see `compute`.

    Returns:
      float32 [len(paths), views, d], of unit length except for rounding to multiples of 1/128, and
      the reasons why files cannot be read, by index. The embeddings of such files are 0.
    """
    place = split.at_embedding(tflite_model).place
    (embeddings,), bad = compute(tflite_model, [place], paths, views=views, on_progress=on_progress)
    return embeddings, bad


def compute(
    tflite_model: Model,
    tensors: Sequence[int],
    paths: Sequence[str],
    *,
    views: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
    crop: Crop | None = None,
    edge_tpu: Any = None,
) -> Computed:
    """Computes tensors of a model for image files, which are preprocessed as in evaluation.

    Args:
      tflite_model: the model. It may be compiled only if there is an `edge_tpu`.
      tensors: the indices of the tensors, [1, 1, 1, d] each.
      paths: JPEG, PNG, BMP, WebP or GIF files.
      views: the number of parts of each image; see `PixelReader.read`.
      on_progress: called with the number of images done and the total number.
      crop: the part of an image that the model takes; None for what its metadata says.
      edge_tpu: see `inference.edge_tpu`; None if no operator is computed by one.
    """
    extractor = split.before(tflite_model, tensors)
    graph = model_graph.graph(extractor)
    (image,), outputs = graph.inputs, graph.outputs
    found = tuple(np.zeros([len(paths), views, o.shape[-1]], np.float32) for o in outputs)
    bad: dict[int, str] = {}
    # All threads would wait for the same Edge TPU.
    processors = 1 if edge_tpu is not None else os.cpu_count() or 1
    workers = max(1, min(processors, len(paths)))
    data = model_file.serialise(extractor)
    runners = [Runner(data, kernels=Kernels.DEFAULT, edge_tpu=edge_tpu) for _ in range(workers)]
    reader = PixelReader(image.shape[1], crop or metadata.crop_of(tflite_model))

    def compute_one(index: int, runner: Runner) -> None:
        try:
            pixels = reader.read(paths[index], views=views)
        except BadImageError as error:
            bad[index] = str(error)
            return
        runs = [runner.run(view) for view in pixels]
        for values, output, quanta in zip(found, outputs, zip(*runs, strict=True), strict=True):
            values[index] = output.dequantise(np.stack([q.reshape(-1) for q in quanta]))

    runner_pool.each(len(paths), runners, compute_one, on_progress)
    return Computed(found, bad)
