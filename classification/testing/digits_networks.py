"""Small networks that classify handwritten digits, for tests."""

import os

import numpy as np
import tensorflow.compat.v1 as tf

from classification.data.dataset import Dataset
from classification.nets import factory, mobilenet_v1, variable_values
from classification.nets.model_config import ModelConfig

DIGITS = ModelConfig(
    image_size=32,
    depth_multiplier=0.25,
    num_classes=10,
    labels=tuple("0123456789"),
    dataset="digits",
)
STEP = 1234


def images_and_labels(dataset: Dataset, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """All images and labels of a data set, as evaluation uses them."""
    with tf.Graph().as_default(), tf.Session() as session:
        batches = dataset.batches(
            batch_size=dataset.num_examples, image_size=image_size, is_training=False
        )
        batch = session.run(tf.data.make_one_shot_iterator(batches).get_next())
    return batch["image"], batch["label"]


def write_network(
    folder: str, model: ModelConfig, *, dataset: Dataset | None = None, step: int | None = STEP
) -> str:
    """Writes a checkpoint of a network with a random base; does not write a `model.json`.

    Args:
      folder: where to write it; it is created if it does not exist.
      model: the network.
      dataset: the digits. Class vectors are imprinted from them, so that many predictions are
        right and many are wrong. None leaves the class vectors random.
      step: the global step in the checkpoint; None for none.

    Returns:
      The checkpoint's prefix.
    """
    os.makedirs(folder, exist_ok=True)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        size = model.image_size
        images = tf.placeholder(tf.float32, [None, size, size, 3])
        embedding = factory.build(images, model)["Embedding"]
        global_step = None if step is None else tf.train.create_global_step()
        session.run(tf.global_variables_initializer())
        if dataset is not None:
            pixels, labels = images_and_labels(dataset, size)
            vectors = session.run(embedding, {images: pixels})[:, 0, 0, :]
            means = np.stack([vectors[labels == i].mean(axis=0) for i in range(10)])
            # The embeddings of a random base are nearly the same, so their common part is removed.
            common = means.mean(axis=0)
            means -= common
            means -= np.outer(means @ common, common) / (common @ common)
            variable = next(
                v
                for v in tf.global_variables()
                if v.op.name == mobilenet_v1.NETWORK.names.class_vectors
            )
            variable_values.load(session, {variable: means.T[np.newaxis, np.newaxis]})
        if step is not None:
            variable_values.load(session, {global_step: step})
        prefix = os.path.join(folder, "model.ckpt")
        return tf.train.Saver().save(session, prefix, global_step=step, write_meta_graph=False)
