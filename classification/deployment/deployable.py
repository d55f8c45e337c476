"""A network that is ready for deployment: its variables, its description and labels in a folder.

Such a folder always has the same four files, which contain no path, time or state of training.
Equal networks give equal bytes.
"""

import dataclasses
import os
from collections.abc import Mapping

import numpy as np
import tensorflow.compat.v1 as tf

from classification.data import records
from classification.nets import factory, model_config, networks, variable_names
from classification.nets.checkpoint import Checkpoint
from classification.nets.model_config import ModelConfig
from imprinting.base import atomic_files
from imprinting.base import labels as label_files

# The last kernel's range is at least this, in both directions, so that classes can be imprinted.
# Class vectors are means of embeddings, whose components reach 0.3 for photos. The quanta, 1/254,
# are still half as large as those of the embedding.
KERNEL_ROOM = 0.5

CHECKPOINT = "model.ckpt"
FILE_NAMES = (
    f"{CHECKPOINT}.index",
    f"{CHECKPOINT}.data-00000-of-00001",
    model_config.FILE_NAME,
    records.LABELS_FILE,
)


def variables(model: ModelConfig) -> tuple[tf.Variable, ...]:
    """The variables that a deployed network computes with, in a graph of their own."""
    with tf.Graph().as_default():
        # No value is drawn, but after training in this process TensorFlow requires a seed.
        tf.set_random_seed(0)
        size = model.image_size
        factory.build(tf.placeholder(tf.float32, [1, size, size, 3]), model)
        return tuple(tf.global_variables())


def read_values(checkpoint: Checkpoint, model: ModelConfig) -> dict[str, np.ndarray]:
    """The values that a checkpoint, of any of TensorFlow's formats, holds of a network.

    Args:
      checkpoint: the checkpoint.
      model: the network.

    Returns:
      The value of each variable that it computes with, by name, float32.

    Raises:
      ValueError: if the checkpoint cannot be read, lacks a variable, or has one of another shape
        or type, or with values that are not finite.
    """
    read = checkpoint.read_all(variables(model))
    values = {variable.op.name: value for variable, value in read.items()}
    check_values(values, checkpoint)
    return values


def check_values(values: Mapping[str, np.ndarray], checkpoint: Checkpoint) -> None:
    """Raises a ValueError that names the variable if one is not float32 or not finite."""
    for name, value in values.items():
        checkpoint.require_type(name, value, np.float32)
        if not np.isfinite(value).all():
            raise ValueError(
                f"expected finite values in {name}, got NaN or infinity in {checkpoint}: the "
                "network has diverged in training; take an earlier checkpoint"
            )


def find_labels(
    labels_file: str | None, folder: str, model: ModelConfig, *, flag: str
) -> tuple[tuple[str, ...], str]:
    """The names of the classes, and where they come from.

    Args:
      labels_file: a file of names, as `records.read_label_file` reads it, which has precedence;
        None or '' for none.
      folder: the checkpoint's folder. If `model` has no names, its `labels.txt` is used.
      model: the network.
      flag: the flag by which the user names `labels_file`.

    Returns:
      A name for each class, and a text for the user that says where they come from.

    Raises:
      OSError: if the file cannot be read.
      ValueError: if it holds another number of names than the network has classes, or
        `model` has a label that is not one line.
    """
    beside = os.path.join(folder, records.LABELS_FILE)
    path = labels_file or None
    if path is None and model.labels is None and os.path.isfile(beside):
        path = beside
    if path is not None:
        labels = records.read_label_file(path)
        label_files.check_count(
            labels,
            model.num_classes,
            path,
            otherwise=f"name another with --{flag}, or, if the checkpoint has no "
            f"{model_config.FILE_NAME}, give the right --num_classes",
        )
        return labels, f"as in {path}"
    if model.labels is not None:
        label_files.check_names(model.labels, model_config.FILE_NAME)
        return model.labels, f"as in its {model_config.FILE_NAME}"
    return (
        tuple(str(number) for number in range(model.num_classes)),
        f"the classes' numbers, since no file names them (--{flag})",
    )


def portable(model: ModelConfig, labels: tuple[str, ...]) -> ModelConfig:
    """The description of the network for products: with labels, and without a path.

    Its embedding has the range that a `.tflite` gives it, even if another was learned: no device
    runs a network with another range.

    Only the name of its data's folder is kept. A folder named "digits" gets a slash at the end,
    since the name without it means the digits that come with the build.
    """
    dataset = model.dataset
    if dataset != "digits":
        dataset = os.path.basename(os.path.normpath(dataset)) if dataset else ""
        if dataset == "digits":
            dataset += "/"
    return dataclasses.replace(model, labels=labels, dataset=dataset, learned_embedding_range=False)


def with_room(values: Mapping[str, np.ndarray], model: ModelConfig) -> dict[str, np.ndarray]:
    """The values, with a range of the last kernel that has room for imprinted classes.

    After training, the range is that of the trained class vectors. A `.tflite` cannot change its
    range, and would clip the components of an imprinted vector that are outside it.

    Args:
      values: as `read_values` returns them; those of a float network have no range.
      model: the network.
    """
    names = networks.get(model.network).names
    low, high = variable_names.limits(names.class_vectors_range)
    if low not in values:
        return {**values}
    return {
        **values,
        low: np.asarray(min(values[low], -KERNEL_ROOM), np.float32),
        high: np.asarray(max(values[high], KERNEL_ROOM), np.float32),
    }


def write(folder: str, model: ModelConfig, values: Mapping[str, np.ndarray]) -> None:
    """Writes the files `FILE_NAMES` in a folder, all or none of them.

    Args:
      folder: new, empty, or an earlier result.
      model: the network, with labels.
      values: those of its variables, as `read_values` returns them.

    Raises:
      OSError: if the folder cannot be written; see `atomic_files.atomic_folder`.
    """
    labels = model.labels or ()
    with atomic_files.atomic_folder(folder, FILE_NAMES) as partial:
        model.write(partial)
        text = label_files.text(labels)
        atomic_files.write_atomically(os.path.join(partial, records.LABELS_FILE), text)
        _write_checkpoint(os.path.join(partial, CHECKPOINT), values)


def _write_checkpoint(prefix: str, values: Mapping[str, np.ndarray]) -> None:
    names = sorted(values)
    # Not a Saver, which needs a session's variables, and writes a file that contains the time.
    with tf.Graph().as_default(), tf.Session() as session:
        session.run(
            tf.raw_ops.SaveV2(
                prefix=prefix,
                tensor_names=names,
                shape_and_slices=[""] * len(names),
                tensors=[tf.constant(values[name]) for name in names],
            )
        )
