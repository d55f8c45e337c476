"""Weight imprinting into a checkpoint's network, which can then be fine-tuned or deployed.

Class vectors are those of Qi, Brown and Lowe, arXiv 1712.07136, section 3.2. Section 3.3 describes
fine-tuning after imprinting.
"""

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from classification.deployment import deployable
from classification.nets import factory, networks, variable_names, variable_values
from classification.nets.fake_quant import TFLITE_L2_NORM_RANGE
from classification.nets.model_config import ModelConfig
from imprinting.base import pixel_scaling
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
    round_activations: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> Computed:
    """Computes embeddings and features of image files, preprocessed as in evaluation.

    Args:
      values: those of the network's variables, by name, as `deployable.read_values` returns them.
      model: the network.
      paths: JPEG, PNG, BMP, WebP or GIF files.
      views: the number of parts of each image; see `PixelReader.read`.
      round_activations: see `fake_quant.Quantization`; for a quantised network.
      on_progress: called with the number of images done and the total number.
    """
    network = networks.get(model.network)
    batches: list[tuple[np.ndarray, ...]] = []
    bad: dict[int, str] = {}
    size = model.image_size

    def read(index: int) -> np.ndarray:
        try:
            return reader.read(paths[index], views=views)
        except BadImageError as error:
            bad[index] = str(error)
            return np.zeros([views, size, size, 3], np.uint8)

    reader = PixelReader(size, network.crop)
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
                end = min(begin + _BATCH_SIZE, len(paths))
                pixels = np.concatenate(list(pool.map(read, range(begin, end))))
                computed = session.run(outputs, {images: pixels})
                batches.append(tuple(c.reshape(end - begin, views, -1) for c in computed))
                if on_progress is not None:
                    on_progress(end, len(paths))
    embeddings, features = map(np.concatenate, zip(*batches, strict=True))
    embeddings[list(bad)] = features[list(bad)] = 0
    return Computed(embeddings, features, bad)


def embed(
    values: Mapping[str, np.ndarray],
    model: ModelConfig,
    paths: Sequence[str],
    *,
    views: int = 1,
    round_activations: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, dict[int, str]]:
    """The embeddings that `compute` computes, and the reasons why files cannot be read."""
    computed = compute(
        values,
        model,
        paths,
        views=views,
        round_activations=round_activations,
        on_progress=on_progress,
    )
    return computed.embeddings, dict(computed.bad)


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
