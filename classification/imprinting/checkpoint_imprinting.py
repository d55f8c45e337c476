"""Weight imprinting into a checkpoint's network, which can then be fine-tuned or deployed.

Class vectors are those of Qi, Brown and Lowe, arXiv 1712.07136, section 3.2. Section 3.3 describes
fine-tuning after imprinting.
"""

import concurrent.futures
import contextlib
import dataclasses
import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from classification.deployment import deployable
from classification.nets import factory, networks, variable_names, variable_values
from classification.nets.fake_quant import TFLITE_L2_NORM_RANGE
from classification.nets.model_config import ModelConfig
from imprinting.base import large_arrays, pixel_scaling
from imprinting.embedding.unit_vectors import unit
from imprinting.new_classes.computed import Computed
from imprinting.photos.photo_file import BadImageError
from imprinting.photos.pixel_reader import PixelReader

_BATCH_SIZE = 32


def compute(
    values: Mapping[str, np.ndarray],
    model: ModelConfig,
    paths: Sequence[str],
    *,
    views: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> Computed:
    """Computes embeddings and features of image files, preprocessed as in evaluation.

    What memory holds does not grow with the number of files; see `large_arrays.gather`.

    Args:
      values: those of the network's variables, by name, as `deployable.read_values` returns them.
      model: the network.
      paths: JPEG, PNG, BMP, WebP or GIF files, at least one.
      views: the number of parts of each image; see `PixelReader.read`.
      on_progress: called with the number of images done and the total number.

    Raises:
      OSError: if there is no space for the results.
    """
    bad: dict[int, str] = {}

    def results() -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        done = 0
        batches = _batches(values, model, paths, views)
        with contextlib.closing(batches):
            for embeddings, features, reasons in batches:
                bad.update({done + index: reason for index, reason in reasons.items()})
                done += len(embeddings)
                yield embeddings, features
                if on_progress is not None:
                    on_progress(done, len(paths))

    # After an error, too, TensorFlow's graphs must be left in the reverse order.
    with contextlib.closing(results()) as found:
        embeddings, features = large_arrays.gather(found)
    return Computed(embeddings, features, bad)


def each(
    values: Mapping[str, np.ndarray],
    model: ModelConfig,
    paths: Sequence[str],
    *,
    views: int = 1,
    round_activations: bool = True,
) -> Generator[np.ndarray | str, None, None]:
    """Computes embeddings of one file after another; see `compute`.

    Args:
      values, model, paths, views: see there.
      round_activations: see `fake_quant.Quantization`; for a quantised network.

    Yields:
      For each file, its embeddings, float32 [views, e], or the reason why it cannot be read.
    """
    batches = _batches(values, model, paths, views, round_activations)
    with contextlib.closing(batches):
        for embeddings, _, reasons in batches:
            for index, found in enumerate(embeddings):
                yield reasons.get(index, found)


def _batches(
    values: Mapping[str, np.ndarray],
    model: ModelConfig,
    paths: Sequence[str],
    views: int,
    round_activations: bool = True,
) -> Generator[tuple[np.ndarray, np.ndarray, dict[int, str]], None, None]:
    """Embeddings [n, views, e] and features [n, views, d] of some files at a time.

    Those of files that cannot be read are 0; the reasons are given by their indices in the batch.
    """
    network = networks.get(model.network)
    size = model.image_size

    def read(path: str) -> np.ndarray | str:
        try:
            return reader.read(path, views=views)
        except BadImageError as error:
            return str(error)

    reader = PixelReader(size, network.crop)
    none = np.zeros([views, size, size, 3], np.uint8)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        images = tf.placeholder(tf.uint8, [None, size, size, 3])
        inputs = pixel_scaling.to_real(tf.cast(images, tf.float32))
        end_points = factory.build(
            inputs, model, embedding_only=True, round_activations=round_activations
        )
        outputs = [end_points[name][:, 0, 0, :] for name in ("Embedding", "Features")]
        variable_values.load(session, {v: values[v.op.name] for v in tf.global_variables()})
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for begin in range(0, len(paths), _BATCH_SIZE):
                found = list(pool.map(read, paths[begin : begin + _BATCH_SIZE]))
                bad = {index: why for index, why in enumerate(found) if isinstance(why, str)}
                pixels = np.concatenate([none if isinstance(f, str) else f for f in found])
                embeddings, features = (
                    computed.reshape(len(found), views, -1)
                    for computed in session.run(outputs, {images: pixels})
                )
                embeddings[list(bad)] = features[list(bad)] = 0
                yield embeddings, features, bad


def class_vectors(values: Mapping[str, np.ndarray], model: ModelConfig) -> np.ndarray:
    """A network's class vectors, float32 [classes, d], of unit length."""
    return unit(values[networks.get(model.network).names.class_vectors][0, 0].T)


def check_new(names: Iterable[str], labels: Sequence[str]) -> None:
    """Raises a ValueError if a class to imprint has the name of an existing one."""
    again = sorted(set(labels) & set(names))
    if again:
        raise ValueError(
            f"expected new classes, got {', '.join(again)}, which the checkpoint has: a class that "
            "was trained cannot be changed; rename the folder, or leave --keep_classes out"
        )


def imprint(
    values: Mapping[str, np.ndarray],
    model: ModelConfig,
    labels: Sequence[str],
    embeddings: Mapping[str, np.ndarray],
    *,
    keep_classes: bool,
) -> tuple[dict[str, np.ndarray], ModelConfig]:
    """Imprints classes.

    Ranges that depend on the classes become those of a `.tflite` after imprinting: -1..127/128 for
    cosines, and the scale factor times that for logits. The kernel's range gets room for more
    classes (see `deployable.with_room`).

    Args:
      values: those of the network's variables, by name.
      model: the network.
      labels: the names of its classes.
      embeddings: those of the examples of each new class, float [n, d], by the class's name.
      keep_classes: whether the network's classes stay, before the new ones.

    Returns:
      The values and the network with the new classes.

    Raises:
      ValueError: if a new class has the name of a kept one, or the examples of a class cancel out.
    """
    if keep_classes:
        check_new(embeddings, labels)
    means = np.stack([examples.mean(axis=0) for examples in embeddings.values()])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    if lengths.min() < 1e-3:
        name = list(embeddings)[int(lengths.argmin())]
        raise ValueError(
            f"expected photos of a class that have something in common, got photos of {name} that "
            "have nothing in common"
        )
    vectors = means / lengths
    variables = networks.get(model.network).names
    if keep_classes:
        vectors = np.concatenate([values[variables.class_vectors][0, 0].T, vectors])
    names = (*(labels if keep_classes else ()), *embeddings)
    kernel = vectors.T[np.newaxis, np.newaxis]
    # The network quantises the kernel of unit vectors.
    unit = kernel / np.linalg.norm(kernel, axis=2, keepdims=True)
    scale = float(values[variables.scale_factor])
    low, high = TFLITE_L2_NORM_RANGE
    changed: dict[str, object] = {
        variables.class_vectors: kernel,
        variables.class_biases: np.zeros([len(names)]),
    }
    for name, limits in (
        (variables.class_vectors_range, (min(unit.min(), 0.0), max(unit.max(), 0.0))),
        (variables.cosines_range, (low, high)),
        (variables.logits_range, (scale * low, scale * high)),
    ):
        names_of_limits = variable_names.limits(name)
        if names_of_limits[0] in values:
            changed |= dict(zip(names_of_limits, limits, strict=True))
    arrays = {name: np.asarray(value, np.float32) for name, value in changed.items()}
    model = dataclasses.replace(model, num_classes=len(names), labels=names)
    return deployable.with_room({**values, **arrays}, model), model
