"""Prepares checkpoints for benchmarks: a new or a given one, and changed copies."""

import os

import third_party.tensorflow.quiet  # noqa: F401

# isort: split
import numpy as np
import tensorflow.compat.v1 as tf

from classification.deployment import check_images, deployable, published_head
from classification.nets import checkpoints, model_config
from classification.nets.model_config import ModelConfig
from tests.benchmarks import steps
from tests.end_to_end import calibrated_network


def prepare(folder: str, checkpoint: str, model: ModelConfig) -> None:
    """Writes a network that is ready for deployment, and images, as input of the steps.

    Args:
      folder: the folder to write.
      checkpoint: a checkpoint's prefix or folder, possibly a published one; '' to make one.
      model: the network of a checkpoint without model.json.

    Raises:
      FileNotFoundError: if there is no such checkpoint.
      ValueError: if it cannot be read, or is of another network.
    """
    size = model.image_size
    images = check_images.of_photographs(steps.NUM_IMAGES, image_size=size).images
    if not checkpoint:
        checkpoint = calibrated_network.write(folder + "-made", model, images)
    found = checkpoints.find(checkpoint)
    model = model_config.read(found.folder) or model
    if model.image_size != size:
        images = check_images.of_photographs(steps.NUM_IMAGES, image_size=model.image_size).images
    values = published_head.read_any_values(found, model)
    labels = model.labels or tuple(str(number) for number in range(model.num_classes))
    deployable.write(folder, deployable.portable(model, labels), values)
    np.save(os.path.join(folder, steps.IMAGES), images)


def change(checkpoint: str, prefix: str, number: int) -> None:
    """Writes a copy of a checkpoint with one weight changed.

    Args:
      checkpoint: the prefix of the checkpoint to copy.
      prefix: the prefix of the copy.
      number: copies with different numbers differ.

    Raises:
      ValueError: if the checkpoint has no batch norm.
    """
    reader = tf.train.load_checkpoint(checkpoint)
    values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    name = min((n for n in values if n.endswith("/BatchNorm/beta")), default=None)
    if name is None:
        raise ValueError(f"expected a checkpoint with batch norm's beta, got {checkpoint}")
    values[name][0] += 1e-4 * number
    with tf.Graph().as_default(), tf.Session() as session:
        session.run(
            tf.raw_ops.SaveV2(
                prefix=prefix,
                tensor_names=list(values),
                shape_and_slices=[""] * len(values),
                tensors=[tf.constant(value) for value in values.values()],
            )
        )
