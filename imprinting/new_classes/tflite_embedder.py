"""Computes embeddings of image files with a .tflite, on all processors."""

import contextlib
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from imprinting.base import large_arrays
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
        Those of files that cannot be read are 0. Many are in a file; see `large_arrays.gather`.
      bad: the reasons why files cannot be read, by index.
    """

    tensors: tuple[np.ndarray, ...]
    bad: dict[int, str]


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

    What memory holds does not grow with the number of files; see `large_arrays.gather`.

    Args:
      tflite_model: the model. It may be compiled only if there is an `edge_tpu`.
      tensors: the indices of the tensors, [1, 1, 1, d] each.
      paths: JPEG, PNG, BMP, WebP or GIF files.
      views: the number of parts of each image; see `PixelReader.read`.
      on_progress: called with the number of images done and the total number.
      crop: the part of an image that the model takes; None for what its metadata says.
      edge_tpu: see `inference.edge_tpu`; None if no operator is computed by one.

    Raises:
      OSError: if there is no space for the results.
    """
    depths = [model_graph.graph(tflite_model).tensors[index].shape[-1] for index in tensors]
    none = tuple(np.zeros([1, views, depth], np.float32) for depth in depths)
    bad: dict[int, str] = {}

    def batches() -> Iterator[tuple[np.ndarray, ...]]:
        # For no files at all.
        yield tuple(values[:0] for values in none)
        found = each(tflite_model, tensors, paths, views=views, crop=crop, edge_tpu=edge_tpu)
        with contextlib.closing(found):
            for index, values in enumerate(found):
                if isinstance(values, str):
                    bad[index] = values
                    yield none
                else:
                    yield tuple(value[np.newaxis] for value in values)
                if on_progress is not None:
                    on_progress(index + 1, len(paths))

    return Computed(tuple(large_arrays.gather(batches())), bad)


def each(
    tflite_model: Model,
    tensors: Sequence[int],
    paths: Sequence[str],
    *,
    views: int = 1,
    crop: Crop | None = None,
    edge_tpu: Any = None,
) -> Generator[tuple[np.ndarray, ...] | str, None, None]:
    """Computes one file after another; see `compute`.

    Yields:
      For each file, the values of the tensors, float32 [views, d], or the reason why it cannot be
      read.
    """
    extractor = split.before(tflite_model, tensors)
    graph = model_graph.graph(extractor)
    (image,), outputs = graph.inputs, graph.outputs
    # All threads would wait for the same Edge TPU.
    processors = 1 if edge_tpu is not None else os.cpu_count() or 1
    workers = max(1, min(processors, len(paths)))
    data = model_file.serialise(extractor)
    runners = [Runner(data, kernels=Kernels.DEFAULT, edge_tpu=edge_tpu) for _ in range(workers)]
    reader = PixelReader(image.shape[1], crop or metadata.crop_of(tflite_model))

    def compute_one(index: int, runner: Runner) -> tuple[np.ndarray, ...] | str:
        try:
            pixels = reader.read(paths[index], views=views)
        except BadImageError as error:
            return str(error)
        quanta = zip(*(runner.run(view) for view in pixels), strict=True)
        return tuple(
            output.dequantise(np.stack([values.reshape(-1) for values in of_views]))
            for output, of_views in zip(outputs, quanta, strict=True)
        )

    yield from runner_pool.results(len(paths), runners, compute_one)
